"""A recording as a source: decoded from start to end, only wanted frames turned into RGB.

Read sequentially on purpose: seeking misses the requested time in MPEG-TS and in files with a
variable frame rate, and a full decode with few conversions is fast enough.
"""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import islice
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from streams.base import Frame, FrameSource, SourceInfo, SourceUnreadableError, StreamError, as_utc
from streams.decoding import (
    Aspect,
    Soundness,
    decoder_options,
    finished,
    main_video_stream,
    packet_time_s,
)
from streams.keyframes import KeyframeGate
from streams.left_out import LeftOut
from streams.pictures import MOST_PIXELS, PictureError, too_large
from streams.sampler import Sampler, TimeRepair

logger = logging.getLogger(__name__)

DEFAULT_RATE_FPS = 25.0
"""Assumed where a file does not tell its frame rate; only used to mend missing time stamps."""

LOOKED_AT_PACKETS = 1000
"""How far into a recording keyframes are looked for: most of a minute."""

EARLIEST_YEAR, LATEST_YEAR = 1990, 2200
"""Creation times beyond these are a device's unset clock (1904 and 1970 are the usual zeros)."""

SHORT_SHARE, SHORT_S = 0.02, 1.0
"""A file that ends earlier than its header says by more than both of these is reported."""

NOT_VIDEO_FORMATS = frozenset({"tty"})
"""FFmpeg renders a text file as a video of scrolling text."""


LONGEST_S = 366 * 86_400.0
"""A header that claims more is wrong."""

DAMAGED = "damaged"
BUILT_ON_DAMAGE = "built on a damaged one"


@dataclass(slots=True)
class _Pass:
    """What one pass over the file has met so far."""

    left_out: LeftOut
    decoded: int = 0
    reached_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Shown:
    """A sound frame, when it is in the recording, and how wide its pixels are."""

    frame: Any
    time_s: float
    aspect: Fraction


@dataclass(frozen=True, slots=True)
class _Header:
    """What the container says, as far as it can be believed."""

    start_s: float
    rate_fps: float | None
    duration_s: float | None
    created_at: datetime | None
    codec: str | None


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
        self._pass = _Pass(LeftOut(self._where))
        self._header, shape = self._probe()
        if started_at is None:
            length = timedelta(seconds=self._header.duration_s or 0.0)
            started_at = self._header.created_at or written_at - length
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
        if self._closed:
            message = f"{self._where}: it was closed; open it again to read from it"
            raise StreamError(message)
        return self._read(sampler)

    def find_keyframe_interval(self) -> float | None:
        """The longest of the first few gaps between keyframes, in seconds; None where there is but
        one. Nothing is decoded."""
        gate = KeyframeGate("keyframes")
        with closing(self._open()) as container, suppress(av.error.FFmpegError, OSError):
            packets = container.demux(main_video_stream(container))
            for packet in islice(packets, LOOKED_AT_PACKETS):
                if packet.is_keyframe and packet.pts is not None:
                    time_s = float(packet.pts * packet.time_base)
                    gate.admits(is_key=True, time_s=time_s, interval_s=None)
        return gate.keyframe_interval_s

    def close(self) -> None:
        """End running passes at their next frame; each lets go of the file as it ends."""
        self._closed = True

    def _read(self, sampler: Sampler | None) -> Iterator[Frame]:
        tally = self._pass = _Pass(LeftOut(self._where))
        for shown in self._decode_all(tally):
            tally.reached_s = shown.time_s
            if sampler is None or sampler.wants(shown.time_s):
                try:
                    image = _rgb(shown, self._most_pixels)
                except PictureError as exc:
                    tally.left_out.note(str(exc))
                    continue
                yield Frame(
                    image=image,
                    time_s=shown.time_s,
                    wall_time=self._info.started_at + timedelta(seconds=shown.time_s),
                    camera=self._camera,
                )
            if self._closed:
                return
        self._report(tally)

    def _decode_all(self, tally: _Pass) -> Iterator[Shown]:
        """The whole recording's frames."""
        with closing(self._open()) as container:
            yield from self._timed(container, tally, self._header)

    def _timed(self, container: Any, tally: _Pass, header: _Header) -> Iterator[Shown]:
        """Sound frames with their times repaired: nothing is ever decided by raw stamps, which may
        start anew in the middle."""
        repair = TimeRepair(1.0 / (header.rate_fps or DEFAULT_RATE_FPS))
        aspect = Aspect(main_video_stream(container))
        for frame in self._decode(container, tally):
            raw_s = frame.time
            time_s = repair.repair(None if raw_s is None else raw_s - header.start_s)
            yield Shown(frame, time_s, aspect.of(frame))

    def _decode(self, container: Any, tally: _Pass) -> Iterator[Any]:
        """Every sound frame in presentation order; what is damaged is counted and left out."""
        stream = main_video_stream(container)
        context = stream.codec_context
        context.options = decoder_options(context.name, self._most_pixels)
        packets, soundness = container.demux(stream), Soundness()
        while True:
            try:
                packet = next(packets, None)
            except (av.error.FFmpegError, OSError):
                logger.debug("%s: the container breaks off", self._where)
                return
            if packet is None:
                return
            try:
                decoded = packet.decode()
            except av.error.EOFError:
                return
            except av.error.FFmpegError:
                tally.left_out.note(DAMAGED)
                soundness.broke(packet_time_s(packet))
                continue
            for frame in decoded:
                if soundness.holds(frame):
                    tally.decoded += 1
                    yield frame
                else:
                    tally.left_out.note(DAMAGED if frame.is_corrupt else BUILT_ON_DAMAGE)

    def _report(self, tally: _Pass) -> None:
        tally.left_out.say(tally.decoded)
        if self._is_short(tally):
            logger.warning(
                "%s: ends early, at %.1f s of %.1f s (%d frames); the rest is missing or "
                "unreadable, copy the file again if it should be whole",
                self._where,
                self._end_s(tally),
                self._header.duration_s,
                tally.decoded,
            )

    def _end_s(self, tally: _Pass) -> float:
        return tally.reached_s + 1.0 / (self._header.rate_fps or DEFAULT_RATE_FPS)

    def _is_short(self, tally: _Pass) -> bool:
        duration_s = self._header.duration_s or 0.0
        return duration_s - self._end_s(tally) > max(SHORT_S, SHORT_SHARE * duration_s)

    def _probe(self) -> tuple[_Header, tuple[int, ...]]:
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
            header = _read_header(container, first)
            return header, self._shape(Shown(first, 0.0, Aspect(stream).of(first)))

    def _shape(self, shown: Shown) -> tuple[int, ...]:
        try:
            return _rgb(shown, self._most_pixels).shape
        except PictureError as exc:
            message = f"{self._where}: {exc}"
        raise SourceUnreadableError(message)


def _read_header(container: Any, first: Any) -> _Header:
    stream = main_video_stream(container)
    if stream.start_time is not None:
        start_s = float(stream.start_time * stream.time_base)
    else:
        start_s = first.time or 0.0
    duration_s = None
    if stream.duration is not None:
        duration_s = float(stream.duration * stream.time_base)
    elif container.duration is not None:
        duration_s = container.duration / 1e6
    return _Header(
        start_s=start_s,
        rate_fps=_believable_rate(stream),
        duration_s=duration_s if duration_s and 0 < duration_s <= LONGEST_S else None,
        created_at=_parse_creation_time(container.metadata.get("creation_time")),
        codec=stream.codec_context.name,
    )


def _believable_rate(stream: Any) -> float | None:
    for rate in (stream.average_rate, stream.guessed_rate):
        if rate is not None and 0 < rate <= 1000:
            return float(rate)
    return None


def _parse_creation_time(text: str | None) -> datetime | None:
    """A container's creation_time; without a zone it is UTC, as the containers' rules say."""
    try:
        moment = datetime.fromisoformat(text or "")
        if not EARLIEST_YEAR <= moment.year <= LATEST_YEAR:
            return None
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except ValueError:
        return None


def _rgb(shown: Shown, most_pixels: int) -> NDArray[np.uint8]:
    """H×W×3 uint8, as it is meant to be seen. Raises `PictureError`."""
    image: NDArray[np.uint8] = shown.frame.to_ndarray(format="rgb24")
    return finished(image, shown.frame, shown.aspect, most_pixels=most_pixels)
