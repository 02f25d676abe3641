"""Schedules for any training loop (`docs/guide/schedules.md`), and the trainings of a night."""

from culling_pipeline.training.course import Course
from culling_pipeline.training.indexed import Indexed
from culling_pipeline.training.schedule import (
    Clip,
    ClipDap,
    Curriculum,
    DropAndPick,
    Sampler,
    Schedule,
    Standard,
)

__all__ = [
    "Clip",
    "ClipDap",
    "Course",
    "Curriculum",
    "DropAndPick",
    "Indexed",
    "Sampler",
    "Schedule",
    "Standard",
]
