"""Frames and models in a bucket that several machines share."""
