"""A recording: every sampled frame is scored by the student, and a bounded few stay on disk."""

from __future__ import annotations

import math
import shutil
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
from culling_pipeline.gate.moments import ControlMoments, PlannedLooks, draw_moments
from culling_pipeline.gate.sparse import SparseLooks, SparsePlan
from culling_pipeline.records.costs import Cost, Purpose
from culling_pipeline.records.day import IngestRecord
from culling_pipeline.run.progress import Progress
from culling_pipeline.run.workers import PooledModel, batched_images
from culling_pipeline.stage_names import CONTROL_SLICE, INGEST, READING, STORED_FRAMES
from culling_pipeline.tasks.answers import Answer
from streams.base import DAY_S, Frame, FrameSource
from streams.one_size import OneSize
from streams.sampler import Sampler

BATCH = 8
"""Frames the student scores at a time …"""
GROUP = 16
"""… and the most frames read for them: so few wait in memory even when most are skipped."""
SPARE = 1.1
"""So many times the frames that are kept are read, where single ones are: some cannot be read."""
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
    info, plan = source.info, plan.for_source(source)
    day = Day(plan, folder, info.duration_s, info.location)
    course = LossSeries(plan.task)
    gate, reading = _begin(source, day)
    try:
        found = _watch(reading, pool, gate, progress, day=day, course=course)
        costs = (_look(pool, INGEST.words, "own"), reading.cost)
        day.left_out.update(source.left_out)
        day.unread = max(0, reading.there - day.count)
        record = close_day(day, course, strategy, costs, gate=gate.record)
        own = {i: found[i] for i, seen in day.frames.items() if seen.scored}
        return with_own_answers(record, own, pool, strategy, folder=folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


Looker = Gate | SparseLooks | PlannedLooks
"""What decides at which frames the student looks."""


class _Reading:
    """The frames as they come from the source, and how long they took. `expected` is how many come
    (None: not known), `there` how many the recording has (0: as many as come)."""

    def __init__(self, frames: Iterator[Frame], *, expected: int | None, there: int = 0) -> None:
        self._frames, self.expected, self.there = frames, expected, there
        self._read, self._seconds = 0, 0.0

    def __iter__(self) -> Iterator[Frame]:
        while True:
            began_s = time.perf_counter()
            frame = next(self._frames, None)
            self._seconds += time.perf_counter() - began_s
            if frame is None:
                return
            self._read += 1
            yield frame

    @property
    def cost(self) -> Cost:
        """The line of the ledger: what the night waited for."""
        return Cost(
            stage=READING,
            activity="read",
            purpose="own",
            images=self._read,
            seconds=self._seconds,
            device="",
            backend="",
        )


def _begin(source: FrameSource, day: Day) -> tuple[Looker, _Reading]:
    """What decides on the frames, and the frames: all of them, or those of chosen moments where the
    source gives out single ones and the student does not look at all."""
    plan, rng = day.plan, np.random.default_rng([day.plan.seed, 22])
    there = source.moments(plan.interval_s)
    bounded = plan.looks is not None and not (plan.gate.enabled or plan.gate.every > 1)
    if there is not None and bounded and plan.looks is not None and plan.looks < len(there):
        return _planned(source, day, there, plan.looks, rng)
    expected = source.expected(plan.interval_s)
    reading = _Reading(source.frames(Sampler(plan.interval_s)), expected=expected)
    return _looker(day, expected or math.ceil(DAY_S / plan.interval_s), rng), reading


def _planned(
    source: FrameSource, day: Day, there: Sequence[float], looks: int, rng: np.random.Generator
) -> tuple[Looker, _Reading]:
    """As many moments as the student looks at, or somewhat more than are kept, whichever is
    more."""
    slice_, plan = day.control_slice, day.plan
    reads = max(1, looks, math.ceil(SPARE * max(plan.survivors, plan.random)))
    control = ControlMoments(slice_.holds, slice_.group_of, slice_.frames_per_group)
    chosen = draw_moments(there, reads, control, rng)
    reads = sum(not slice_.holds(at_s) for at_s in chosen)
    frames = max(len(there), source.expected(plan.interval_s) or 0)
    looker = PlannedLooks(
        day.plan.task, frames=frames, reads=reads, looks=looks, spared=slice_.holds
    )
    return looker, _Reading(source.frames_at(chosen), expected=len(chosen), there=frames)


def _looker(day: Day, frames: int, rng: np.random.Generator) -> Looker:
    plan = day.plan
    if plan.looks is None or plan.looks >= frames or plan.gate.enabled or plan.gate.every > 1:
        return Gate(plan.gate, plan.task, rng)
    to_choose_from = max(1, round(frames * (1 - plan.control.share)))
    sparse = SparsePlan(frames=to_choose_from, looks=min(max(1, plan.looks), to_choose_from))
    return SparseLooks(sparse, plan.task, rng, spared=day.control_slice.holds)


def _decide(gate: Looker, frame: Frame) -> Decision:
    """A recording is one day to the change gate, so it is not told the time."""
    if isinstance(gate, SparseLooks | PlannedLooks):
        return gate.decide(frame.image, frame.time_s)
    return gate.decide(frame.image)


def _watch(
    reading: _Reading,
    pool: PooledModel,
    gate: Looker,
    progress: Progress,
    *,
    day: Day,
    course: LossSeries,
) -> dict[int, Answer]:
    """The answers to the stored frames, by frame id."""
    found: dict[int, Answer] = {}
    with progress.stage(INGEST.words, reading.expected) as advance:
        for group in _seen(reading, pool, gate):
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


def with_own_answers(
    record: IngestRecord,
    own: Mapping[int, Answer],
    pool: PooledModel,
    strategy: Strategy,
    *,
    folder: Path,
) -> tuple[IngestRecord, dict[int, Answer]]:
    """The record, and this student's answers to its frames: those of the day (`own`), and now also
    those to the control slice and, if the strategy goes by them, to the survivors. A frame that
    was only drawn needs none."""
    answers = {frame.id: own[frame.id] for frame in record.frames if frame.id in own}
    late_ones: list[tuple[str, Purpose, tuple[int, ...]]] = [
        (CONTROL_SLICE, "control", record.control),
        (STORED_FRAMES, "own", record.survivors if strategy.uses_teacher else ()),
    ]
    for part, purpose, ids in late_ones:
        late = [frame for frame in record.frames if frame.id in set(ids) - answers.keys()]
        if not late:
            continue
        before = (pool.images, pool.seconds)
        batches = pool.predict(batched_images(load_images(folder, late), BATCH))
        found = [answer for batch in batches for answer in batch]
        answers |= {frame.id: answer for frame, answer in zip(late, found, strict=True)}
        cost = _look(pool, INGEST.of(part), purpose, since=before)
        record = record.changed(costs=(*record.costs, cost))
    return record, answers


def _look(
    pool: PooledModel, stage: str, purpose: Purpose, *, since: tuple[int, float] = (0, 0.0)
) -> Cost:
    """What the pool has looked at, all of it or since then, as a line of the ledger."""
    return Cost(
        stage=stage,
        activity="look",
        purpose=purpose,
        images=pool.images - since[0],
        seconds=pool.seconds - since[1],
        device=pool.device,
        backend=pool.backend,
    )


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


def _grouped(frames: Iterable[Frame], gate: Looker) -> Iterator[_Group]:
    """The frames in groups, each with the gate's decision, made just before its group is scored."""
    group = _Group([], [])
    for frame in frames:
        if group.frames and group.is_full_for(frame):
            yield group
            group = _Group([], [])
        group.decisions.append(_decide(gate, frame))
        group.frames.append(frame)
    if group.frames:
        yield group


def _seen(
    frames: Iterable[Frame], pool: PooledModel, gate: Looker
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
