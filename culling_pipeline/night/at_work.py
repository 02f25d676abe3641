"""A running night: its plan, its parts, and what several of its stages need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from culling_pipeline.night.files import (
    NEW_FILE,
    OLD_FILE,
    SHOWN_FILE,
    STUDENT_FILE,
    TEACHER_FILE,
)
from culling_pipeline.night.inputs import NightParts, NightPlan
from culling_pipeline.records.costs import Activity, Cost, Purpose
from culling_pipeline.records.day import IngestRecord
from culling_pipeline.run.workers import PooledModel, Workers
from culling_pipeline.tasks.base import Task


@dataclass(frozen=True, slots=True)
class Night:
    """One night, as its stages see it. `incumbent` is the folder of the student it begins with."""

    plan: NightPlan
    parts: NightParts
    incumbent: Path
    workers: Workers
    started: datetime

    @property
    def task(self) -> Task:
        """The camera's task."""
        return self.plan.task

    @property
    def answers(self) -> Path:
        """The file of the incumbent's answers to the stored frames."""
        return self.parts.work / STUDENT_FILE

    @property
    def shown(self) -> Path:
        """The file of its answers for the report alone; absent where there are none."""
        return self.parts.work / SHOWN_FILE

    @property
    def truths(self) -> Path:
        """The file of the teacher's labels."""
        return self.parts.work / TEACHER_FILE

    @property
    def judged_old(self) -> Path:
        """The file of the incumbent's answers to the control frames, for people …"""
        return self.parts.work / OLD_FILE

    @property
    def judged_new(self) -> Path:
        """… and of the candidate's; absent in a night that an older release has judged."""
        return self.parts.work / NEW_FILE

    def candidate(self, arm: str) -> Path:
        """The weights that this arm has trained."""
        return self.parts.work / f"{arm}.safetensors"

    def student(self, path: Path) -> PooledModel:
        """A student at work in all processes."""
        return self.workers.model(self.task.student_opener(path, device=self.plan.device))

    def compares(self, day: IngestRecord, asked: Sequence[int]) -> bool:
        """Whether a second student is trained on random frames: not where the night's own frames
        (`asked`, those the teacher labels to train on) are a random draw already."""
        return bool(self.random_frames(day)) and tuple(asked) == day.survivors

    def random_frames(self, day: IngestRecord) -> tuple[int, ...]:
        """The frames of the second student: what the same total cost pays for without looks."""
        lottery = self.plan.budget.lottery
        return day.random[: lottery.keep] if lottery is not None else ()

    def head(self) -> dict[str, Any]:
        """The record of the night at its end."""
        plan = self.plan
        return {
            "camera": plan.camera,
            "date": plan.date,
            "run_id": plan.run_id,
            "source": plan.source,
            "classes": self.task.class_names,
            "student": plan.student_name,
            "teacher": plan.teacher_name,
            "code_version": plan.code_version,
            "started_at": self.started,
            "finished_at": datetime.now(UTC),
        }


@dataclass(frozen=True, slots=True)
class Spent:
    """A model's work and its cost, for the ledger."""

    images: int
    seconds: float
    device: str
    backend: str

    @classmethod
    def by(cls, pool: PooledModel, *, since: Self | None = None) -> Self:
        """All work of a pool, or the work since `since`."""
        images, seconds = (0, 0.0) if since is None else (since.images, since.seconds)
        return cls(pool.images - images, pool.seconds - seconds, pool.device, pool.backend)

    def cost(self, stage: str, activity: Activity, purpose: Purpose) -> Cost:
        """The line of the ledger."""
        return Cost(stage=stage, activity=activity, purpose=purpose, **asdict(self))
