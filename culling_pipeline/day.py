"""The day so far: what was seen of it, and which of its frames are to stay on disk.

`Day.admit` takes note of one frame and changes nothing on disk, so that a day can be told again
from its daybook (`stored_day.py`); `Day.take` stores the picture as well.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from culling_pipeline.confidence import Reduce, frame_loss, standardised_losses
from culling_pipeline.control import ControlPlan, ControlSlice
from culling_pipeline.frames import frame_name, write_image
from culling_pipeline.gate import GatePlan
from culling_pipeline.records import (
    Cost,
    CoursePoint,
    FeedRecord,
    GateRecord,
    IngestRecord,
    StoredFrame,
)
from culling_pipeline.reservoir import Drawn, Reservoir
from culling_pipeline.selection import Candidates, parts_of_day
from culling_pipeline.strategies import Strategy
from models.boxes import Detections
from streams.base import Frame

DAY_S = 86_400.0
_COURSE_POINTS = 96
_HISTOGRAM_BINS = 40


class EmptyDayError(Exception):
    """The source gave too few frames for a night."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfidencePlan:
    """How L_conf is computed (Dataset Culling, sec. 2.1); see `confidence.py`."""

    q: float = 3.0
    b: float = 0.5
    min_score: float = 0.2
    reduce: Reduce = "sum"
    standardise: bool = False

    def loss_of(self, detections: Detections) -> float:
        """L_conf of one frame (`standardise` needs the whole day and is not applied here)."""
        return frame_loss(
            detections, min_score=self.min_score, reduce=self.reduce, q=self.q, b=self.b
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestPlan:
    """What is taken from a day: one frame per `interval_s`, `survivors` for the teacher out of
    `parts` equal parts of the day, `random` drawn at random, and the control slice."""

    interval_s: float
    survivors: int
    random: int
    parts: int
    control: ControlPlan
    confidence: ConfidencePlan
    gate: GatePlan
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What is known of one sampled frame but for its picture. `shape` is its height and width;
    without `scored` the detections are those of an earlier frame; `model` is the version of the
    student that made them."""

    time_s: float
    wall_time: datetime
    shape: tuple[int, int]
    loss: float
    detections: Detections
    scored: bool
    model: str = ""


class Admitted(NamedTuple):
    """The number a frame got, whether it is to be stored, and which stored ones may go for it."""

    frame_id: int
    stored: bool
    freed: list[int]


@dataclass
class Day:
    """What is known of the day so far. `folder` holds the stored frames, `where` says in messages
    what was watched, `duration_s` is the day's length, None if nobody knows."""

    plan: IngestPlan
    folder: Path
    n_classes: int
    duration_s: float | None
    where: str
    losses: list[float] = field(default_factory=list)
    walls: list[datetime] = field(default_factory=list)
    found: dict[int, Detections] = field(default_factory=dict)
    unsure: list[Detections] = field(default_factory=list)
    frames: dict[int, StoredFrame] = field(default_factory=dict)
    inherited: set[int] = field(default_factory=set)
    models: dict[int, str] = field(default_factory=dict)
    shape: tuple[int, int] | None = None

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
        self._control: dict[int, Drawn] = defaultdict(lambda: Drawn(per_group, self._rng))

    def look(self, frame: Frame, detections: Detections, *, scored: bool, model: str = "") -> Seen:
        """What is to be noted of a frame."""
        return Seen(
            time_s=frame.time_s,
            wall_time=frame.wall_time,
            shape=frame.image.shape[:2],
            loss=self.plan.confidence.loss_of(detections),
            detections=detections,
            scored=scored,
            model=model,
        )

    def take(self, frame: Frame, detections: Detections, *, scored: bool) -> None:
        """Note one frame, and store it if it may be needed."""
        admitted = self.admit(self.look(frame, detections, scored=scored))
        if admitted.stored:
            write_image(self.folder, self.frames[admitted.frame_id].path, frame.image)
        self.unlink(admitted.freed)

    def admit(self, seen: Seen) -> Admitted:
        """Note one frame; nothing is done on disk."""
        frame_id = len(self.losses)
        self.losses.append(seen.loss)
        self.walls.append(seen.wall_time)
        if self.plan.confidence.standardise:
            self.unsure.append(seen.detections.above(self.plan.confidence.min_score))
        self.shape = self.shape or seen.shape
        if seen.shape != self.shape:
            # The camera changed its size in mid-day: seen and scored, but of no further use.
            return Admitted(frame_id, stored=False, freed=[])
        part = self._part_of(seen.time_s)
        stored, freed = self._offer(frame_id, part, seen)
        names = [self.forget(old) for old in freed]
        if stored:
            self.found[frame_id] = seen.detections
            self.models[frame_id] = seen.model
            if not seen.scored:
                self.inherited.add(frame_id)
            self.frames[frame_id] = StoredFrame(
                id=frame_id,
                path=frame_name(frame_id),
                time_s=seen.time_s,
                wall_time=seen.wall_time,
                part=part,
                confidence_loss=seen.loss,
            )
        return Admitted(frame_id, stored=stored, freed=[i for i in names if i is not None])

    def _offer(self, frame_id: int, part: int, seen: Seen) -> tuple[bool, list[int]]:
        if not self._control_slice.holds(seen.time_s):
            return self._reservoir.offer(frame_id, part, seen.loss, scored=seen.scored)
        gone = self._control[self._control_slice.group_of(seen.time_s)].offer(frame_id)
        return gone != frame_id, [] if gone in (None, frame_id) else [gone]

    def _part_of(self, time_s: float) -> int:
        end_s = self.duration_s or DAY_S
        return int(
            parts_of_day(np.array([time_s]), start_s=0.0, end_s=end_s, parts=self.plan.parts)[0]
        )

    def forget(self, frame_id: int) -> int | None:
        """Strike a frame off those that are stored; None if it was not among them any more."""
        if self.frames.pop(frame_id, None) is None:
            return None
        del self.found[frame_id], self.models[frame_id]
        self.inherited.discard(frame_id)
        return frame_id

    def unlink(self, frame_ids: Sequence[int]) -> None:
        """Delete these frames' pictures."""
        for frame_id in frame_ids:
            (self.folder / frame_name(frame_id)).unlink(missing_ok=True)

    @property
    def control_ids(self) -> set[int]:
        """The stored frames that only measure."""
        return {i for drawn in self._control.values() for i in drawn.ids} & set(self.frames)

    def record(
        self,
        strategy: Strategy,
        cost: Cost,
        *,
        gate: GateRecord | None = None,
        feed: FeedRecord | None = None,
    ) -> IngestRecord:
        """Choose survivors, control slice and random frames; delete the rest."""
        losses = self._final_losses()
        self.frames = {
            i: f.model_copy(update={"confidence_loss": float(losses[i])})
            for i, f in self.frames.items()
        }
        control = self._draw_control()
        enough = len(self.losses) >= 10 and control and len(self.frames) - len(control) >= 2
        if not enough or self.shape is None:
            message = (
                f"{self.where}: {len(self.losses)} frames were sampled, too few "
                "to keep some for training and some for measuring: raise the camera's fps, or "
                "give it a longer recording"
            )
            raise EmptyDayError(message)
        drawn = sorted(self.frames.keys() & set(self._reservoir.drawn))
        random = sorted(self._rng.permutation(drawn)[: self.plan.random].tolist())
        candidates = Candidates.from_frames(
            [
                self._as_candidate(i)
                for i in sorted(self.frames.keys() & self._reservoir.hard.union(drawn))
            ],
            n_parts=self.plan.parts,
            drawn_ids=frozenset(drawn),
        )
        survivors = strategy.survivors(candidates, self.plan.survivors, self._rng)
        unwanted = set(self.frames) - {*survivors, *random, *control}
        self.unlink([i for i in sorted(unwanted) if self.forget(i) is not None])
        counts, edges = np.histogram(losses, bins=_HISTOGRAM_BINS)
        return IngestRecord(
            frames_seen=len(self.losses),
            width_px=self.shape[1],
            height_px=self.shape[0],
            frames=tuple(self.frames[i] for i in sorted(self.frames)),
            survivors=survivors,
            control=control,
            random=tuple(random),
            control_is=self._control_slice.description,
            control_blocks=tuple(
                self._control_slice.group_of(self.frames[i].time_s) for i in control
            ),
            histogram_edges=tuple(float(e) for e in edges),
            histogram_counts=tuple(int(c) for c in counts),
            course=_course(self.walls, losses),
            costs=(cost,),
            gate=gate,
            feed=feed,
        )

    def _as_candidate(self, frame_id: int) -> StoredFrame:
        """The frame; one that was only drawn has no loss of its own, and so is not hard."""
        frame = self.frames[frame_id]
        if frame_id not in self.inherited:
            return frame
        return frame.model_copy(update={"confidence_loss": 0.0})

    def _final_losses(self) -> NDArray[np.float64]:
        """With the whole day known, standardised per class if that is wanted."""
        plan = self.plan.confidence
        if not plan.standardise:
            return np.array(self.losses)
        return standardised_losses(
            self.unsure, self.n_classes, min_score=plan.min_score, q=plan.q, b=plan.b
        )

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


def _course(walls: Sequence[datetime], losses: NDArray[np.float64]) -> tuple[CoursePoint, ...]:
    """Mean and 90th percentile of L_conf in slices of equal numbers of frames."""
    slices = np.array_split(np.arange(len(losses)), min(_COURSE_POINTS, len(losses)))
    return tuple(
        CoursePoint(
            wall_time=walls[int(rows[len(rows) // 2])],
            frames=len(rows),
            mean=float(losses[rows].mean()),
            p90=float(np.quantile(losses[rows], 0.9)),
        )
        for rows in slices
    )
