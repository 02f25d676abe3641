"""From a camera's settings to what is taken from its day; needs no detector."""

from __future__ import annotations

from culling_pipeline.culling.strategies import STRATEGIES
from culling_pipeline.day.control_slice import ControlPlan
from culling_pipeline.day.day import IngestPlan
from culling_pipeline.gate.gate import GatePlan
from culling_pipeline.tasks.boxes.confidence import ConfidencePlan
from jobs.config.settings import CameraDefaults


def ingest_plan(camera: CameraDefaults) -> IngestPlan:
    """What is taken from a day."""
    culling = camera.culling
    uses_teacher = STRATEGIES[culling.strategy].uses_teacher
    return IngestPlan(
        interval_s=1 / camera.fps,
        survivors=culling.survivors if uses_teacher else culling.keep,
        random=culling.keep,
        parts=culling.parts,
        control=ControlPlan(**culling.control.model_dump()),
        confidence=ConfidencePlan(**culling.confidence.model_dump()),
        gate=GatePlan(**culling.gate.model_dump(), min_score=camera.student.min_score),
        seed=camera.training.seed,
    )
