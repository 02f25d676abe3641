"""Frames drawn evenly in time from a recording or from watched days, without any student.

A camera's first student is trained on them (`first_student.py`). The control slice of a night is
set aside here as well, so that the first night measures on frames that no student was trained on.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from culling_pipeline.day.control_slice import ControlSlice
from culling_pipeline.day.day import EmptyDayError, IngestPlan
from culling_pipeline.day.daybook import FRAMES
from culling_pipeline.day.frame_files import frame_name, load_images, write_image
from culling_pipeline.day.loss_series import Seen
from culling_pipeline.day.watched_day import WatchedDay
from culling_pipeline.records.base import Record
from culling_pipeline.records.day import StoredFrame
from culling_pipeline.run.progress import Progress
from streams.base import Frame, FrameSource
from streams.one_size import OneSize
from streams.sampler import Sampler

_Item = TypeVar("_Item")
_BLOCKS_A_DAY = 100_000
"""More than the blocks of time in a day; keeps the blocks of different days apart."""


class _Seen(NamedTuple):
    """A stored picture of a watched day, its line in the daybook, and its block of time."""

    path: Path
    seen: Seen
    block: int


class EvenSample(Record):
    """One camera's frames: `train` to learn from, `control` to measure with, and for each of these
    the stretch of time it comes from (`blocks`)."""

    height_px: int
    width_px: int
    train: tuple[StoredFrame, ...]
    control: tuple[StoredFrame, ...]
    blocks: tuple[int, ...]

    @property
    def frames(self) -> tuple[StoredFrame, ...]:
        """All of them."""
        return (*self.train, *self.control)


def control_count(train: int, plan: IngestPlan) -> int:
    """The number of frames for measuring that goes with `train` frames for training."""
    share = plan.control.share
    return max(1, min(plan.control.frames, round(train * share / (1 - share))))


def evenly(items: Sequence[_Item], count: int) -> list[_Item]:
    """`count` of the items, evenly spaced in their order; all of them if there are fewer."""
    if count >= len(items):
        return list(items)
    return [items[int((k + 0.5) * len(items) / count)] for k in range(count)]


def draw_recording(
    source: FrameSource, plan: IngestPlan, count: int, folder: Path, progress: Progress
) -> EvenSample:
    """About `count` frames to train on, and those to measure with, as JPEG files in `folder`.

    If a recording's length is unknown, every second frame is dropped whenever there are twice as
    many as needed. A recording too short for both raises `EmptyDayError`.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    source = OneSize(source)
    info, plan = source.info, plan.for_source(source)
    wanted = count + control_count(count, plan)
    interval_s = _interval_s(source, plan.interval_s, wanted)
    moments = source.moments(interval_s) or ()
    singly = len(moments) >= min(wanted, source.expected(interval_s) or wanted)
    frames = source.frames_at(moments) if singly else source.frames(Sampler(interval_s))
    held: list[StoredFrame] = []
    stride, shape = 1, (info.height_px, info.width_px)
    with progress.stage("drawing frames", wanted if info.duration_s else None) as advance:
        for number, frame in enumerate(frames):
            if number % stride:
                continue
            write_image(folder, frame_name(number), frame.image)
            held.append(_stored(number, frame))
            advance(1)
            if len(held) >= 2 * wanted:
                _unlink(folder, held[1::2])
                held, stride = held[::2], 2 * stride
    slice_ = ControlSlice(plan.control, duration_s=info.duration_s, seed=plan.seed)
    control = [frame for frame in held if slice_.holds(frame.time_s)]
    train = [frame for frame in held if not slice_.holds(frame.time_s)]
    train, control = evenly(train, count), evenly(control, control_count(count, plan))
    _unlink(folder, [f for f in held if f not in train and f not in control])
    _enough(train, control, where=info.location)
    return EvenSample(
        height_px=shape[0],
        width_px=shape[1],
        train=tuple(train),
        control=tuple(control),
        blocks=tuple(slice_.group_of(frame.time_s) for frame in control),
    )


def _interval_s(source: FrameSource, least_s: float, wanted: int) -> float:
    """How far apart frames are drawn, so that `wanted` come; shorter where there are gaps."""
    duration_s = source.info.duration_s
    if duration_s is None:
        return least_s
    interval_s = max(least_s, duration_s / wanted)
    while interval_s > least_s and (there := source.expected(interval_s) or wanted) < wanted:
        interval_s = max(least_s, 0.98 * interval_s * there / wanted)
    return interval_s


def draw_days(days: Sequence[WatchedDay], plan: IngestPlan, count: int, folder: Path) -> EvenSample:
    """As `draw_recording`, from a live camera's watched days: from the frames drawn at random
    there. Pictures are linked into `folder`, not copied."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    shape = next((s for day in reversed(days) if (s := day.shape) is not None), None)
    train: list[_Seen] = []
    control: list[_Seen] = []
    for number, on_disk in enumerate(days):
        day = on_disk.look(plan)
        for ids, group in ((day.drawn_ids, train), (day.control_ids, control)):
            for i in sorted(ids):
                if day.frames[i].shape == shape:
                    block = _BLOCKS_A_DAY * number + day.block_of(i)
                    group.append(
                        _Seen(on_disk.folder / FRAMES / frame_name(i), day.frames[i], block)
                    )
    to_train = _linked(evenly(train, count), folder, first_id=0)
    to_measure = _linked(evenly(control, control_count(count, plan)), folder, first_id=len(train))
    _enough(to_train, to_measure, where=str(days[-1].folder))
    assert shape is not None
    return EvenSample(
        height_px=shape[0],
        width_px=shape[1],
        train=tuple(frame for frame, _ in to_train),
        control=tuple(frame for frame, _ in to_measure),
        blocks=tuple(block for _, block in to_measure),
    )


def first_of_day(day: WatchedDay, plan: IngestPlan, count: int) -> list[NDArray[np.uint8]]:
    """The first few stored pictures of a watched day, H×W×3 uint8 RGB each."""
    frames = day.look(plan).frames
    first = [_stored(i, frames[i]) for i in sorted(frames)[:count]]
    return list(load_images(day.folder / FRAMES, first))


def _stored(number: int, seen: Frame | Seen) -> StoredFrame:
    return StoredFrame(
        id=number,
        path=frame_name(number),
        time_s=seen.time_s,
        wall_time=seen.wall_time,
        part=0,
        confidence_loss=0.0,
    )


def _linked(
    chosen: Sequence[_Seen], folder: Path, *, first_id: int
) -> list[tuple[StoredFrame, int]]:
    """The pictures, linked into `folder` under new numbers, with their blocks. A picture deleted
    in the meantime (the day may still be watched) is left out."""
    linked = []
    for number, (path, seen, block) in enumerate(chosen, start=first_id):
        there = folder / frame_name(number)
        there.unlink(missing_ok=True)
        try:
            os.link(path, there)
        except FileNotFoundError:
            continue
        except OSError:  # another file system, or one without links
            shutil.copyfile(path, there)
        linked.append((_stored(number, seen), block))
    return linked


def _unlink(folder: Path, frames: Sequence[StoredFrame]) -> None:
    for frame in frames:
        (folder / frame.path).unlink(missing_ok=True)


def _enough(train: Sequence[object], control: Sequence[object], *, where: str) -> None:
    if len(train) >= 2 and control:
        return
    message = (
        f"{where}: {len(train)} frames to train on and {len(control)} to measure with are too few: "
        "raise the camera's fps, or give it a longer recording or day"
    )
    raise EmptyDayError(message)
