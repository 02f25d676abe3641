"""The day so far: which of its frames are to stay on disk, in bounded memory.

`Day.admit` takes note of one frame and changes nothing on disk, so that a day can be told again
from its daybook (`watched_day.py`); `Day.take` stores the picture as well.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from culling_pipeline.culling.candidates import Candidates
from culling_pipeline.culling.strategies import Strategy
from culling_pipeline.day.control_slice import ControlPlan, ControlSlice
from culling_pipeline.day.frame_files import frame_name, write_image
from culling_pipeline.day.loss_series import HISTOGRAM_BINS, LossSeries, Seen
from culling_pipeline.day.reservoir import RandomDraw, Reservoir
from culling_pipeline.gate.gate import GatePlan
from culling_pipeline.ranges import Count, Positive, WholeFromZero, check
from culling_pipeline.records import Cost, FeedRecord, GateRecord, IngestRecord, StoredFrame
from culling_pipeline.tasks.base import Answer, Task
from streams.base import Frame
from streams.left_out import in_words

DAY_S = 86_400.0


class EmptyDayError(Exception):
    """The source gave too few frames for a night."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestPlan:
    """What is taken from a day: one frame per `interval_s`, `survivors` for the teacher out of
    `parts` equal parts of the day, `random` drawn at random, and the control slice."""

    interval_s: Positive
    survivors: Count
    random: Count
    parts: Count
    control: ControlPlan
    task: Task
    gate: GatePlan
    seed: WholeFromZero

    def __post_init__(self) -> None:
        check(self)


class Admitted(NamedTuple):
    """The number a frame got, whether it is to be stored, and which stored ones may go for it."""

    frame_id: int
    stored: bool
    freed: list[int]


@dataclass
class Day:
    """What is to be known of the day while it goes by. `folder` holds the stored frames, `where`
    says in messages what was watched, `duration_s` is the day's length, None if nobody knows.
    `left_out` counts, by the reason, what is of no use.
    `count` frames were seen; `frames` are those that are stored, by their number."""

    plan: IngestPlan
    folder: Path
    duration_s: float | None
    where: str
    count: int = 0
    frames: dict[int, Seen] = field(default_factory=dict)
    shape: tuple[int, int] | None = None
    left_out: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        plan = self.plan
        self._rng = np.random.default_rng([plan.seed, 21])
        self._reservoir = Reservoir(
            survivors=plan.survivors,
            parts=plan.parts,
            drawn=max(plan.random, plan.survivors),
            rng=self._rng,
        )
        self._control_slice = ControlSlice(plan.control, duration_s=self.duration_s, seed=plan.seed)
        per_group = self._control_slice.frames_per_group
        self._control: dict[int, RandomDraw] = defaultdict(lambda: RandomDraw(per_group, self._rng))

    def look(self, frame: Frame, answer: Answer, *, scored: bool, model: str = "") -> Seen:
        """What is to be noted of a frame."""
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
            # The camera changed its size in mid-day: seen and scored, but of no further use.
            self.left_out[_other_size(seen.shape, self.shape)] += 1
            return Admitted(frame_id, stored=False, freed=[])
        stored, freed = self._offer(frame_id, seen)
        gone = [i for i in freed if self.forget(i)]
        if stored:
            self.frames[frame_id] = seen
        return Admitted(frame_id, stored=stored, freed=gone)

    def _offer(self, frame_id: int, seen: Seen) -> tuple[bool, list[int]]:
        if not self._control_slice.holds(seen.time_s):
            part = self._part_of(seen.time_s)
            return self._reservoir.offer(frame_id, part, seen.loss, scored=seen.scored)
        gone = self._control[self._control_slice.group_of(seen.time_s)].offer(frame_id)
        return gone != frame_id, [] if gone in (None, frame_id) else [gone]

    def _part_of(self, time_s: float) -> int:
        """As `selection.parts_of_day` of one time, without its arrays."""
        part = math.floor(time_s / (self.duration_s or DAY_S) * self.plan.parts)
        return min(max(part, 0), self.plan.parts - 1)

    def forget(self, frame_id: int) -> bool:
        """Strike a frame off those that are stored; whether it was still among them."""
        return self.frames.pop(frame_id, None) is not None

    def unlink(self, frame_ids: Sequence[int]) -> None:
        """Delete these frames' pictures."""
        for frame_id in frame_ids:
            (self.folder / frame_name(frame_id)).unlink(missing_ok=True)

    @property
    def control_ids(self) -> set[int]:
        """The stored frames that only measure."""
        return {i for drawn in self._control.values() for i in drawn.ids} & set(self.frames)

    @property
    def drawn_ids(self) -> set[int]:
        """The stored frames that were drawn at random."""
        return set(self._reservoir.drawn) & set(self.frames)

    def block_of(self, frame_id: int) -> int:
        """The stretch of time (`ControlSlice.group_of`) of a stored frame."""
        return self._control_slice.group_of(self.frames[frame_id].time_s)

    def record(
        self,
        course: LossSeries,
        strategy: Strategy,
        costs: Sequence[Cost],
        *,
        gate: GateRecord | None = None,
        feed: FeedRecord | None = None,
    ) -> IngestRecord:
        """Choose survivors, control slice and random frames; delete the rest. `course` has all
        frames that went by."""
        control = self._draw_control()
        height_px, width_px = self._enough(control)
        losses = course.losses()
        survivors, random = self._choose(losses, strategy)
        self._keep_only({*survivors, *random, *control})
        counts, edges = np.histogram(losses, bins=HISTOGRAM_BINS)
        of_group = self._control_slice.group_of
        return IngestRecord(
            frames_seen=self.count,
            left_out=dict(self.left_out),
            width_px=width_px,
            height_px=height_px,
            frames=tuple(self._as_stored(i, losses) for i in sorted(self.frames)),
            survivors=survivors,
            control=control,
            random=random,
            control_is=self._control_slice.description,
            control_blocks=tuple(of_group(self.frames[i].time_s) for i in control),
            histogram_edges=tuple(float(e) for e in edges),
            histogram_counts=tuple(int(c) for c in counts),
            course=course.points(losses),
            costs=tuple(costs),
            gate=gate,
            feed=feed,
        )

    def _enough(self, control: Sequence[int]) -> tuple[int, int]:
        """Height and width in pixels; an error if there are too few frames for a night."""
        if self.count >= 10 and control and len(self.frames) - len(control) >= 2 and self.shape:
            return self.shape
        message = (
            f"{self.where}: {self.count} frames were sampled, too few "
            "to keep some for training and some for measuring: raise the camera's fps, or "
            "give it a longer recording"
        )
        if self.left_out:
            message += f" (left out: {in_words(self.left_out)})"
        raise EmptyDayError(message)

    def _choose(
        self, losses: NDArray[np.float64], strategy: Strategy
    ) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Survivors and random frames."""
        drawn = sorted(self.frames.keys() & set(self._reservoir.drawn))
        random = sorted(self._rng.permutation(drawn)[: self.plan.random].tolist())
        own = sorted(self.frames.keys() & self._reservoir.hard.union(drawn))
        candidates = Candidates.from_frames(
            [self._as_candidate(i, losses) for i in own],
            n_parts=self.plan.parts,
            drawn_ids=frozenset(drawn),
        )
        return strategy.survivors(candidates, self.plan.survivors, self._rng), tuple(random)

    def _keep_only(self, wanted: Collection[int]) -> None:
        unwanted = sorted(self.frames.keys() - set(wanted))
        self.unlink([i for i in unwanted if self.forget(i)])

    def _as_stored(self, frame_id: int, losses: NDArray[np.float64]) -> StoredFrame:
        seen = self.frames[frame_id]
        return StoredFrame(
            id=frame_id,
            path=frame_name(frame_id),
            time_s=seen.time_s,
            wall_time=seen.wall_time,
            part=self._part_of(seen.time_s),
            confidence_loss=float(losses[frame_id]),
        )

    def _as_candidate(self, frame_id: int, losses: NDArray[np.float64]) -> StoredFrame:
        """The frame; one that was only drawn has no loss of its own, and so is not hard."""
        frame = self._as_stored(frame_id, losses)
        if self.frames[frame_id].scored:
            return frame
        return frame.model_copy(update={"confidence_loss": 0.0})

    def _draw_control(self) -> tuple[int, ...]:
        """The same number from every stretch of time, as far as it has them."""
        groups = [sorted(self.frames.keys() & set(d.ids)) for d in self._control.values()]
        queues = [list(self._rng.permutation(ids)) for ids in groups]
        chosen: list[int] = []
        while len(chosen) < self.plan.control.frames and any(queues):
            for queue in queues:
                if queue and len(chosen) < self.plan.control.frames:
                    chosen.append(int(queue.pop()))
        return tuple(sorted(chosen))


def _other_size(shape: tuple[int, ...], most: tuple[int, ...]) -> str:
    return f"of another size ({shape[1]}×{shape[0]} where the day began with {most[1]}×{most[0]})"
