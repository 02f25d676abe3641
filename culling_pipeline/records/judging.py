"""What the night was worth, and whether the new student was put to work."""

from __future__ import annotations

from datetime import datetime

from culling_pipeline.records.base import Record
from culling_pipeline.records.costs import Cost
from culling_pipeline.records.day import DayFigures
from culling_pipeline.records.scores import Accuracy


class EarlierDays(Record):
    """Both students on control frames of earlier `days`, and the 95 % interval of the difference:
    whether the new one has forgotten something. The verdict does not go by it."""

    days: int
    before: Accuracy
    after: Accuracy
    difference_low: float
    difference_high: float


class CountPoint(Record):
    """One control frame of a camera that counts: what the teacher, the old and the new student
    count there, and, if it ran, the one trained on random frames. Older nights do not name the
    frame."""

    wall_time: datetime
    teacher: float
    before: float
    after: float
    random: float | None = None
    frame_id: int | None = None


class Errors(Record):
    """A student against the teacher on one frame: the numbers of the classes of the objects that it
    found, of those that it missed, and of those that it invented, one entry an object."""

    found: tuple[int, ...] = ()
    missed: tuple[int, ...] = ()
    invented: tuple[int, ...] = ()

    @property
    def count(self) -> int:
        """How many errors it made here."""
        return len(self.missed) + len(self.invented)


class ControlFrame(Record):
    """One control frame of a camera that looks for objects: the old and the new student against the
    teacher, and, if it ran, the student trained on random frames."""

    frame_id: int
    before: Errors
    after: Errors
    random: Errors | None = None


class JudgeRecord(Record):
    """What the night was worth, measured on the control slice. `figures` are the candidate's, of
    the same frames as the incumbent's in the `IngestRecord`: they link the two students. `earlier`
    is what both are worth on control frames of earlier days (None where there are none). `counts`
    are of cameras that count, in the order of time; `frames` of those that look for objects (none
    in older nights)."""

    before: Accuracy
    after: Accuracy
    random: Accuracy | None
    difference_low: float
    difference_high: float
    promoted: bool
    reason: str
    costs: tuple[Cost, ...]
    figures: DayFigures | None = None
    earlier: EarlierDays | None = None
    counts: tuple[CountPoint, ...] = ()
    frames: tuple[ControlFrame, ...] = ()


class PromotionRecord(Record):
    """That the candidate is kept as a version, and whether it was put to work."""

    version: str
    promoted: bool
