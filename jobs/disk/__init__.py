"""How much room frames and reports may take."""
