"""What went by on a day, and which of its frames were kept."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime

from pydantic import Field

from culling_pipeline.records.base import Record
from culling_pipeline.records.costs import Cost


class StoredFrame(Record):
    """A frame on disk. `id` counts the frames sampled this day, from 0; `path` is relative to the
    night's frame folder. `part` is the equal part of the day (stratum) it fell into."""

    id: int
    path: str
    time_s: float
    wall_time: datetime
    part: int
    confidence_loss: float


class LossPoint(Record):
    """The day's course of the confidence loss: one point per slice of time."""

    wall_time: datetime
    frames: int
    mean: float
    p90: float


class GateRecord(Record):
    """What the student was not asked: frames scored, frames passed over (between two that it may be
    asked about) and frames skipped because nothing had changed; of the scored, those only to see
    what skipping them would have lost (audits), and how many of these it would have (misses);
    `recall` of object frames as the audits estimate it, 0…1; the threshold at the end of the day
    (−1: everything was scored). With sparse looks `blind` is how many of the scored frames were
    drawn at random; the others lie where something changed."""

    scored: int
    passed_over: int = 0
    skipped: int
    audited: int
    misses: int
    recall: float
    threshold: float
    blind: int | None = None


class FeedRecord(Record):
    """How a live camera's day went: seconds it was down (not there, stalled or lost), seconds
    nobody watched (`culling ingest` was not running), frames dropped because this machine was
    behind, and frames not kept because its disk was full."""

    down_s: float
    unwatched_s: float
    dropped: int
    paused: int


class SlotFigures(Record):
    """What a student found in the control frames of two hours, as sums over `frames` frames: `busy`
    frames with a detection, `loss` (L_conf), `detections`, and `objects`, for each class the sum of
    its detections' scores, so that a doubtful one counts for less. `slot` 0 begins at midnight by
    the local clock, slot 11 at 22:00."""

    slot: int
    frames: int
    busy: int
    loss: float
    detections: int
    objects: tuple[float, ...]


class DayFigures(Record):
    """A day's control frames in a few figures, by one version of the student, for `drift.py`.
    Slots in which no control frame was taken are not among `slots`."""

    date: date
    student: str
    slots: tuple[SlotFigures, ...]


class StartRecord(Record):
    """The version of the student that the night begins with."""

    incumbent: str


class IngestRecord(Record):
    """What went by, and which frames were kept on disk. `frames_seen` counts those passed over too,
    read or not.

    `survivors` (by confidence loss, hardest first), `control` and `random` hold frame ids; a
    frame may be survivor and random at once, never control and anything else. `control_is` says in
    words how the control slice was set aside, `control_blocks` which stretch of time each of its
    frames comes from. `gate` is None where every frame was scored, `feed` where a
    recording was watched and not a live camera. `left_out` counts pictures that were of no use, by
    the reason. `figures` are the incumbent's (None in nights older
    than them).
    """

    frames_seen: int
    left_out: dict[str, int] = Field(default_factory=dict)
    width_px: int
    height_px: int
    frames: tuple[StoredFrame, ...]
    survivors: tuple[int, ...]
    control: tuple[int, ...]
    random: tuple[int, ...]
    control_is: str = ""
    control_blocks: tuple[int, ...] = ()
    histogram_edges: tuple[float, ...]
    histogram_counts: tuple[int, ...]
    course: tuple[LossPoint, ...]
    costs: tuple[Cost, ...]
    gate: GateRecord | None = None
    feed: FeedRecord | None = None
    figures: DayFigures | None = None

    def frames_of(self, ids: Iterable[int]) -> list[StoredFrame]:
        """The stored frames of these ids, in their order."""
        by_id = {frame.id: frame for frame in self.frames}
        return [by_id[i] for i in ids]
