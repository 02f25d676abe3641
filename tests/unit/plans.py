"""Plans as the settings' defaults make them, but for what a test wants otherwise."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from culling_pipeline.day.control_slice import ControlPlan
from culling_pipeline.gate.gate import GatePlan
from culling_pipeline.judging.verdict import JudgePlan
from culling_pipeline.tasks.base import Variation
from culling_pipeline.tasks.boxes.confidence import ConfidencePlan
from culling_pipeline.training.loop import TrainPlan
from culling_pipeline.training.schedule import ScheduleOptions
from jobs.config.night import (
    ConfidenceSettings,
    ControlSettings,
    GateSettings,
    JudgingSettings,
    TrainingSettings,
)
from jobs.config.weights import StudentSettings

BARE = TrainingSettings(
    epochs=12, learning_rate_steps=(), pick=(), interval=2, paste=0.0, shift=0.0, light=0.0
)
"""Training whose rate never falls, that picks nothing up and varies nothing but left and right."""


def confidence_plan(**changes: Any) -> ConfidencePlan:
    return replace(ConfidenceSettings().to_plan(), **changes)


def control_plan(**changes: Any) -> ControlPlan:
    return replace(ControlSettings().to_plan(), **changes)


def gate_plan(**changes: Any) -> GatePlan:
    plan = GateSettings().to_plan(min_score=StudentSettings(weights="none").min_score)
    return replace(plan, **changes)


def judge_plan(**changes: Any) -> JudgePlan:
    return replace(JudgePlan(**JudgingSettings().model_dump(), seed=0), **changes)


def schedule_options(**changes: Any) -> ScheduleOptions:
    return replace(BARE.to_options(), **changes)


def variation(**changes: Any) -> Variation:
    return replace(BARE.to_variation(), **changes)


def train_plan(**changes: Any) -> TrainPlan:
    return replace(BARE.to_plan(), **changes)
