"""Schedules, the training loop, and the trainings of a night."""
