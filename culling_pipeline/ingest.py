"""The day: every sampled frame is scored by the student, and a bounded few stay on disk."""

from __future__ import annotations

import math
import shutil
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from culling_pipeline.confidence import Reduce, frame_loss, standardised_losses
from culling_pipeline.control import ControlPlan, ControlSlice
from culling_pipeline.gate import Decision, Gate, GatePlan
from culling_pipeline.parallel import PooledDetector, batched_images
from culling_pipeline.progress import Progress
from culling_pipeline.records import Cost, CoursePoint, GateRecord, IngestRecord, StoredFrame
from culling_pipeline.reservoir import Drawn, Reservoir
from culling_pipeline.selection import Candidates, parts_of_day
from culling_pipeline.strategies import Strategy
from models.boxes import Detections
from streams.base import Frame, FrameSource
from streams.sampler import Sampler

JPEG_QUALITY = 90
DAY_S = 86_400.0
BATCH = 8
"""Frames the student scores at a time …"""
GROUP = 16
"""… and how many go by for them at most: when most are skipped, few wait in memory all the same."""
LAG = 16
"""Groups until the gate learns what the student found: at least as many as may be under way, so
that its decisions do not depend on the number of processes."""
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


def ingest(
    source: FrameSource,
    pool: PooledDetector,
    strategy: Strategy,
    *,
    plan: IngestPlan,
    n_classes: int,
    folder: Path,
    progress: Progress,
) -> tuple[IngestRecord, dict[int, Detections]]:
    """Watch the whole source; afterwards `folder` holds exactly the frames the record names.

    Also returns what the student said of those frames, by frame id. If it fails, `folder` is gone:
    an ingest is not resumed but begun again.
    """
    shutil.rmtree(folder, ignore_errors=True)  # left over from an ingest that was cut off
    folder.mkdir(parents=True, mode=0o700)
    day = _Day(plan, source, folder, n_classes)
    try:
        return _watch(day, pool, strategy, progress)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _watch(
    day: _Day, pool: PooledDetector, strategy: Strategy, progress: Progress
) -> tuple[IngestRecord, dict[int, Detections]]:
    source, plan = day.source, day.plan
    duration_s = source.info.duration_s
    expected = None if duration_s is None else math.ceil(duration_s / plan.interval_s)
    gate = Gate(plan.gate, np.random.default_rng([plan.seed, 22]))
    with progress.stage("watching the day", expected) as advance:
        for seen in _seen(source.frames(Sampler(plan.interval_s)), pool, gate):
            for frame, detections, scored in seen:
                day.take(frame, detections, scored=scored)
            advance(len(seen))
    cost = Cost(stage="student scoring", images=pool.images, seconds=pool.seconds)
    record = day.record(strategy, cost, gate=_gate_record(gate))
    return day.with_own_detections(record, pool)


@dataclass(slots=True)
class _Group:
    """Consecutive frames, and what the gate decided of each."""

    frames: list[Frame]
    decisions: list[Decision]

    @property
    def images(self) -> list[NDArray[np.uint8]]:
        """Those to be scored."""
        return [f.image for f, d in zip(self.frames, self.decisions, strict=True) if d.score]

    def is_full_for(self, frame: Frame) -> bool:
        """Whether `frame` has to go into the next group."""
        scored = sum(d.score for d in self.decisions)
        other_shape = self.frames[0].image.shape != frame.image.shape
        return scored >= BATCH or len(self.frames) >= GROUP or other_shape


def _grouped(frames: Iterable[Frame], gate: Gate) -> Iterator[_Group]:
    """The frames, each with the gate's decision, made when its group's turn has come."""
    group = _Group([], [])
    for frame in frames:
        if group.frames and group.is_full_for(frame):
            yield group
            group = _Group([], [])
        group.decisions.append(gate.decide(frame.image))
        group.frames.append(frame)
    if group.frames:
        yield group


def _seen(
    frames: Iterable[Frame], pool: PooledDetector, gate: Gate
) -> Iterator[list[tuple[Frame, Detections, bool]]]:
    """Groups of frames with detections, and whether these are the frame's own (scored) or taken
    over from the last scored one."""
    waiting: deque[_Group] = deque()
    lessons: deque[list[tuple[Decision, Detections, Detections]]] = deque([[]] * LAG)

    def batches() -> Iterator[list[NDArray[np.uint8]]]:
        for group in _grouped(frames, gate):
            waiting.append(group)
            yield group.images
            for lesson in lessons.popleft():
                gate.learn(*lesson)
            gate.update()

    last = Detections.empty()
    for found in pool.predict(batches(), ahead=LAG):
        group, own = waiting.popleft(), iter(found)
        seen, lesson = [], []
        for frame, decision in zip(group.frames, group.decisions, strict=True):
            if decision.score:
                inherited, last = last, next(own)
                lesson.append((decision, last, inherited))
            seen.append((frame, last, decision.score))
        lessons.append(lesson)
        yield seen


def _gate_record(gate: Gate) -> GateRecord | None:
    if not gate.plan.enabled and gate.plan.every == 1:
        return None
    return GateRecord(
        scored=gate.scored,
        passed_over=gate.passed_over,
        skipped=gate.skipped,
        audited=gate.audited,
        misses=gate.misses,
        recall=gate.recall,
        threshold=gate.threshold,
    )


@dataclass
class _Day:
    """What is known of the day so far."""

    plan: IngestPlan
    source: FrameSource
    folder: Path
    n_classes: int
    losses: list[float] = field(default_factory=list)
    walls: list[datetime] = field(default_factory=list)
    found: dict[int, Detections] = field(default_factory=dict)
    unsure: list[Detections] = field(default_factory=list)
    frames: dict[int, StoredFrame] = field(default_factory=dict)
    inherited: set[int] = field(default_factory=set)
    shape: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        plan, duration_s = self.plan, self.source.info.duration_s
        self._duration_s = duration_s or DAY_S
        self._rng = np.random.default_rng([plan.seed, 21])
        self._reservoir = Reservoir(
            survivors=plan.survivors,
            parts=plan.parts,
            drawn=max(plan.random, plan.survivors),
            rng=self._rng,
        )
        self._control_slice = ControlSlice(plan.control, duration_s=duration_s, seed=plan.seed)
        per_group = self._control_slice.frames_per_group
        self._control: dict[int, Drawn] = defaultdict(lambda: Drawn(per_group, self._rng))

    def take(self, frame: Frame, detections: Detections, *, scored: bool) -> None:
        """Note one frame's loss, and store the frame if it may be needed. Without `scored` the
        detections are those of an earlier frame."""
        frame_id = len(self.losses)
        loss = self.plan.confidence.loss_of(detections)
        self.losses.append(loss)
        self.walls.append(frame.wall_time)
        if self.plan.confidence.standardise:
            self.unsure.append(detections.above(self.plan.confidence.min_score))
        self.shape = self.shape or frame.image.shape
        part = int(
            parts_of_day(
                np.array([frame.time_s]), start_s=0.0, end_s=self._duration_s, parts=self.plan.parts
            )[0]
        )
        if frame.image.shape != self.shape:
            return  # the camera changed its size in mid-day: seen and scored, but of no further use
        if self._control_slice.holds(frame.time_s):
            gone = self._control[self._control_slice.group_of(frame.time_s)].offer(frame_id)
            stored, freed = gone != frame_id, [] if gone in (None, frame_id) else [gone]
        else:
            stored, freed = self._reservoir.offer(frame_id, part, loss, scored=scored)
        for old in freed:
            self._drop(old)
        if stored:
            self.found[frame_id] = detections
            if not scored:
                self.inherited.add(frame_id)
            self.frames[frame_id] = _store(frame, frame_id, part, loss, self.folder)

    def _drop(self, frame_id: int) -> None:
        (self.folder / self.frames.pop(frame_id).path).unlink()
        del self.found[frame_id]
        self.inherited.discard(frame_id)

    def with_own_detections(
        self, record: IngestRecord, pool: PooledDetector
    ) -> tuple[IngestRecord, dict[int, Detections]]:
        """Score the stored frames that the gate had skipped after all: precision culling and the
        verdict are about what the student finds in these very frames."""
        late = [frame for frame in record.frames if frame.id in self.inherited]
        if not late:
            return record, dict(self.found)
        before = (pool.images, pool.seconds)
        batches = pool.predict(batched_images(load_images(self.folder, late), BATCH))
        own = [detections for batch in batches for detections in batch]
        self.found |= {frame.id: d for frame, d in zip(late, own, strict=True)}
        images, seconds = pool.images - before[0], pool.seconds - before[1]
        cost = Cost(stage="student scoring: stored frames", images=images, seconds=seconds)
        return record.model_copy(update={"costs": (*record.costs, cost)}), dict(self.found)

    def record(self, strategy: Strategy, cost: Cost, gate: GateRecord | None) -> IngestRecord:
        """Choose survivors, control slice and random frames; delete the rest."""
        losses = self._final_losses()
        self.frames = {
            i: f.model_copy(update={"confidence_loss": float(losses[i])})
            for i, f in self.frames.items()
        }
        control = self._draw_control()
        if len(self.losses) < 10 or not control or len(self.frames) - len(control) < 2:
            message = (
                f"{self.source.info.location}: {len(self.losses)} frames were sampled, too few "
                "to keep some for training and some for measuring: raise the camera's fps, or "
                "give it a longer recording"
            )
            raise EmptyDayError(message)
        drawn = sorted(self._reservoir.drawn)
        random = sorted(self._rng.permutation(drawn)[: self.plan.random].tolist())
        candidates = Candidates.from_frames(
            [self._as_candidate(i) for i in sorted(self._reservoir.hard.union(drawn))],
            n_parts=self.plan.parts,
            drawn_ids=frozenset(drawn),
        )
        survivors = strategy.survivors(candidates, self.plan.survivors, self._rng)
        wanted = {*survivors, *random, *control}
        for i in set(self.frames) - wanted:
            self._drop(i)
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
        groups = [sorted(drawn.ids) for drawn in self._control.values()]
        queues = [list(self._rng.permutation(ids)) for ids in groups]
        chosen: list[int] = []
        while len(chosen) < self.plan.control.frames and any(queues):
            for queue in queues:
                if queue and len(chosen) < self.plan.control.frames:
                    chosen.append(int(queue.pop()))
        return tuple(sorted(chosen))


def _store(frame: Frame, frame_id: int, part: int, loss: float, folder: Path) -> StoredFrame:
    name = f"{frame_id:06d}.jpg"
    path, aside = folder / name, folder / f"{name}.tmp"
    quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    done, data = cv2.imencode(".jpg", frame.image[..., ::-1], quality)
    if not done:
        message = f"camera {frame.camera!r}: frame {frame_id} could not be encoded as JPEG"
        raise ValueError(message)
    aside.write_bytes(data.tobytes())
    aside.replace(path)
    return StoredFrame(
        id=frame_id,
        path=name,
        time_s=frame.time_s,
        wall_time=frame.wall_time,
        part=part,
        confidence_loss=loss,
    )


def load_image(folder: Path, frame: StoredFrame) -> NDArray[np.uint8]:
    """A stored frame: H×W×3 uint8 RGB."""
    image = cv2.imread(str(folder / frame.path), cv2.IMREAD_COLOR)
    if image is None:
        message = (
            f"{folder / frame.path}: the stored frame is gone or damaged; start the night anew"
        )
        raise FileNotFoundError(message)
    return np.ascontiguousarray(image[..., ::-1])


def load_images(folder: Path, frames: Sequence[StoredFrame]) -> Iterator[NDArray[np.uint8]]:
    """Stored frames one after the other."""
    return (load_image(folder, frame) for frame in frames)


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
