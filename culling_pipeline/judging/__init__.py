"""How the new student compares with the old one, and what the night cost."""
