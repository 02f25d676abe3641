"""One segment, read: its header, the frames wanted of it, or single keyframes at given moments."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
from numpy.typing import NDArray

from streams.base import SourceUnreadableError
from streams.decoding import (
    Aspect,
    decoder_options,
    finished,
    main_video_stream,
)
from streams.left_out import LeftOut
from streams.pictures import PictureError
from streams.recorded.file import open_video
from streams.recorded.header import keyframe_interval_s, read_header
from streams.recorded.length import frame_s, is_short
from streams.recorded.recordings.keyframe_index import (
    Keyframes,
    Track,
    keyframe_at,
    keyframe_without_seek,
    keyframes_suffice,
    length_of,
    start_of,
)
from streams.recorded.sound import DAMAGED, Pass, sound_frames
from streams.sampler import TOLERANCE_S, TimeRepair

GONE = "of a segment that was deleted while it was read"
EMPTY = "of an empty segment"
BROKEN = "of a segment that cannot be opened"
NO_FRAME = "of a segment without one whole frame"
CUT_OFF = "of the end of a segment that is cut off"
GROWING = "of a segment that is still being written"
"""Why a segment, or its end, is left out; each counts once."""


class SegmentError(Exception):
    """This segment cannot be read; `reason` is one of those above."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Taken(NamedTuple):
    """A frame of a segment: seconds since the segment's start, and H×W×3 uint8 RGB."""

    offset_s: float
    image: NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentFacts:
    """What a segment's header says, and its first frame."""

    length_s: float | None
    height_px: int
    width_px: int
    rate_fps: float | None
    codec: str | None
    keyframe_interval_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Which frames of a segment may be wanted: the first in each stretch of `interval_s` since
    `anchor_s` (seconds since the segment's start). None in `interval_s`: all."""

    interval_s: float | None
    anchor_s: float = 0.0

    def cell(self, offset_s: float) -> int:
        assert self.interval_s is not None
        return math.floor((offset_s - self.anchor_s + TOLERANCE_S) / self.interval_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentReader:
    """Reads segments. `left_out` counts pictures; `keyframe_interval_s` is taken for true of
    segments without an index."""

    root: Path
    where: str
    most_pixels: int
    left_out: LeftOut
    keyframe_interval_s: float | None = None

    def facts(self, path: str) -> SegmentFacts:
        """What a segment is; its first frame is decoded."""
        with closing(self._open(path)) as container:
            tally = Pass(LeftOut(self.where))
            stream = main_video_stream(container)
            aspect = Aspect(stream)
            first = next(self._decode(container, tally), None)
            if first is None:
                raise SegmentError(NO_FRAME)
            height_px, width_px = self._rgb(first, aspect).shape[:2]
            header = read_header(container, first)
            index = Keyframes.of(stream)
        interval_s = None if index is None else index.longest_gap_s(header.duration_s)
        if index is None:
            with closing(self._open(path)) as container:
                interval_s = keyframe_interval_s(container)
        return SegmentFacts(
            length_s=header.duration_s,
            height_px=height_px,
            width_px=width_px,
            rate_fps=header.rate_fps,
            codec=header.codec,
            keyframe_interval_s=interval_s,
        )

    def length_s(self, path: str) -> float | None:
        """How long a segment is, by its header; None if it cannot be read or does not say."""
        try:
            with closing(self._open(path)) as container:
                length_s = length_of(main_video_stream(container))
                if length_s is None and container.duration is not None:
                    length_s = container.duration / 1e6
                return length_s
        except SegmentError:
            return None

    def frames(self, path: str, grid: Grid) -> Iterator[Taken]:
        """The frames that the grid may want, by their own times; keyframes only where they
        suffice."""
        with closing(self._open(path)) as container:
            stream = main_video_stream(container)
            if keyframes_suffice(stream, grid.interval_s, usual_s=self.keyframe_interval_s):
                # Not `discard`: the times of packets that follow discarded ones are wrong in MP4.
                stream.codec_context.skip_frame = "NONKEY"
            stream.codec_context.thread_count = 1  # segments are read side by side
            yield from self._wanted(container, stream, grid)

    def keyframes_at(self, path: str, offsets_s: Sequence[float]) -> Iterator[Taken]:
        """For each moment (rising) the last keyframe at or before it, each but once: a seek and one
        decoded picture."""
        with closing(self._open(path)) as container:
            track = self._track(container)
            aspect = Aspect(track.stream)
            last_s = -math.inf
            for offset_s in offsets_s:
                frame = self._keyframe(track, offset_s, path)
                if frame is None:
                    continue
                at_s = track.time_s(frame)
                if at_s <= last_s:
                    continue
                last_s = at_s
                image = self._picture(frame, aspect)
                if image is not None:
                    yield Taken(at_s, image)
            if last_s == -math.inf:
                raise SegmentError(NO_FRAME)

    def _track(self, container: Any) -> Track:
        stream = main_video_stream(container)
        context = stream.codec_context
        context.thread_count = 1
        context.options = decoder_options(context.name, self.most_pixels)
        return Track(container, stream, start_of(stream), self.keyframe_interval_s)

    def _keyframe(self, track: Track, offset_s: float, path: str) -> Any:
        """The last keyframe at or before this moment, decoded alone; None if that fails. FFmpeg
        does not find the first one of Dahua's files again."""
        try:
            frame = keyframe_at(track, offset_s)
        except (av.error.FFmpegError, OSError):
            frame = self._without_seek(path, offset_s)
        if frame is None:
            self.left_out.note(DAMAGED)
        return frame

    def _without_seek(self, path: str, offset_s: float) -> Any:
        try:
            with closing(self._open(path)) as container:
                return keyframe_without_seek(self._track(container), offset_s)
        except (av.error.FFmpegError, OSError, SegmentError):
            return None

    def _wanted(self, container: Any, stream: Any, grid: Grid) -> Iterator[Taken]:
        tally, aspect = Pass(self.left_out), Aspect(stream)
        repair: TimeRepair | None = None
        cell, start_s = None, 0.0
        for frame in self._decode(container, tally):
            if repair is None:
                header = read_header(container, frame)
                start_s, repair = header.start_s, TimeRepair(frame_s(header))
            raw_s = frame.time
            tally.reached_s = repair.repair(None if raw_s is None else raw_s - start_s)
            if grid.interval_s is not None:
                own = grid.cell(tally.reached_s)
                if own == cell:
                    continue
                cell = own
            image = self._picture(frame, aspect)
            if image is not None:
                yield Taken(tally.reached_s, image)
        if repair is None:
            raise SegmentError(NO_FRAME)
        if stream.codec_context.skip_frame != "NONKEY" and is_short(tally, header):
            self.left_out.note(CUT_OFF)

    def _open(self, path: str) -> Any:
        whole = self.root / path
        try:
            container = open_video(whole, where=self.where, most_pixels=self.most_pixels)
        except SourceUnreadableError as exc:
            raise SegmentError(_why(whole)) from exc
        if main_video_stream(container) is None:
            container.close()
            raise SegmentError(_why(whole))
        return container

    def _decode(self, container: Any, tally: Pass) -> Iterator[Any]:
        return sound_frames(container, tally, where=self.where, most_pixels=self.most_pixels)

    def _picture(self, frame: Any, aspect: Aspect) -> NDArray[np.uint8] | None:
        try:
            return self._rgb(frame, aspect)
        except PictureError as exc:
            self.left_out.note(str(exc))
            return None

    def _rgb(self, frame: Any, aspect: Aspect) -> NDArray[np.uint8]:
        image: NDArray[np.uint8] = frame.to_ndarray(format="rgb24")
        return finished(image, frame, aspect.of(frame), most_pixels=self.most_pixels)


def _why(path: Path) -> str:
    """Why a segment cannot be opened, by one look at it."""
    try:
        return BROKEN if os.stat(path).st_size else EMPTY
    except FileNotFoundError:
        return GONE
    except OSError:
        return BROKEN
