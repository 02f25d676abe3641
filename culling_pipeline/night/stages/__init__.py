"""The stages of a night, one file each, in the order that `night.py` runs them."""
