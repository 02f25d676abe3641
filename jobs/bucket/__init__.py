"""Frames and models in a store that several machines share."""
