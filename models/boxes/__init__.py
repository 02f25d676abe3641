"""Detectors: what answers with boxes."""
