"""One connection to a camera: opened, read until it ends, closed. Every live kind makes these."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from streams.live.health import GLANCE_PX
from streams.picture_headers import HeaderError, read_header
from streams.pictures import MOST_PIXELS, PictureError, decode_picture, too_large


class Picture(Protocol):
    """One picture, turned into pixels only if somebody wants it."""

    def rgb(self) -> NDArray[np.uint8] | None:
        """H×W×3 uint8, RGB, a new array each time; None if it turns out to be damaged."""

    def glance(self) -> NDArray[np.uint8] | None:
        """90×160 uint8, grey samples of the picture (GLANCE_PX); None if it is damaged."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A picture that has just come; None in its place if it came damaged.

    `pts_s` is its presentation time in seconds from anywhere, or None. `captured_at_s` is when
    the camera says it took it (Unix seconds by the camera's clock), or None.
    """

    picture: Picture | None
    pts_s: float | None = None
    captured_at_s: float | None = None


@dataclass(slots=True)
class Demand:
    """What the consumers want just now: the shortest of their sampling intervals.

    None: somebody wants every frame there is.
    """

    interval_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamFacts:
    """What a connection knows of its stream.

    `silence_s` is how long it may be silent in good order: HLS brings a segment at a time.
    """

    kind: str
    codec: str | None = None
    rate_fps: float | None = None
    keyframe_interval_s: float | None = None
    silence_s: float = 0.0


class Connection(Protocol):
    """Opened by the function that returns it, which raises `ConnectionFailedError`."""

    @property
    def facts(self) -> StreamFacts: ...

    def arrivals(self, demand: Demand) -> Iterator[Arrival | None]:
        """Each picture as it comes; None where something came that holds none.

        Never waits longer than about the read time-out between two of them. Raises
        `ConnectionFailedError` when the connection breaks; ends by itself only where the next
        one should be opened at once (an address about to expire).
        """

    def close(self) -> None: ...


class JpegPicture:
    """A picture as JPEG (or PNG) bytes, decoded when asked for."""

    def __init__(self, data: bytes, *, most_pixels: int = MOST_PIXELS) -> None:
        self._data, self._most_pixels = data, most_pixels

    def rgb(self) -> NDArray[np.uint8] | None:
        with suppress(PictureError):
            return decode_picture(self._data, most_pixels=self._most_pixels)
        return None

    def glance(self) -> NDArray[np.uint8] | None:
        with suppress(PictureError):
            grey = decode_picture(self._data, most_pixels=self._most_pixels, grey=True)
            return np.asarray(cv2.resize(grey, GLANCE_PX, interpolation=cv2.INTER_NEAREST))
        return None


def claims_too_much(data: bytes, most_pixels: int) -> str | None:
    """What is wrong with the size a picture claims; a camera that sends such ones always will."""
    try:
        header = read_header(data)
    except HeaderError:
        return None
    return too_large(header.width_px, header.height_px, most_pixels)
