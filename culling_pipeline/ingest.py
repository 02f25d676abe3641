"""A recording: every sampled frame is scored by the student, and a bounded few stay on disk."""

from __future__ import annotations

import math
import shutil
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from culling_pipeline.day import Day, IngestPlan
from culling_pipeline.frames import load_images
from culling_pipeline.gate import Decision, Gate
from culling_pipeline.parallel import PooledDetector, batched_images
from culling_pipeline.progress import Progress
from culling_pipeline.records import Cost, GateRecord, IngestRecord
from culling_pipeline.strategies import Strategy
from models.boxes import Detections
from streams.base import Frame, FrameSource
from streams.sampler import Sampler

BATCH = 8
"""Frames the student scores at a time …"""
GROUP = 16
"""… and how many go by for them at most: when most are skipped, few wait in memory all the same."""
LAG = 16
"""Groups until the gate learns what the student found: at least as many as may be under way, so
that its decisions do not depend on the number of processes."""


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
    info = source.info
    day = Day(plan, folder, n_classes, info.duration_s, info.location)
    try:
        return _watch(day, source, pool, strategy, progress)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _watch(
    day: Day, source: FrameSource, pool: PooledDetector, strategy: Strategy, progress: Progress
) -> tuple[IngestRecord, dict[int, Detections]]:
    plan, expected = day.plan, None
    if day.duration_s is not None:
        expected = math.ceil(day.duration_s / plan.interval_s)
    gate = Gate(plan.gate, np.random.default_rng([plan.seed, 22]))
    with progress.stage("watching the day", expected) as advance:
        for seen in _seen(source.frames(Sampler(plan.interval_s)), pool, gate):
            for frame, detections, scored in seen:
                day.take(frame, detections, scored=scored)
            advance(len(seen))
    cost = Cost(stage="student scoring", images=pool.images, seconds=pool.seconds)
    record = day.record(strategy, cost, gate=gate_record(gate))
    return with_own_detections(day, record, pool, set(day.inherited))


def with_own_detections(
    day: Day, record: IngestRecord, pool: PooledDetector, late_ids: set[int]
) -> tuple[IngestRecord, dict[int, Detections]]:
    """Score these stored frames after all (the gate had skipped them, or another student scored
    them): precision culling and the verdict are about what this student finds in these frames."""
    late = [frame for frame in record.frames if frame.id in late_ids]
    if not late:
        return record, dict(day.found)
    before = (pool.images, pool.seconds)
    batches = pool.predict(batched_images(load_images(day.folder, late), BATCH))
    own = [detections for batch in batches for detections in batch]
    found = dict(day.found) | {frame.id: d for frame, d in zip(late, own, strict=True)}
    images, seconds = pool.images - before[0], pool.seconds - before[1]
    cost = Cost(stage="student scoring: stored frames", images=images, seconds=seconds)
    return record.model_copy(update={"costs": (*record.costs, cost)}), found


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


def gate_record(gate: Gate) -> GateRecord | None:
    """What the gate did; None where every frame was to be scored."""
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
