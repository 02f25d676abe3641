"""A recording: every sampled frame is scored by the student, and a bounded few stay on disk."""

from __future__ import annotations

import math
import shutil
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from culling_pipeline.culling.strategies import Strategy
from culling_pipeline.day.choice import close_day
from culling_pipeline.day.day import Day, IngestPlan
from culling_pipeline.day.frame_files import load_images
from culling_pipeline.day.loss_series import LossSeries
from culling_pipeline.gate.gate import Decision, Gate
from culling_pipeline.records import Cost, GateRecord, IngestRecord
from culling_pipeline.run.progress import Progress
from culling_pipeline.run.workers import PooledModel, batched_images
from culling_pipeline.stage_names import INGEST, STORED_FRAMES
from culling_pipeline.tasks.base import Answer
from streams.base import Frame, FrameSource
from streams.one_size import OneSize
from streams.sampler import Sampler

BATCH = 8
"""Frames the student scores at a time …"""
GROUP = 16
"""… and the most frames read for them: so few wait in memory even when most are skipped."""
LAG = 16
"""Groups until the gate learns what the student found: at least as many as can be in progress, so
that its decisions do not depend on the number of processes."""


def watch_recording(
    source: FrameSource,
    pool: PooledModel,
    strategy: Strategy,
    *,
    plan: IngestPlan,
    folder: Path,
    progress: Progress,
) -> tuple[IngestRecord, dict[int, Answer]]:
    """Watch the whole source; afterwards `folder` holds exactly the frames the record names.

    Also returns the student's answers to those frames, by frame id. If it fails, `folder` is
    deleted: the stage is not resumed but started again.
    """
    shutil.rmtree(folder, ignore_errors=True)  # left over from an ingest that was cut off
    folder.mkdir(parents=True, mode=0o700)
    source = OneSize(source)
    info = source.info
    day = Day(plan, folder, info.duration_s, info.location)
    course = LossSeries(plan.task)
    gate = Gate(plan.gate, plan.task, np.random.default_rng([plan.seed, 22]))
    try:
        found = _watch(source, pool, gate, progress, day=day, course=course)
        cost = Cost(
            stage=INGEST.words,
            activity="look",
            purpose="own",
            images=pool.images,
            seconds=pool.seconds,
            device=pool.device,
            backend=pool.backend,
        )
        day.left_out.update(source.left_out)
        record = close_day(day, course, strategy, (cost,), gate=gate_record(gate))
        late = {i for i, seen in day.frames.items() if not seen.scored}
        return with_own_detections(record, found, pool, late, folder=folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _watch(
    source: FrameSource,
    pool: PooledModel,
    gate: Gate,
    progress: Progress,
    *,
    day: Day,
    course: LossSeries,
) -> dict[int, Answer]:
    """The answers to the stored frames, by frame id."""
    interval_s, expected = day.plan.interval_s, None
    if day.duration_s is not None:
        expected = math.ceil(day.duration_s / interval_s)
    found: dict[int, Answer] = {}
    with progress.stage(INGEST.words, expected) as advance:
        for group in _seen(source.frames(Sampler(interval_s)), pool, gate):
            for frame, answer, scored in group:
                seen = day.look(frame, answer, scored=scored)
                course.note(seen, answer)
                admitted = day.take(frame, seen)
                if admitted.stored:
                    found[admitted.frame_id] = answer
                for gone in admitted.freed:
                    del found[gone]
            advance(len(group))
    return found


def with_own_detections(
    record: IngestRecord,
    found: Mapping[int, Answer],
    pool: PooledModel,
    late_ids: set[int],
    *,
    folder: Path,
) -> tuple[IngestRecord, dict[int, Answer]]:
    """The record, and the answers to its frames. The frames of `late_ids` are scored now (the gate
    skipped them, or another student scored them): precision culling and the verdict are about the
    answers of this student to these frames."""
    kept = {frame.id: found[frame.id] for frame in record.frames}
    late = [frame for frame in record.frames if frame.id in late_ids]
    if not late:
        return record, kept
    before = (pool.images, pool.seconds)
    batches = pool.predict(batched_images(load_images(folder, late), BATCH))
    own = [answer for batch in batches for answer in batch]
    kept |= {frame.id: d for frame, d in zip(late, own, strict=True)}
    images, seconds = pool.images - before[0], pool.seconds - before[1]
    cost = Cost(
        stage=INGEST.of(STORED_FRAMES),
        activity="look",
        purpose="own",
        images=images,
        seconds=seconds,
        device=pool.device,
        backend=pool.backend,
    )
    return record.changed(costs=(*record.costs, cost)), kept


@dataclass(slots=True)
class _Group:
    """Consecutive frames, and the gate's decision on each."""

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
    """The frames in groups, each with the gate's decision, made just before its group is scored."""
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
    frames: Iterable[Frame], pool: PooledModel, gate: Gate
) -> Iterator[list[tuple[Frame, Answer, bool]]]:
    """Groups of frames with their answers, and whether the answer is the frame's own (scored) or
    taken over from the last scored frame."""
    waiting: deque[_Group] = deque()
    lessons: deque[list[tuple[Decision, Answer, Answer]]] = deque([[]] * LAG)

    def batches() -> Iterator[list[NDArray[np.uint8]]]:
        for group in _grouped(frames, gate):
            waiting.append(group)
            yield group.images
            for lesson in lessons.popleft():
                gate.learn(*lesson)
            gate.update()

    last = gate.task.nothing
    for found in pool.predict(batches(), ahead=LAG):
        group, own = waiting.popleft(), iter(found)
        seen, lesson = [], []
        for frame, decision in zip(group.frames, group.decisions, strict=True):
            gate.count(decision)
            if decision.score:
                inherited, last = last, next(own)
                lesson.append((decision, last, inherited))
            seen.append((frame, last, decision.score))
        lessons.append(lesson)
        yield seen


def gate_record(gate: Gate) -> GateRecord | None:
    """What the gate did; None if every frame was scored."""
    if not gate.plan.enabled and gate.plan.every == 1:
        return None
    tally = gate.tally
    return GateRecord(
        scored=tally.scored,
        passed_over=tally.passed_over,
        skipped=tally.skipped,
        audited=tally.audited,
        misses=tally.misses,
        recall=tally.recall,
        threshold=gate.threshold,
    )
