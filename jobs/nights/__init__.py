"""Runs of the science: a night, a first student, pretraining, the demo."""
