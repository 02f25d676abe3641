"""A recording as a source: decoded from start to end, only wanted frames turned into RGB.

Read sequentially on purpose: seeking misses the requested time in MPEG-TS and in files with a
variable frame rate, and a full decode with few conversions is fast enough.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from streams.base import Frame, FrameSource, SourceInfo, SourceUnreadableError, StreamError, as_utc
from streams.decoding import Aspect, finished, main_video_stream
from streams.left_out import LeftOut
from streams.pictures import MOST_PIXELS, PictureError, too_large
from streams.recorded.header import Header, keyframe_interval_s, read_header
from streams.recorded.length import frame_s, has_all, report_length
from streams.recorded.sound import Pass, sound_frames
from streams.sampler import Sampler, TimeRepair

NOT_VIDEO_FORMATS = frozenset({"tty"})
"""FFmpeg renders a text file as a video of scrolling text."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A sound frame, when it is in the recording, and how wide its pixels are."""

    frame: Any
    time_s: float
    aspect: Fraction


class Recording(FrameSource):
    """Frames of a video with a beginning and an end, each with its time counted from the start.

    A subclass says how to open it. `started_at` is the wall time of the start: by default the
    container's creation time, else `written_at` less the duration. Damaged frames are left out, and
    those built on them up to the next keyframe; a recording that breaks off yields what is there
    and logs how far it got. Frames have square pixels, are upright and not interlaced.
    """

    def __init__(
        self,
        *,
        camera: str,
        location: str,
        kind: str,
        written_at: datetime,
        started_at: datetime | None = None,
        most_pixels: int = MOST_PIXELS,
    ) -> None:
        self._camera = camera
        self._where = f"camera {camera!r}: {location}"
        self._most_pixels = most_pixels
        self._closed = False
        self._pass = Pass(LeftOut(self._where))
        self._header, shape = self._probe()
        length = timedelta(seconds=self._header.duration_s or 0.0)
        started_at = started_at or self._header.created_at or written_at - length
        self._info = SourceInfo(
            kind=kind,
            location=location,
            width_px=shape[1],
            height_px=shape[0],
            started_at=as_utc(started_at, camera=camera),
            rate_fps=self._header.rate_fps,
            duration_s=self._header.duration_s,
            codec=self._header.codec,
        )

    _no_frame_advice = "the file is empty, cut off or in an unknown codec: convert or copy it again"

    @abstractmethod
    def _open(self) -> Any:
        """PyAV's container, from the start; raises a `StreamError`."""

    @property
    def info(self) -> SourceInfo:
        return self._info

    @property
    def left_out(self) -> Mapping[str, int]:
        return self._pass.left_out.counts

    def frames(self, sampler: Sampler | None = None) -> Iterator[Frame]:
        self._require_open()
        return self._read(sampler)

    def _require_open(self) -> None:
        if self._closed:
            message = f"{self._where}: it was closed; open it again to read from it"
            raise StreamError(message)

    def expected(self, interval_s: float) -> int | None:
        """A time-lapse may have frames more seldom than they are sampled."""
        by_length, info = super().expected(interval_s), self.info
        if by_length is None or info.duration_s is None or not info.rate_fps:
            return by_length
        return min(by_length, max(1, math.ceil(info.duration_s * info.rate_fps)))

    def find_keyframe_interval(self) -> float | None:
        """The longest of the first few gaps between keyframes, in seconds; None where there is but
        one. Nothing is decoded."""
        with closing(self._open()) as container, suppress(av.error.FFmpegError, OSError):
            return keyframe_interval_s(container)
        return None

    def close(self) -> None:
        """End running passes at their next frame; each lets go of the file as it ends."""
        self._closed = True

    def _read(self, sampler: Sampler | None) -> Iterator[Frame]:
        tally = self._pass = Pass(LeftOut(self._where))
        yield from self._given(self._decode_all(tally, sampler), tally, sampler)
        if not self._closed and not has_all(sampler, self._header):
            report_length(tally, self._header, where=self._where)

    def _given(
        self, found: Iterator[Shown], tally: Pass, sampler: Sampler | None = None
    ) -> Iterator[Frame]:
        """Those that the sampler wants, as frames, and a line on what was left out."""
        for shown in found:
            tally.reached_s = shown.time_s
            if sampler is None or sampler.wants(shown.time_s):
                try:
                    image = _rgb(shown, self._most_pixels)
                except PictureError as exc:
                    tally.left_out.note(str(exc))
                    continue
                wall_time = self._info.started_at + timedelta(seconds=shown.time_s)
                yield Frame(image, shown.time_s, wall_time, self._camera)
            if self._closed:
                return
        tally.left_out.say(tally.decoded)

    def _decode_all(self, tally: Pass, sampler: Sampler | None) -> Iterator[Shown]:
        """The recording's frames; those that the sampler does not want may be missing."""
        with closing(self._open()) as container:
            yield from self._timed(container, tally, self._header)

    def _timed(self, container: Any, tally: Pass, header: Header) -> Iterator[Shown]:
        """Sound frames with their times repaired: nothing is ever decided by raw stamps, which may
        start anew in the middle."""
        repair = TimeRepair(frame_s(header))
        aspect = Aspect(main_video_stream(container))
        for frame in self._decode(container, tally):
            raw_s = frame.time
            time_s = repair.repair(None if raw_s is None else raw_s - header.start_s)
            yield Shown(frame, time_s, aspect.of(frame))

    def _decode(self, container: Any, tally: Pass) -> Iterator[Any]:
        """Every sound frame in presentation order; what is damaged is counted and left out."""
        return sound_frames(container, tally, where=self._where, most_pixels=self._most_pixels)

    def _probe(self) -> tuple[Header, tuple[int, ...]]:
        """The header, and the shape of the first frame as proof that there is one."""
        with closing(self._open()) as container:
            stream = main_video_stream(container)
            if container.format.name in NOT_VIDEO_FORMATS or stream is None:
                message = (
                    f"{self._where}: no video in it (read as {container.format.name!r}); "
                    "give a file with a video track"
                )
                raise SourceUnreadableError(message)
            context = stream.codec_context
            reason = too_large(context.width or 0, context.height or 0, self._most_pixels)
            first = None
            if reason is None:
                first = next(self._decode(container, self._pass), None)
                reason = self._no_frame_advice
            if first is None:
                message = f"{self._where}: not one frame can be decoded; {reason}"
                raise SourceUnreadableError(message)
            header = read_header(container, first)
            return header, self._shape(Shown(first, 0.0, Aspect(stream).of(first)))

    def _shape(self, shown: Shown) -> tuple[int, ...]:
        try:
            return _rgb(shown, self._most_pixels).shape
        except PictureError as exc:
            message = f"{self._where}: {exc}"
        raise SourceUnreadableError(message)


def _rgb(shown: Shown, most_pixels: int) -> NDArray[np.uint8]:
    """H×W×3 uint8, as it is meant to be seen. Raises `PictureError`."""
    image: NDArray[np.uint8] = shown.frame.to_ndarray(format="rgb24")
    return finished(image, shown.frame, shown.aspect, most_pixels=most_pixels)
