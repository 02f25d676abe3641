"""Detectors: student and teacher, their weights in and out, a camera's model versions."""
