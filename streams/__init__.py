"""Frames in: one source a file, and the sampler that picks one frame a second."""
