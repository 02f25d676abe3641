"""Weights that others have published: which there are, how they come here, how they become ours."""
