"""Plans as the settings' defaults make them, but for what a test wants otherwise."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from culling_pipeline.day.control_slice import ControlPlan
from culling_pipeline.gate.gate import GatePlan
from culling_pipeline.judging.verdict import JudgePlan
from culling_pipeline.tasks.boxes.confidence import ConfidencePlan
from culling_pipeline.tasks.boxes.task import BoxTask
from culling_pipeline.tasks.samples import Variation
from culling_pipeline.training.loop import TrainPlan
from culling_pipeline.training.options import ScheduleOptions
from jobs.cameras.task import task_of
from jobs.config.live import LiveSettings
from jobs.config.night import (
    ConfidenceSettings,
    ControlSettings,
    GateSettings,
    JudgingSettings,
    TrainingSettings,
)
from jobs.config.settings import CameraConfig
from streams.live.health import HealthLimits
from streams.live.options import LiveOptions

BARE = TrainingSettings(
    epochs=12, learning_rate_steps=(), pick=(), interval=2, paste=0.0, shift=0.0, light=0.0
)
"""Training whose rate never falls, that picks nothing up and varies nothing but left and right."""


def box_task(*classes: str, **changes: Any) -> BoxTask:
    """A camera's boxes, of a person if nothing else is said."""
    names = list(classes) or ["person"]
    camera = CameraConfig.model_validate({"name": "yard", "source": "a.mp4", "classes": names})
    return replace(task_of(camera), **changes)


def confidence_plan(**changes: Any) -> ConfidencePlan:
    return replace(ConfidenceSettings().to_plan(), **changes)


def control_plan(**changes: Any) -> ControlPlan:
    return replace(ControlSettings().to_plan(), **changes)


def gate_plan(**changes: Any) -> GatePlan:
    return replace(GateSettings().to_plan(), **changes)


def judge_plan(**changes: Any) -> JudgePlan:
    settings = JudgingSettings().model_dump(exclude={"earlier_frames"})
    return replace(JudgePlan(**settings, seed=0), **changes)


def live_options(**changes: Any) -> LiveOptions:
    return replace(LiveSettings().to_options(must_answer=True), **changes)


def health_limits(**changes: Any) -> HealthLimits:
    return replace(live_options().health, **changes)


def schedule_options(**changes: Any) -> ScheduleOptions:
    return replace(BARE.to_options(), **changes)


def variation(**changes: Any) -> Variation:
    return replace(BARE.to_variation(), **changes)


def train_plan(**changes: Any) -> TrainPlan:
    return replace(BARE.to_plan(), **changes)
