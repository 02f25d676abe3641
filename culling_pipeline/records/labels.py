"""The teacher's work and what it was worth: labels, corrections, trust, and the kept set."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from culling_pipeline.records.base import Record
from culling_pipeline.records.costs import Cost
from culling_pipeline.records.scores import Score


class Disagreement(Record):
    """Where student and teacher differ on one frame (greedy matching, IoU ≥ 0.5).

    `found_labels`, `missed_labels` and `invented_labels` are the classes of the boxes in question,
    one entry a box.
    """

    frame_id: int
    teacher_objects: int
    missed: int
    invented: int
    average_precision: float
    found_labels: tuple[int, ...] = ()
    missed_labels: tuple[int, ...] = ()
    invented_labels: tuple[int, ...] = ()


class CorrectedFrame(Record):
    """A frame whose labels a person has corrected: the night it is from, when it was taken, its
    JPEG, its boxes and their classes.
    `class_names` are all that were looked for, found or not."""

    run_id: str
    frame_id: int
    wall_time: datetime
    image: str
    height_px: int
    width_px: int
    class_names: tuple[str, ...]
    boxes_xyxy: tuple[tuple[float, float, float, float], ...]
    classes: tuple[str, ...]
    corrected_at: datetime


class CheckedFrame(Record):
    """How the teacher did on a frame that a person has checked: the night it is from, who the
    teacher was, whether the frame was drawn at random or shown because student and teacher differ
    there, the teacher's `boxes`, how many of them are `right`, and the objects it `missed`."""

    run_id: str
    frame_id: int
    teacher: str
    drawn: Literal["random", "differs"]
    boxes: int = Field(ge=0)
    right: int = Field(ge=0)
    missed: int = Field(ge=0)
    checked_at: datetime


class Agreement(Record):
    """How often a person found the teacher right: of the `boxes` in `frames` drawn at random,
    `right` were, in `missed` places it had none. The share of right boxes lies between `low` and
    `high` at 95 %."""

    frames: int
    boxes: int
    right: int
    missed: int
    low: float
    high: float

    @property
    def share(self) -> float:
        """Right boxes of all, 0…1."""
        return self.right / self.boxes

    @property
    def in_words(self) -> str:
        """One sentence, for the report and the pages."""
        low, high = (f"{100 * bound:.0f}" for bound in (self.low, self.high))
        frames = "1 frame" if self.frames == 1 else f"{self.frames:,} frames"
        objects = "1 object" if self.missed == 1 else f"{self.missed:,} objects"
        return (
            f"The teacher was right in {100 * self.share:.0f} % of {self.boxes:,} boxes that were "
            f"checked by hand in {frames} drawn at random (95 % interval {low} to {high} %), and "
            f"missed {objects} there."
        )


class TrustRecord(Record):
    """Whether frames are chosen by the student's unsureness tonight: its `score` on the control
    slice, the `rank` correlation there between L_conf and the number of errors (None where it says
    nothing), on how many `frames`, and the reason in words."""

    score: Score
    rank: float | None
    frames: int
    trusted: bool
    reason: str


class BlindSpot(Record):
    """Objects that the teacher found in the control slice and how many of these the student missed,
    with the 95 % interval of the share: of a class (`label`, empty for all) or between two `hours`
    of the camera's clock (in older nights, of the machine's)."""

    label: str
    hours: tuple[int, int] | None
    objects: int
    missed: int
    low: float
    high: float


class LabelRecord(Record):
    """The teacher's work. The boxes themselves lie in the night's folder as `teacher.npz`.
    `corrected` counts the frames whose labels people had corrected before, which stand. `trust` is
    the word on the student's unsureness and `blind` what the student did not see, both from the
    control slice; with them came `asked`, the frames labelled to train on (before, the day's
    survivors). `agreement` is what people have found of this teacher's earlier labels."""

    labelled: int
    objects: int
    corrected: int = 0
    costs: tuple[Cost, ...]
    trust: TrustRecord | None = None
    blind: tuple[BlindSpot, ...] = ()
    asked: tuple[int, ...] | None = None
    agreement: Agreement | None = None


class CullRecord(Record):
    """The kept set: frame ids, hardest first, and why each survivor was kept or not.

    `shown` are frames of the kept set that the student answered for the report alone, since nobody
    had looked at them before, and `costs` what that cost (none in older nights).
    """

    strategy: str
    kept: tuple[int, ...]
    survivors: tuple[Disagreement, ...]
    teacher_calls: int
    shown: tuple[Disagreement, ...] = ()
    costs: tuple[Cost, ...] = ()
