"""The layouts of other people's detectors: one family, one file, one line in `registry`."""
