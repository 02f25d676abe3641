"""A day's control frames in a few figures, and the figures of many days as one table.

The control slice is a random draw, stratified by time of day, and one student scores all its
frames. So its sums can be compared from day to day; those of the chosen frames cannot.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np
from numpy.typing import NDArray

from culling_pipeline.day.day import IngestPlan
from culling_pipeline.day.daybook import answers_in
from culling_pipeline.day.watched_day import WatchedDay
from culling_pipeline.records.day import DayFigures, SlotFigures, StoredFrame
from culling_pipeline.tasks.answers import Answer
from culling_pipeline.tasks.base import Task

Table = NDArray[np.float64]

SLOTS = 12
"""The number of equal slots of the clock in a day: a street at four in the morning differs from the
same street at noon."""


def slot_of(moment: datetime) -> int:
    """The slot of the local clock a moment falls into, 0…11."""
    return moment.astimezone().hour * SLOTS // 24


def day_figures(
    frames: Iterable[StoredFrame],
    found: Mapping[int, Answer],
    task: Task,
    *,
    day: date,
    student: str,
) -> DayFigures:
    """The figures of these control frames; `found` has the answers of `student` by frame id. Slots
    without frames are left out."""
    looks = ((frame.wall_time, found[frame.id]) for frame in frames)
    return _of_looks(looks, task, day, student)


def _of_looks(
    looks: Iterable[tuple[datetime, Answer]], task: Task, day: date, student: str
) -> DayFigures:
    by_slot: dict[int, list[Answer]] = defaultdict(list)
    for moment, answer in looks:
        by_slot[slot_of(moment)].append(answer)
    slots = [slot_figures(slot, by_slot[slot], task) for slot in sorted(by_slot)]
    return DayFigures(date=day, student=student, slots=tuple(slots))


def slot_figures(slot: int, found: Sequence[Answer], task: Task) -> SlotFigures:
    """The figures of one slot, from the answers to its control frames."""
    sights = [task.sight(answer) for answer in found]
    objects = np.array([sight.objects for sight in sights], np.float64)
    return SlotFigures(
        slot=slot,
        frames=len(found),
        busy=sum(sight.busy for sight in sights),
        loss=sum(task.unsureness(answer) for answer in found),
        detections=sum(sight.detections for sight in sights),
        objects=tuple(objects.reshape(len(found), len(task.class_names)).sum(axis=0).tolist()),
    )


def figures_of_watched_day(watched: WatchedDay, plan: IngestPlan) -> DayFigures | None:
    """The figures of a watched day up to now, without a night, over the control frames scored by
    the same student as the latest one. None if there is no control frame yet."""
    day = watched.replayed(plan)
    found = answers_in(watched.folder, day.control_ids, plan.task)
    control = sorted(day.control_ids & set(found))
    if not control:
        return None
    student = day.frames[control[-1]].model
    looks = [(day.frames[i].wall_time, found[i]) for i in control if day.frames[i].model == student]
    return _of_looks(looks, plan.task, watched.clock.day, student)


@dataclass(frozen=True, slots=True)
class FigureTable:
    """T days × F figures × `SLOTS`: figure f of day t in slot s is `sums[t, f, s]` per
    `units[t, f, s]`. Figures are L_conf a frame, the share of frames with an object, the mean score
    of a detection, and for each class its objects a frame. A slot without frames has 0 units."""

    sums: Table
    units: Table

    def values(self) -> Table:
        """[T,F]: the figures of whole days; NaN if there is nothing to divide by."""
        units = self.units.sum(axis=2)
        nothing = np.full(units.shape, np.nan)
        np.divide(self.sums.sum(axis=2), units, out=nothing, where=units > 0)
        return nothing


def figure_names(class_names: Sequence[str]) -> tuple[str, ...]:
    """The figures' names, in the order of the table's."""
    return (
        "L_conf a frame",
        "share of frames with an object",
        "mean score of a detection",
        *(f"{name} objects a frame" for name in class_names),
    )


def as_table(days: Sequence[DayFigures]) -> FigureTable:
    """Days of the same classes as one table; at least one slot among them all."""
    n_classes = next(len(s.objects) for day in days for s in day.slots)
    shape = (len(days), 3 + n_classes, SLOTS)
    sums, units = np.zeros(shape), np.zeros(shape)
    for t, day in enumerate(days):
        for s in day.slots:
            sums[t, :, s.slot] = (s.loss, s.busy, sum(s.objects), *s.objects)
            units[t, :, s.slot] = s.frames
            units[t, 2, s.slot] = s.detections
    return FigureTable(sums, units)
