"""How much space frames and reports may take on disk."""
