"""Sources of frames, one file each, and the sampler that picks one frame a second."""
