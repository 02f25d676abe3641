"""Watching all cameras at once: frames to scores to each camera's day on disk."""
