"""Cameras that share one student: which are alike, and what sharing is worth."""
