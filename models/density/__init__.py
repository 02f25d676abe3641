"""Density maps, whose sum is a count: what one is, and the nets that answer with one."""
