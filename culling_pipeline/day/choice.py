"""The end of a day: survivors, random frames and the control slice are chosen, the other frames are
deleted, and the day gets its record."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from culling_pipeline.culling.candidates import Candidates
from culling_pipeline.culling.strategies import Strategy
from culling_pipeline.day.day import Day, EmptyDayError
from culling_pipeline.day.frame_files import frame_name
from culling_pipeline.day.loss_series import HISTOGRAM_BINS, LossSeries
from culling_pipeline.records.costs import Cost
from culling_pipeline.records.day import FeedRecord, GateRecord, IngestRecord, StoredFrame
from streams.left_out import in_words

LEAST_SEEN, LEAST_TO_TRAIN = 10, 2
"""Frames below which there is no night: those seen, and those stored beside the control slice."""

LEAST_GROUPS = 2
"""With fewer stretches of control frames nothing can be said of a student."""


def close_day(
    day: Day,
    course: LossSeries,
    strategy: Strategy,
    costs: Sequence[Cost],
    *,
    gate: GateRecord | None = None,
    feed: FeedRecord | None = None,
) -> IngestRecord:
    """Choose survivors, control slice and random frames; delete the rest. `course` has the losses
    of all frames seen."""
    groups, spoilt = _unspoilt(day)
    control = _draw_control(day, groups)
    height_px, width_px = _size_if_enough(day, control)
    losses = course.losses()
    survivors, random = _choose(day, losses, strategy)
    _keep_only(day, {*survivors, *random, *control})
    counts, edges = np.histogram(losses, bins=HISTOGRAM_BINS)
    return IngestRecord(
        frames_seen=day.count + day.unread,
        left_out=dict(day.left_out),
        width_px=width_px,
        height_px=height_px,
        frames=tuple(_as_stored(day, i, losses) for i in sorted(day.frames)),
        survivors=survivors,
        control=control,
        random=random,
        control_is=day.control_slice.description + _left_out_words(spoilt),
        control_blocks=tuple(day.block_of(i) for i in control),
        histogram_edges=tuple(float(e) for e in edges),
        histogram_counts=tuple(int(c) for c in counts),
        course=course.points(losses),
        costs=tuple(costs),
        gate=gate,
        feed=feed,
    )


def _unspoilt(day: Day) -> tuple[list[list[int]], int]:
    """The control frames of each stretch of time in which the last night has not trained, and how
    many stretches are left out for that; all of them, should hardly one be left."""
    spoilt = day.spoilt_groups
    groups = [ids for ids in day.control_groups if ids]
    left = [ids for ids in groups if day.block_of(ids[0]) not in spoilt]
    if len(left) < LEAST_GROUPS:
        return groups, 0
    return left, len(groups) - len(left)


def _left_out_words(spoilt: int) -> str:
    if not spoilt:
        return ""
    return f", without {spoilt} in which the last night has trained"


def _draw_control(day: Day, groups: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """The same number from every stretch of time, as far as it has them."""
    most = day.plan.control.frames
    queues = [list(day.rng.permutation(ids)) for ids in groups]
    chosen: list[int] = []
    while len(chosen) < most and any(queues):
        for queue in queues:
            if queue and len(chosen) < most:
                chosen.append(int(queue.pop()))
    return tuple(sorted(chosen))


def _size_if_enough(day: Day, control: Sequence[int]) -> tuple[int, int]:
    """Height and width in pixels; an error if there are too few frames for a night."""
    to_train = len(day.frames) - len(control)
    if day.count >= LEAST_SEEN and control and to_train >= LEAST_TO_TRAIN and day.shape:
        return day.shape
    message = (
        f"{day.where}: {day.count} frames were sampled, too few "
        "to keep some for training and some for measuring: raise the camera's fps, or "
        "give it a longer recording or more days"
    )
    if day.left_out:
        message += f" (left out: {in_words(day.left_out)})"
    raise EmptyDayError(message)


def _choose(
    day: Day, losses: NDArray[np.float64], strategy: Strategy
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Survivors and random frames."""
    plan, drawn = day.plan, sorted(day.drawn_ids)
    random = sorted(day.rng.permutation(drawn)[: plan.random].tolist())
    own = sorted(day.hard_ids.union(drawn))
    candidates = Candidates.from_frames(
        [_as_candidate(day, i, losses) for i in own],
        n_parts=plan.parts,
        drawn_ids=frozenset(drawn),
    )
    return strategy.survivors(candidates, plan.survivors, day.rng), tuple(random)


def _keep_only(day: Day, wanted: Collection[int]) -> None:
    unwanted = sorted(day.frames.keys() - set(wanted))
    day.unlink([i for i in unwanted if day.forget(i)])


def _as_stored(day: Day, frame_id: int, losses: NDArray[np.float64]) -> StoredFrame:
    seen = day.frames[frame_id]
    return StoredFrame(
        id=frame_id,
        path=frame_name(frame_id),
        time_s=seen.time_s,
        wall_time=seen.wall_time,
        part=day.part_of(seen.time_s),
        confidence_loss=float(losses[frame_id]),
    )


def _as_candidate(day: Day, frame_id: int, losses: NDArray[np.float64]) -> StoredFrame:
    """The frame; one that was only drawn has no loss of its own, and so is not hard."""
    frame = _as_stored(day, frame_id, losses)
    if day.frames[frame_id].scored:
        return frame
    return frame.changed(confidence_loss=0.0)
