"""A whole night: all that its report shows."""

from __future__ import annotations

from datetime import date, datetime

from culling_pipeline.records.base import Record
from culling_pipeline.records.costs import BudgetRecord, Cost
from culling_pipeline.records.day import DayFigures, IngestRecord
from culling_pipeline.records.judging import JudgeRecord
from culling_pipeline.records.labels import CullRecord, LabelRecord
from culling_pipeline.records.monitoring import TO_DO, DriftRecord, ViewRecord
from culling_pipeline.records.training import ResolutionRecord, TrainRecord


class NightHead(Record):
    """What is known of every night: whose and when it was, the day, and whether the camera still
    looked where it did (None in nights older than that question)."""

    camera: str
    date: date
    run_id: str
    source: str
    classes: tuple[str, ...]
    student: str
    teacher: str
    code_version: str
    started_at: datetime
    finished_at: datetime
    ingest: IngestRecord
    view: ViewRecord | None = None
    notes: tuple[str, ...] = ()


class UnusableNight(NightHead):
    """A night that ended after its day was looked at, since the lens was moved or covered: nothing
    was labelled or trained, and the incumbent stays."""

    view: ViewRecord

    @property
    def why(self) -> str:
        """Why nothing was trained, and what to do about it."""
        return f"{self.view.in_words}; {TO_DO[self.view.state]}"


class NightRecord(NightHead):
    """One whole night of one camera: everything the report shows. `drift` is the test's verdict on
    the day (None where it could not be asked)."""

    label: LabelRecord
    cull: CullRecord
    resolution: ResolutionRecord
    train: TrainRecord
    random_train: TrainRecord | None
    judge: JudgeRecord
    version: str | None
    cost_ratio: float
    full_training_s: float
    night_s: float
    drift: DriftRecord | None = None
    budget: BudgetRecord | None = None

    @property
    def asked(self) -> tuple[int, ...]:
        """The frames that the teacher labelled for training."""
        return self.ingest.survivors if self.label.asked is None else self.label.asked

    @property
    def day_figures(self) -> tuple[DayFigures, ...]:
        """What the camera's history gains by this night: the day as the old student saw it and, if
        there is a new one in use, as that did."""
        new = self.judge.figures if self.version is not None else None
        return tuple(figures for figures in (self.ingest.figures, new) if figures is not None)

    @property
    def ledger(self) -> tuple[Cost, ...]:
        """All costs of the night in the order they were paid."""
        stages = (self.ingest, self.label, self.cull, self.resolution, self.train)
        costs = [cost for stage in stages for cost in stage.costs]
        if self.random_train is not None:
            costs += self.random_train.costs
        return (*costs, *self.judge.costs)


AnyNight = NightRecord | UnusableNight
