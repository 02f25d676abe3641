"""The time and the L_conf of every frame of a day, in arrays.

16 bytes a frame. A day's record is made from it. While a live camera is watched it is not needed:
the daybook has the same values (`daybook.py`).
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from culling_pipeline.records.day import LossPoint
from culling_pipeline.tasks.answers import Answer
from culling_pipeline.tasks.base import Task

HISTOGRAM_BINS = 40
_POINTS = 96
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One sampled frame without its picture and answer. `shape` is its height and width in pixels;
    without `scored` its L_conf was taken over from an earlier frame; `model` is the version of the
    student that gave it."""

    time_s: float
    wall_time: datetime
    shape: tuple[int, int]
    loss: float
    scored: bool
    model: str = ""


class LossSeries:
    """The day's course, frame by frame."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._losses = array("d")
        self._class_losses = array("d")
        self._walls = array("q")  # microseconds

    def __len__(self) -> int:
        return len(self._losses)

    @property
    def wants_answers(self) -> bool:
        """Whether `note` needs the student's answer."""
        return self._task.standardises

    def note(self, seen: Seen, answer: Answer) -> None:
        """The next frame."""
        self._losses.append(seen.loss)
        self._walls.append((seen.wall_time - _EPOCH) // _MICROSECOND)
        if self._task.standardises:
            self._class_losses.extend(self._task.unsureness_by_class(answer))

    def losses(self) -> NDArray[np.float64]:
        """L_conf of all F frames, F float64; standardised per class over the whole day if the task
        does so."""
        if not self._task.standardises:
            return np.array(self._losses)
        n_classes = len(self._task.class_names)
        table = np.array(self._class_losses).reshape(len(self), n_classes)
        return self._task.unsureness_of_day(table)

    def points(self, losses: NDArray[np.float64]) -> tuple[LossPoint, ...]:
        """Mean and 90th percentile of these F losses in slices of equal numbers of frames."""
        slices = np.array_split(np.arange(len(losses)), min(_POINTS, len(losses)))
        return tuple(
            LossPoint(
                wall_time=_EPOCH + self._walls[int(rows[len(rows) // 2])] * _MICROSECOND,
                frames=len(rows),
                mean=float(losses[rows].mean()),
                p90=float(np.quantile(losses[rows], 0.9)),
            )
            for rows in slices
        )
