"""What the new student is worth, and what the night cost."""
