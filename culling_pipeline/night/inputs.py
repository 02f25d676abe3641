"""The inputs of a night: its settings, its working parts, and the journal of its stages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, tzinfo
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from culling_pipeline.culling.strategies import Strategy
from culling_pipeline.day.day import IngestPlan
from culling_pipeline.day.watched_day import WatchedDay
from culling_pipeline.judging.verdict import JudgePlan
from culling_pipeline.labels.corrections import Corrections
from culling_pipeline.labels.replay import ReplayStore
from culling_pipeline.monitoring.reference_views import ReferenceViews
from culling_pipeline.ranges import Count, Flag, Positive, PositiveShare, WholeFromZero, check
from culling_pipeline.records.costs import BudgetRecord
from culling_pipeline.records.day import DayFigures, IngestRecord
from culling_pipeline.records.judging import JudgeRecord
from culling_pipeline.records.labels import CullRecord, LabelRecord
from culling_pipeline.records.training import ArmsRecord, ResolutionRecord
from culling_pipeline.run.progress import Progress
from culling_pipeline.tasks.base import Task
from culling_pipeline.training.loop import TrainPlan
from models.base import OpenModel
from models.registry import ModelRegistry
from streams.base import FrameSource


class Journal(Protocol):
    """Where the stages' results are kept between two tries of a night."""

    def load(self, stage: str) -> dict[str, Any] | None:
        """A stage's result, or None if it has not been finished."""

    def save(self, stage: str, result: dict[str, Any]) -> None:
        """Keep a stage's result; durable when this returns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NightPlan:
    """All settings of a night, as plain values; `jobs` makes it from the configuration.

    `source` is the camera's address, safe to show; `full_size` is height and width in pixels that
    the student works at before optResolution.
    """

    camera: str
    source: str
    date: date
    run_id: str
    task: Task
    strategy_name: str
    strategy: Strategy
    ingest: IngestPlan
    budget: BudgetRecord
    """What the night may cost, and what that is divided into."""
    trusted_from: float | None
    """The score on the control slice from which the student's unsureness is believed; None: any."""
    find_resolution: Flag
    resolution_threshold: Positive | None
    min_scale: PositiveShare
    training: TrainPlan
    lottery_training: TrainPlan
    """The same, for random frames at the same total cost."""
    full_images: Positive
    """How often full training would show each frame of the day, on average."""
    judging: JudgePlan
    full_size: tuple[Count, Count]
    corrected_frames: WholeFromZero
    """How many frames with corrected labels are trained on beside the kept set, at most."""
    workers: Count
    device: str
    zone: tzinfo
    """The camera's, for the times in its report."""
    student_name: str = ""
    teacher_name: str = ""
    teacher_weights: str = ""
    code_version: str = ""
    settings: str = ""
    """Fingerprint of the camera's configuration."""
    notes: tuple[str, ...] = ()
    """What is unusual about this night, for its report."""

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class NightParts:
    """The parts of a night: the source of frames, the two models, and places on disk.

    `open_source` opens a recording; with `watched_day` the frames come from a live camera's
    stored day, and it is not called. `history` has the figures of the camera's earlier days, oldest
    first; drift is judged by them. `replay` has frames of earlier nights to train on again,
    `earlier_control` their control frames, which nobody has trained on. `report` is the folder of
    the night's page.
    """

    open_source: Callable[[], FrameSource]
    watched_day: WatchedDay | None = None
    start: Callable[[], str]
    """The version in use; makes the camera's first one if there is none."""
    open_teacher: OpenModel
    registry: ModelRegistry
    frames: Path
    work: Path
    report: Path
    journal: Journal
    progress: Progress
    views: ReferenceViews
    replay: ReplayStore
    earlier_control: ReplayStore
    history: tuple[DayFigures, ...] = ()
    corrections: Corrections = field(default_factory=Corrections)


class Results(NamedTuple):
    """The results of earlier stages."""

    day: IngestRecord
    label: LabelRecord
    cull: CullRecord
    size: ResolutionRecord
    arms: ArmsRecord
    verdict: JudgeRecord
