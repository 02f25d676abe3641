"""Plans have no defaults of their own, the ranges of the settings they are made of, and refuse
what is outside of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, fields
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import pytest

from culling_pipeline.day.control_slice import ControlPlan
from culling_pipeline.day.day import IngestPlan
from culling_pipeline.gate.gate import GatePlan
from culling_pipeline.judging.verdict import JudgePlan
from culling_pipeline.night.inputs import NightPlan
from culling_pipeline.tasks.boxes.confidence import ConfidencePlan
from culling_pipeline.tasks.boxes.task import BoxTask
from culling_pipeline.tasks.samples import Variation
from culling_pipeline.training.loop import TrainPlan
from culling_pipeline.training.options import ScheduleOptions
from jobs.config.fields import Section
from jobs.config.night import (
    ConfidenceSettings,
    ControlSettings,
    GateSettings,
    JudgingSettings,
    ResolutionSettings,
    TrainingSettings,
)
from models.boxes.families.base import ForeignOptions
from streams.live.health import HealthLimits
from streams.live.options import LiveOptions
from tests.unit.plans import (
    box_task,
    confidence_plan,
    control_plan,
    gate_plan,
    judge_plan,
    train_plan,
    variation,
)

PLANS: list[type[Any]] = [
    BoxTask,
    ForeignOptions,
    HealthLimits,
    LiveOptions,
    *(ConfidencePlan, ControlPlan, GatePlan, IngestPlan, JudgePlan),
    *(NightPlan, ScheduleOptions, TrainPlan, Variation),
]
NOT_CONFIGURABLE = {
    *("student_name", "teacher_name", "teacher_weights"),
    *("code_version", "settings", "notes", "trained"),
    *("first_pause_s", "settled_s", "barren_s", "queue_frames", "poll_s", "most_pixels", "look_s"),
}
"""What no setting says: what a night's report says about it, when the night before trained, and how
a live camera is read in detail."""


@pytest.mark.parametrize("plan", PLANS)
def test_a_plan_has_no_defaults_of_its_own(plan: type[Any]) -> None:
    own = {f.name for f in fields(plan) if f.default is not MISSING}
    own |= {f.name for f in fields(plan) if f.default_factory is not MISSING}
    assert own <= NOT_CONFIGURABLE


@pytest.mark.parametrize(
    ("plan", "section"),
    [
        (ConfidencePlan, ConfidenceSettings),
        (ControlPlan, ControlSettings),
        (GatePlan, GateSettings),
        (JudgePlan, JudgingSettings),
        (NightPlan, ResolutionSettings),
        (ScheduleOptions, TrainingSettings),
        (TrainPlan, TrainingSettings),
        (Variation, TrainingSettings),
    ],
)
def test_a_range_is_the_settings(plan: type[Any], section: type[Section]) -> None:
    own = get_type_hints(plan, include_extras=True)
    theirs = get_type_hints(section, include_extras=True)
    shared = own.keys() & theirs.keys()
    assert shared
    for name in shared:
        assert without_none(own[name]) == without_none(theirs[name]), name


def without_none(hint: Any) -> Any:
    """A setting may be left open where the plan has to say what is done."""
    parts = [part for part in get_args(hint) if part is not type(None)]
    is_optional = get_origin(hint) is not Annotated and type(None) in get_args(hint)
    return parts[0] if is_optional else hint


@pytest.mark.parametrize(
    ("make", "wrong", "message"),
    [
        (gate_plan, {"every": 0}, "every: got 0, must be 1 or more"),
        (gate_plan, {"min_recall": 1.0}, "min_recall: got 1.0, must be < 1"),
        (box_task, {"student_min_score": -0.1}, r"student_min_score: got -0.1, must be 0 or more"),
        (box_task, {"teacher_min_score": 1.1}, r"teacher_min_score: got 1.1, must be 1 or less"),
        (box_task, {"teacher_min_side": "a"}, r"teacher_min_side: got 'a', must be a number"),
        (box_task, {"min_object_px": -1}, r"min_object_px: got -1, must be 0 or more"),
        (gate_plan, {"enabled": 1}, "enabled: got 1, must be true or false"),
        (control_plan, {"share": 0}, "share: got 0, must be > 0"),
        (control_plan, {"placement": "start"}, "placement: got 'start', must be one of 'auto'"),
        (confidence_plan, {"q": float("inf")}, "q: got inf, must be a finite number"),
        (confidence_plan, {"b": True}, "b: got True, must be a number"),
        (confidence_plan, {"reduce": "median"}, "reduce: got 'median', must be one of 'sum'"),
        (judge_plan, {"min_gain": 2}, "min_gain: got 2, must be 1 or less"),
        (train_plan, {"schedule": "dop"}, "schedule: got 'dop', must be one of 'standard'"),
        (train_plan, {"batch_size": 2.5}, "batch_size: got 2.5, must be a whole number"),
        (train_plan, {"learning_rate": "fast"}, "learning_rate: got 'fast', must be a number"),
        (train_plan, {"learning_rate_steps": (3, 0)}, r"learning_rate_steps\[1\]: got 0, must be"),
        (variation, {"paste": 1.1}, "paste: got 1.1, must be 1 or less"),
        (variation, {"crops": -0.1}, "crops: got -0.1, must be 0 or more"),
        (variation, {"shift": 0.6}, "shift: got 0.6, must be 0.5 or less"),
    ],
)
def test_a_wrong_plan_is_refused_in_one_line(
    make: Callable[..., Any], wrong: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=f"^{message}[^\n]*$"):
        make(**wrong)
