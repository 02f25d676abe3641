"""What lies in the data directory, and where."""
