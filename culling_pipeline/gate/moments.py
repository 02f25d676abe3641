"""Looks at chosen moments: what is read of a recording whose single frames can be had by a seek.

`SparseLooks` decides as the frames go by, so all of them are read. A recorder's day is thousands of
files, and reading it costs more than the looks. Here the moments are drawn first, and only they are
read: one in each of equally many stretches of what was recorded, so that no hour goes by unseen,
and in each stretch of the control slice as many as it holds.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from culling_pipeline.gate.gate import Decision
from culling_pipeline.records.day import GateRecord
from culling_pipeline.tasks.answers import Answer
from culling_pipeline.tasks.base import Task


class ControlMoments(NamedTuple):
    """The control slice, as far as moments are drawn for it: which times it holds, which stretch
    each belongs to, and how many frames a stretch gets."""

    holds: Callable[[float], bool]
    stretch_of: Callable[[float], int]
    frames: int


def draw_moments(
    there: Sequence[float], reads: int, control: ControlMoments, rng: np.random.Generator
) -> list[float]:
    """The moments to read, rising: `reads` of those that are there (seconds, rising) for the
    student and the random frames, and those of the control slice."""
    others: list[float] = []
    stretches: dict[int, list[float]] = defaultdict(list)
    for at_s in there:
        if control.holds(at_s):
            stretches[control.stretch_of(at_s)].append(at_s)
        else:
            others.append(at_s)
    chosen = [
        float(rng.choice(part))
        for part in np.array_split(np.array(others), max(1, min(reads, len(others))))
        if len(part)
    ]
    for held in stretches.values():
        chosen += rng.choice(held, min(control.frames, len(held)), replace=False).tolist()
    return sorted(chosen)


class PlannedLooks:
    """Looks evenly at frames that were read for it, with the face of a `Gate`. `frames` is how
    many the recording has, `reads` how many of them come here to be looked at or drawn."""

    def __init__(
        self,
        task: Task,
        *,
        frames: int,
        reads: int,
        looks: int,
        spared: Callable[[float], bool],
    ) -> None:
        self.task = task
        self._frames, self._reads, self._spared = frames, max(1, reads), spared
        self._looks = min(looks, self._reads)
        self._number = self._looked = 0

    def decide(self, image: NDArray[np.uint8], at_s: float = 0.0) -> Decision:
        """Whether to look at the next frame, which was taken at `at_s`: at `looks` of `reads`."""
        if self._spared(at_s):
            return Decision(math.inf, score=False)
        self._number += 1
        due = min(self._looks, math.ceil(self._number * self._looks / self._reads))
        score = self._looked < due
        self._looked += score
        return Decision(math.inf, score=score)

    def count(self, decision: Decision) -> None:
        """Nothing: a look is counted when it is decided, so that they are never too many."""

    def learn(
        self, decision: Decision, found: Answer, inherited: Answer, at_s: float = 0.0
    ) -> None:
        """Nothing: the moments are drawn beforehand."""

    def update(self) -> None:
        """Nothing is computed between frames."""

    @property
    def record(self) -> GateRecord:
        """What was looked at, and what was passed over, most of it unread."""
        return GateRecord(
            scored=self._looked,
            passed_over=max(0, self._frames - self._looked),
            skipped=0,
            audited=0,
            misses=0,
            recall=1.0,
            threshold=-1.0,
            blind=self._looked,
        )
