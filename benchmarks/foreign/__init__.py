"""Nets of other people's packages, exported and asked by their own programs: a family, a file."""
