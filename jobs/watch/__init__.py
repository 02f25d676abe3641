"""Watches all cameras at once: from frames to scores to each camera's day on disk."""
