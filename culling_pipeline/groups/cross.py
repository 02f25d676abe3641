"""How well each camera's student does on every other camera's control slice.

The control frames and their labels are those of each camera's last night: nothing is labelled anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from culling_pipeline.labels.teacher_labels import answers_of
from culling_pipeline.records.day import StoredFrame
from culling_pipeline.run.progress import Advance, Progress
from culling_pipeline.run.workers import Workers
from culling_pipeline.stage_names import CONTROL_SLICE, JUDGE
from culling_pipeline.tasks.answers import Answer, Truth
from culling_pipeline.tasks.base import Task
from culling_pipeline.tasks.metric import Comparison

Answers = list[Answer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A camera as its last night left it: the student in use, the height and width it works at
    there; the control frames in `folder`, their height and width, and each one's truth and stretch
    of time."""

    camera: str
    task: Task
    student: Path
    size: tuple[int, int]
    folder: Path
    shape: tuple[int, int]
    frames: tuple[StoredFrame, ...]
    truths: tuple[Truth, ...]
    blocks: tuple[int, ...]

    def at_most(self, count: int) -> Member:
        """The same with so many of its frames, evenly chosen."""
        if len(self.frames) <= count:
            return self
        chosen = np.linspace(0, len(self.frames) - 1, count).round().astype(int)
        return replace(
            self,
            frames=tuple(self.frames[k] for k in chosen),
            truths=tuple(self.truths[k] for k in chosen),
            blocks=tuple(self.blocks[k] for k in chosen),
        )

    def score(self, answers: Sequence[Answer]) -> float:
        """How good these answers to the control frames are."""
        return self.task.score(answers, self.truths).score.value

    def compare(self, before: Sequence[Answer], after: Sequence[Answer]) -> Comparison:
        """Two students' answers to the control frames."""
        rng = np.random.default_rng(61)
        return self.task.compare(before, after, self.truths, self.blocks, rng=rng)


class Looks:
    """Students at work on members' control frames; counts the looks and their seconds."""

    def __init__(self, workers: Workers, *, device: str, progress: Progress) -> None:
        self._workers, self._device, self._progress = workers, device, progress
        self.images, self.seconds = 0, 0.0

    def of(self, student: Path, members: Sequence[Member], *, name: str) -> list[Answers]:
        """What a student says of each member's control frames, without their ignore zones."""
        total = sum(len(member.frames) for member in members)
        with self._progress.stage(JUDGE.of(f"{name}, {CONTROL_SLICE}"), total) as advance:
            return [self._said(student, member, advance) for member in members]

    def _said(self, student: Path, member: Member, advance: Advance) -> Answers:
        opener = member.task.student_opener(
            student, device=self._device, size=member.size, ignoring=False
        )
        pool = self._workers.model(opener)
        found = answers_of(pool, member.frames, member.folder, advance)
        self.images += pool.images
        self.seconds += pool.seconds
        return [member.task.outside_zones(found[f.id], *member.shape) for f in member.frames]


@dataclass(frozen=True, slots=True)
class Crossed:
    """`answers[i][j]`: what the student of member i says of the control frames of member j;
    `scores` the same as N×N figures (0…1)."""

    members: tuple[Member, ...]
    answers: tuple[tuple[Answers, ...], ...]
    scores: NDArray[np.float64]

    @property
    def distances(self) -> NDArray[np.float64]:
        """N×N: the share of its own student's score that a member loses with the other's student,
        the mean of both directions; 0 where it loses nothing."""
        own = np.diag(self.scores)
        lost = np.clip(1 - self.scores / np.where(own > 0, own, 1), 0, 1)
        apart: NDArray[np.float64] = (lost + lost.T) / 2
        np.fill_diagonal(apart, 0.0)
        return apart


def cross(members: Sequence[Member], looks: Looks) -> Crossed:
    """Every member's student on every member's control frames."""
    answers = tuple(tuple(looks.of(m.student, members, name=m.camera)) for m in members)
    scores = np.array(
        [[m.score(said) for m, said in zip(members, row, strict=True)] for row in answers]
    )
    return Crossed(tuple(members), answers, scores)
