"""The configuration: every key, every default, read, checked and edited."""
