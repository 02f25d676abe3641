"""The task of counting: density maps, how they are compared, and the data sets of known points."""
