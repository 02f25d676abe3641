"""One night of one camera, from top to bottom."""
