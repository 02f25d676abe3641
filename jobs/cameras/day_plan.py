"""Turns a camera's settings into the plan of what is taken from its day; needs no detector."""

from __future__ import annotations

from culling_pipeline.culling.strategies import STRATEGIES
from culling_pipeline.day.day import IngestPlan
from jobs.cameras.task import task_of
from jobs.config.settings import CameraDefaults


def ingest_plan(camera: CameraDefaults) -> IngestPlan:
    """What is taken from a day of this camera."""
    culling = camera.culling
    uses_teacher = STRATEGIES[culling.strategy].uses_teacher
    return IngestPlan(
        interval_s=1 / camera.fps,
        survivors=culling.survivors if uses_teacher else culling.keep,
        random=culling.keep,
        parts=culling.parts,
        control=culling.control.to_plan(),
        task=task_of(camera),
        gate=culling.gate.to_plan(),
        seed=camera.training.seed,
    )
