"""Synthetic cameras with known boxes: a street and a sports court."""
