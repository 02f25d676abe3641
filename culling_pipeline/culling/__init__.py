"""What to keep of a day, and at which size."""
