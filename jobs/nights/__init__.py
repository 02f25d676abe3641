"""One night of one camera: from its configuration to the objects that the science works with."""
