"""The science: what to keep, at which size, how to train, and what the night was worth."""
