"""Boxes: detections as answers."""
