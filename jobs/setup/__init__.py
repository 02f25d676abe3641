"""Setting up: a configuration, its cameras, and a check of all of it."""
