"""A day's control frames in a few figures, and the figures of many days as one table.

The control slice is a random draw, stratified by time of day, and its frames are all scored by one
student: so its sums are comparable from day to day, which those of the chosen frames are not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np
from numpy.typing import NDArray

from culling_pipeline.day.day import Day
from culling_pipeline.records import DayFigures, SlotFigures, StoredFrame
from culling_pipeline.tasks.boxes.confidence import ConfidencePlan
from models.boxes.detections import Detections

Table = NDArray[np.float64]

SLOTS = 12
"""Into how many equal slots of the clock a day is cut: at four in the morning another street is
usual than at noon."""


def slot_of(moment: datetime) -> int:
    """The slot of the local clock a moment falls into, 0…11."""
    return moment.astimezone().hour * SLOTS // 24


def day_figures(
    frames: Iterable[StoredFrame],
    found: Mapping[int, Detections],
    *,
    day: date,
    student: str,
    n_classes: int,
    confidence: ConfidencePlan,
) -> DayFigures:
    """The figures of these control frames, of which `student` found `found` (by frame id). Only
    detections of `confidence.min_score` or more count. No frame gives no slot."""
    looks = ((frame.wall_time, found[frame.id]) for frame in frames)
    return _of_looks(looks, day, student, n_classes, confidence)


def _of_looks(
    looks: Iterable[tuple[datetime, Detections]],
    day: date,
    student: str,
    n_classes: int,
    confidence: ConfidencePlan,
) -> DayFigures:
    by_slot: dict[int, list[Detections]] = defaultdict(list)
    for moment, detections in looks:
        by_slot[slot_of(moment)].append(detections)
    slots = [
        slot_figures(slot, by_slot[slot], n_classes=n_classes, confidence=confidence)
        for slot in sorted(by_slot)
    ]
    return DayFigures(date=day, student=student, slots=tuple(slots))


def slot_figures(
    slot: int, found: Sequence[Detections], *, n_classes: int, confidence: ConfidencePlan
) -> SlotFigures:
    """The figures of one slot, from the detections of its control frames."""
    kept = [d.above(confidence.min_score) for d in found]
    objects = np.zeros(n_classes)
    for detections in kept:
        np.add.at(objects, detections.labels, detections.scores)
    return SlotFigures(
        slot=slot,
        frames=len(kept),
        busy=sum(len(d) > 0 for d in kept),
        loss=sum(confidence.loss_of(d) for d in kept),
        detections=sum(len(d) for d in kept),
        objects=tuple(objects.tolist()),
    )


def figures_of_watched_day(
    day: Day, found: Mapping[int, Detections], *, on: date, n_classes: int
) -> DayFigures | None:
    """The figures of a watched day as it is up to now, without a night: of the control frames that
    the student of the latest one scored (`found`, by frame id, as `story.detections_of` reads them
    from the daybook). None if there is no control frame yet."""
    control = sorted(day.control_ids & set(found))
    if not control:
        return None
    student = day.frames[control[-1]].model
    looks = [(day.frames[i].wall_time, found[i]) for i in control if day.frames[i].model == student]
    return _of_looks(looks, on, student, n_classes, day.plan.confidence)


@dataclass(frozen=True, slots=True)
class FigureTable:
    """T days × F figures × `SLOTS`: figure f of day t in slot s is `sums[t, f, s]` per
    `units[t, f, s]`. Figures are L_conf a frame, the share of frames with an object, the mean score
    of a detection, and for each class its objects a frame. A slot without frames has 0 units."""

    sums: Table
    units: Table

    def values(self) -> Table:
        """[T,F]: the figures of whole days; NaN where there is nothing to count by."""
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
