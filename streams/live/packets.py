"""A connection read by PyAV: RTSP, HLS, web video and capture devices differ only in options."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from typing import Any

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from streams.address import Address
from streams.decoding import (
    Aspect,
    Soundness,
    decoder_options,
    finished,
    main_video_stream,
    packet_time_s,
)
from streams.failures import BROKEN, ENDED, NEARLY, NOT_VIDEO, TIMED_OUT, failure, guarded
from streams.keyframes import KeyframeGate, Sampling
from streams.live.connection import Arrival, Demand, StreamFacts
from streams.live.health import GLANCE_PX
from streams.pictures import MOST_PIXELS, PictureError, too_large

MICROSECONDS = 1_000_000

SQUARE = Fraction(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How to open one kind of address with PyAV."""

    kind: str
    address: Address
    where: str
    open_timeout_s: float
    read_timeout_s: float
    sampling: Sampling = "exact"
    format_name: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    most_pixels: int = MOST_PIXELS
    silence_s: float = 0.0
    expires_at_s: float | None = None
    """Monotonic second after which the connection ends by itself, to be opened anew."""


class Scalers:
    """FFmpeg's converters of one connection, which are slow to set up anew for each picture.

    Of one thread each: by default they would start one for every core, for a millisecond's work.
    """

    def __init__(self) -> None:
        self._full: Any = VideoReformatter()
        self._small: Any = VideoReformatter()

    def rgb(self, frame: Any) -> NDArray[np.uint8]:
        image: NDArray[np.uint8] = self._full.reformat(
            frame, format="rgb24", threads=1
        ).to_ndarray()
        return image

    def glance(self, frame: Any) -> NDArray[np.uint8]:
        width_px, height_px = GLANCE_PX
        small = self._small.reformat(
            frame, width_px, height_px, "gray", interpolation="POINT", threads=1
        )
        grey: NDArray[np.uint8] = small.to_ndarray()
        return grey


class DecodedPicture:
    """A frame as FFmpeg decoded it."""

    def __init__(self, frame: Any, scalers: Scalers, aspect: Fraction = SQUARE) -> None:
        self._frame, self._scalers, self._aspect = frame, scalers, aspect

    def rgb(self) -> NDArray[np.uint8] | None:
        with suppress(av.error.FFmpegError, ValueError, PictureError):
            return finished(self._scalers.rgb(self._frame), self._frame, self._aspect)
        return None

    def glance(self) -> NDArray[np.uint8] | None:
        with suppress(av.error.FFmpegError, ValueError):
            return self._scalers.glance(self._frame)
        return None


class PacketConnection:
    """Drains every packet; decodes those the keyframe gate admits."""

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._gate = KeyframeGate(recipe.sampling)
        self._soundness, self._scalers = Soundness(), Scalers()
        self._container = open_container(recipe)
        self._stream: Any = main_video_stream(self._container)
        if self._stream is None:
            self._container.close()
            raise failure(recipe.where, NOT_VIDEO)
        context = self._stream.codec_context
        reason = too_large(context.width or 0, context.height or 0, recipe.most_pixels)
        if reason is not None:
            self._container.close()
            raise failure(recipe.where, NOT_VIDEO, reason)
        self._aspect = Aspect(self._stream)
        context.options = decoder_options(context.name, recipe.most_pixels)
        # One thread, no frames held back: what comes out belongs to the packet just put in.
        self._stream.thread_type = "NONE"
        self._stream.codec_context.thread_count = 1

    @property
    def facts(self) -> StreamFacts:
        rate = self._stream.average_rate or self._stream.guessed_rate
        return StreamFacts(
            kind=self._recipe.kind,
            codec=self._stream.codec_context.name,
            rate_fps=float(rate) if rate and rate <= 1000 else None,
            keyframe_interval_s=self._gate.keyframe_interval_s,
            silence_s=self._recipe.silence_s,
        )

    def arrivals(self, demand: Demand) -> Iterator[Arrival | None]:
        for packet in self._packets():
            now_s = time.monotonic()
            found = self._arrivals_in(packet, demand, now_s)
            yield from found
            if not found:
                yield None
            if self._recipe.expires_at_s is not None and now_s >= self._recipe.expires_at_s:
                return

    def close(self) -> None:
        with suppress(av.error.FFmpegError, OSError):
            self._container.close()

    def _packets(self) -> Iterator[Any]:
        """Until it breaks: for something live, an orderly end is a failure too."""
        packets = self._container.demux(self._stream)
        step = partial(next, packets, None)
        limit_s = self._recipe.read_timeout_s
        while True:
            began_s = time.monotonic()
            packet = guarded(self._recipe.where, step, limit_s=limit_s, otherwise=BROKEN)
            if packet is None or packet.size == 0:
                raise failure(self._recipe.where, ENDED)
            # FFmpeg holds one packet back, and gives it away when its read times out; only the
            # next read would fail, after twice the time.
            if time.monotonic() - began_s >= NEARLY * limit_s:
                raise failure(self._recipe.where, TIMED_OUT)
            yield packet

    def _arrivals_in(self, packet: Any, demand: Demand, now_s: float) -> list[Arrival]:
        is_key = packet.is_keyframe
        time_s = _time_s(packet, now_s) if is_key else now_s  # only keyframes' times are looked at
        if not self._gate.admits(is_key=is_key, time_s=time_s, interval_s=demand.interval_s):
            return []
        frames = self._decode(packet)
        if frames is None or packet.is_corrupt:
            self._soundness.broke(packet_time_s(packet))
        if frames is None:
            return [Arrival(None)]
        return [self._arrival(frame) for frame in frames]

    def _decode(self, packet: Any) -> list[Any] | None:
        """The frames this packet completes; None if it is damaged."""
        try:
            frames: list[Any] = packet.decode()
            if not frames and self._gate.keys_only:
                # A codec that reorders holds a keyframe back until it has seen what follows it.
                context = self._stream.codec_context
                frames = context.decode(None)
                context.flush_buffers()
        except av.error.FFmpegError:
            return None
        return frames

    def _arrival(self, frame: Any) -> Arrival:
        started_us = self._container.start_time_realtime
        captured_at_s = None
        if started_us is not None and frame.time is not None:
            captured_at_s = started_us / MICROSECONDS + frame.time
        holds = self._soundness.holds(frame)
        picture = None
        if holds:
            picture = DecodedPicture(frame, self._scalers, self._aspect.of(frame))
        return Arrival(picture, frame.time, captured_at_s)


def _time_s(packet: Any, otherwise_s: float) -> float:
    pts = packet.pts if packet.pts is not None else packet.dts
    return otherwise_s if pts is None else float(pts * packet.time_base)


def open_container(recipe: Recipe) -> Any:
    """PyAV's container, opened within the time-out, its errors translated."""
    return guarded(
        recipe.where,
        partial(
            av.open,
            recipe.address.secret,
            format=recipe.format_name,
            options={**recipe.options, "max_pixels": str(recipe.most_pixels)},
            timeout=(recipe.open_timeout_s, recipe.read_timeout_s),
            metadata_errors="replace",
        ),
        limit_s=recipe.open_timeout_s,
    )
