"""A first look at a source: its kind, size, rate and codec, and one picture."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median

import numpy as np
from numpy.typing import NDArray

from streams.base import FrameSource, SourceInfo, SourceUnreadableError
from streams.failures import TIMED_OUT, failure
from streams.live.options import LiveOptions
from streams.live.source import LiveSource
from streams.open import is_youtube, open_source
from streams.recorded.picture_times import PictureOptions
from streams.recorded.recording import Recording

WATCHED_S = 8.0
"""How long a live camera is watched at most; most send a keyframe every one to four seconds."""

RATE_NEEDS_S, BACKLOG_S = 2.5, 1.0
"""How long it is watched at least, for its rate; and how much of that is not measured, because
what had gathered while the stream was opened comes all at once."""

STILLS = frozenset({"mjpeg", "snapshot", "device"})
"""Kinds whose every picture stands alone; keyframes are not waited for."""

Look = tuple[SourceInfo, NDArray[np.uint8]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What was found. `info` has the measured rate and keyframe interval where they could be
    measured; `image` is H×W×3 uint8, RGB."""

    info: SourceInfo
    image: NDArray[np.uint8]
    is_live: bool
    is_site: bool
    frames: int | None = None
    """How many frames a night will be given, if that is known."""
    to_fetch: int | None = None
    """About how many bytes it will fetch from a server, if it is given all of them."""
    look_bytes: int | None = None
    """About how many bytes a single frame takes, where the night fetches only those it looks at."""


def probe(
    url: str,
    *,
    camera: str,
    options: LiveOptions,
    watched_s: float = WATCHED_S,
    pictures: PictureOptions | None = None,
    interval_s: float = 1.0,
) -> Probe:
    """Open the source and look: at a live one for `watched_s` at most, at a recording's beginning.
    Frames are going to be sampled every `interval_s`.

    Raises a `StreamError` that says what is wrong.
    """
    options = replace(options, must_answer=True, sampling="exact")
    with open_source(url, camera=camera, live=options, pictures=pictures) as source:
        found = look_at(source, camera=camera, watched_s=watched_s, interval_s=interval_s)
    return replace(found, is_site=found.is_site or is_youtube(url))


def look_at(
    source: FrameSource, *, camera: str, watched_s: float = WATCHED_S, interval_s: float = 1.0
) -> Probe:
    """The same, of a source that is open."""
    where = f"camera {camera!r}: {source.info.location}"
    is_live = isinstance(source, LiveSource)
    info, image = (
        _watch(source, where, watched_s)
        if isinstance(source, LiveSource)
        else _look_at_start(source, where)
    )
    return Probe(
        info=info,
        image=image,
        is_live=is_live,
        is_site=info.kind.startswith("site"),
        frames=source.expected(interval_s),
        to_fetch=source.to_fetch(interval_s),
        look_bytes=source.look_bytes(interval_s),
    )


def _look_at_start(source: FrameSource, where: str) -> Look:
    frame = next(source.frames(), None)
    if frame is None:
        message = f"{where} holds no frame: give it another source"
        raise SourceUnreadableError(message)
    info = source.info
    if isinstance(source, Recording):
        info = replace(info, keyframe_interval_s=source.find_keyframe_interval())
    return info, frame.image


def _watch(source: LiveSource, where: str, watched_s: float) -> Look:
    """The last picture: a camera's first ones are often dark or grey."""
    began_s = time.monotonic()
    image, times_s, backlog = None, [], 0
    limit = threading.Timer(watched_s, source.close)  # a camera may fall silent meanwhile
    limit.start()
    try:
        for frame in source.frames():
            image = frame.image
            times_s.append(frame.time_s)
            so_far_s = time.monotonic() - began_s
            backlog += so_far_s < BACKLOG_S
            if _seen_enough(source.info, so_far_s):
                break
    finally:
        limit.cancel()
    if image is None:
        raise failure(where, TIMED_OUT, "one picture came, and then no other")
    info = source.info
    if info.kind != "snapshot":  # that one is polled, at our own rate
        info = replace(info, rate_fps=_rate_fps(times_s, backlog) or info.rate_fps)
    return info, image


def _rate_fps(times_s: list[float], backlog: int) -> float | None:
    """By the median gap, which a lost picture and a network that stutters do not change."""
    gaps_s = [b - a for a, b in pairwise(times_s[max(0, backlog - 1) :])]
    return 1 / median(gaps_s) if gaps_s else None


def _seen_enough(info: SourceInfo, watched_s: float) -> bool:
    if info.kind == "snapshot":
        return True
    knows_keyframes = info.kind in STILLS or info.keyframe_interval_s is not None
    return watched_s >= RATE_NEEDS_S and knows_keyframes
