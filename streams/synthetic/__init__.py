"""Synthetic cameras with known boxes: a street, a sports court, and a square full of people."""
