"""The day so far: which of its frames stay on disk, in bounded memory.

`Day.admit` notes one frame and changes nothing on disk, so that a day can be replayed from its
daybook (`watched_day.py`); `Day.take` stores the picture as well. `choice.py` makes the final
choice at the end of the day.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import numpy as np

from culling_pipeline.day.control_slice import ControlPlan, ControlSlice
from culling_pipeline.day.frame_files import frame_name, write_image
from culling_pipeline.day.loss_series import Seen
from culling_pipeline.day.reservoir import RandomDraw, Reservoir
from culling_pipeline.errors import CullingError
from culling_pipeline.gate.gate import GatePlan
from culling_pipeline.ranges import Count, Positive, WholeFromZero, check
from culling_pipeline.tasks.answers import Answer
from culling_pipeline.tasks.base import Task
from streams.base import DAY_S, Frame, FrameSource

BORDER_S = 0.05
"""So close to the border of a stretch of time a frame may belong to either side."""


class EmptyDayError(CullingError):
    """The source gave too few frames for a night."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestPlan:
    """What is taken from a day: one frame per `interval_s`, `survivors` for the teacher out of
    `parts` equal parts of the day, `random` drawn at random, and the control slice.

    Until the day is over up to `held` frames of each kind wait on disk: what a night takes is known
    only then. Of a recording the student looks at `looks` frames (None: at all that `gate` lets
    through). `trained`: when the frames were taken that the last night has trained on.
    """

    interval_s: Positive
    survivors: Count
    random: Count
    held: Count
    parts: Count
    control: ControlPlan
    task: Task
    gate: GatePlan
    seed: WholeFromZero
    looks: WholeFromZero | None
    trained: tuple[datetime, ...] = ()

    def __post_init__(self) -> None:
        check(self)

    def for_source(self, source: FrameSource) -> IngestPlan:
        """The same for a recording, which may have frames more seldom than they are sampled."""
        frames, duration_s = source.expected(self.interval_s), source.info.duration_s
        if not frames or duration_s is None or frames >= duration_s / self.interval_s:
            return self
        return replace(self, control=self.control.for_frames_every(duration_s / frames))


class Admitted(NamedTuple):
    """A frame's number, whether it is stored, and which stored frames may be deleted for it."""

    frame_id: int
    stored: bool
    freed: list[int]


@dataclass
class Day:
    """The frames of a day as they come. `folder` holds the stored frames, `where` names in messages
    what was watched, `duration_s` is the day's length, None if it is not known. `left_out` counts
    unusable frames by reason. `count` frames were seen, `unread` more passed over unread; `frames`
    holds the stored ones by number.
    """

    plan: IngestPlan
    folder: Path
    duration_s: float | None
    where: str
    count: int = 0
    unread: int = 0
    frames: dict[int, Seen] = field(default_factory=dict)
    shape: tuple[int, int] | None = None
    left_out: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        plan = self.plan
        self.rng = np.random.default_rng([plan.seed, 21])
        self._reservoir = Reservoir(
            survivors=plan.held,
            parts=plan.parts,
            drawn=plan.held,
            rng=self.rng,
        )
        self.control_slice = ControlSlice(plan.control, duration_s=self.duration_s, seed=plan.seed)
        per_group = self.control_slice.frames_per_group
        self._control: dict[int, RandomDraw] = defaultdict(lambda: RandomDraw(per_group, self.rng))

    def look(self, frame: Frame, answer: Answer, *, scored: bool, model: str = "") -> Seen:
        """What the day notes about a frame."""
        return Seen(
            time_s=frame.time_s,
            wall_time=frame.wall_time,
            shape=frame.image.shape[:2],
            loss=self.plan.task.unsureness(answer),
            scored=scored,
            model=model,
        )

    def take(self, frame: Frame, seen: Seen) -> Admitted:
        """Note one frame, and store it if it may be needed."""
        admitted = self.admit(seen)
        if admitted.stored:
            write_image(self.folder, frame_name(admitted.frame_id), frame.image)
        self.unlink(admitted.freed)
        return admitted

    def admit(self, seen: Seen) -> Admitted:
        """Note one frame; nothing is done on disk."""
        frame_id = self.count
        self.count += 1
        self.shape = self.shape or seen.shape
        if seen.shape != self.shape:
            # The camera changed its picture size during the day: the frame was scored, but no night
            # can use it.
            self.left_out[_other_size(seen.shape, self.shape)] += 1
            return Admitted(frame_id, stored=False, freed=[])
        stored, freed = self._offer(frame_id, seen)
        gone = [i for i in freed if self.forget(i)]
        if stored:
            self.frames[frame_id] = seen
        return Admitted(frame_id, stored=stored, freed=gone)

    def _offer(self, frame_id: int, seen: Seen) -> tuple[bool, list[int]]:
        if not self.control_slice.holds(seen.time_s):
            part = self.part_of(seen.time_s)
            return self._reservoir.offer(frame_id, part, seen.loss, scored=seen.scored)
        gone = self._control[self.control_slice.group_of(seen.time_s)].offer(frame_id)
        return gone != frame_id, [] if gone in (None, frame_id) else [gone]

    def part_of(self, time_s: float) -> int:
        """Which of the equal parts of the day a time lies in."""
        part = math.floor(time_s / (self.duration_s or DAY_S) * self.plan.parts)
        return min(max(part, 0), self.plan.parts - 1)

    def forget(self, frame_id: int) -> bool:
        """Remove a frame from the stored ones; returns whether it was still one of them."""
        return self.frames.pop(frame_id, None) is not None

    def unlink(self, frame_ids: Sequence[int]) -> None:
        """Delete these frames' pictures."""
        for frame_id in frame_ids:
            (self.folder / frame_name(frame_id)).unlink(missing_ok=True)

    @property
    def control_groups(self) -> list[list[int]]:
        """The stored frames of the control slice: one sorted list for each stretch of time."""
        return [sorted(self.frames.keys() & set(drawn.ids)) for drawn in self._control.values()]

    @property
    def spoilt_groups(self) -> set[int]:
        """The stretches of the control slice in which the last night has trained. There are such
        where the slice lay elsewhere then: of a recording of less than an hour that has become
        longer, or where frames come more seldom now and blocks are longer."""
        seen = next(iter(self.frames.values()), None)
        if seen is None:
            return set()
        slice_, begin = self.control_slice, seen.wall_time - timedelta(seconds=seen.time_s)
        times_s = [(moment - begin).total_seconds() for moment in self.plan.trained]
        # A frame on a border is not inside, however its time is rounded.
        return {
            slice_.group_of(at_s)
            for at_s in times_s
            if at_s > BORDER_S and slice_.holds(at_s - BORDER_S) and slice_.holds(at_s + BORDER_S)
        }

    @property
    def control_ids(self) -> set[int]:
        """The stored frames that are used for measuring only."""
        return {i for group in self.control_groups for i in group}

    @property
    def drawn_ids(self) -> set[int]:
        """The stored frames that were drawn at random."""
        return self.frames.keys() & set(self._reservoir.drawn)

    @property
    def hard_ids(self) -> set[int]:
        """The stored frames the student was most unsure of."""
        return self.frames.keys() & set(self._reservoir.hard)

    def block_of(self, frame_id: int) -> int:
        """The stretch of time (`ControlSlice.group_of`) of a stored frame."""
        return self.control_slice.group_of(self.frames[frame_id].time_s)


def _other_size(shape: tuple[int, ...], most: tuple[int, ...]) -> str:
    return f"of another size ({shape[1]}×{shape[0]} where the day began with {most[1]}×{most[0]})"
