"""One size for a whole recording: a camera may change its size in mid-day (night mode, a
sub-stream), and frames of two sizes cannot be compared."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import cv2
import numpy as np

from streams.base import Frame, FrameSource, SourceInfo
from streams.left_out import LeftOut
from streams.sampler import Sampler

logger = logging.getLogger(__name__)

LEAST_SHARE = 0.5
"""A picture of less than this share of the size, in width or in height, would be a blur: it is
left out. A thumbnail is the usual one."""


class OneSize(FrameSource):
    """A source's frames, all of the size that its `info` tells: the commonest in it.

    Others are scaled to it; it is the same view, maybe squeezed. Those that are much smaller are
    left out. Both are counted and said.
    """

    def __init__(self, source: FrameSource) -> None:
        self.source = source
        self._own = LeftOut(source.info.location)

    @property
    def info(self) -> SourceInfo:
        return self.source.info

    @property
    def left_out(self) -> Mapping[str, int]:
        return Counter(self.source.left_out) + self._own.counts

    def expected(self, interval_s: float) -> int | None:
        return self.source.expected(interval_s)

    @property
    def coverage(self) -> str:
        return self.source.coverage

    def frames(self, sampler: Sampler | None = None) -> Iterator[Frame]:
        return self._fitted(self.source.frames(sampler))

    def moments(self, interval_s: float) -> Sequence[float] | None:
        return self.source.moments(interval_s)

    def frames_at(self, times_s: Sequence[float]) -> Iterator[Frame]:
        return self._fitted(self.source.frames_at(times_s))

    def _fitted(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        self._own = LeftOut(self.info.location)
        scaled: Counter[str] = Counter()
        where, given = self.info.location, 0
        for frame in frames:
            if not given:
                where = self._own.where = f"camera {frame.camera!r}: {self.info.location}"
            fitting = self._fit(frame, scaled)
            if fitting is not None:
                given += 1
                yield fitting
        for size, count in scaled.items():
            logger.warning(
                "%s: %d pictures of %s were scaled to %s", where, count, size, self._size
            )
        self._own.say(given)

    def close(self) -> None:
        self.source.close()

    @property
    def _size(self) -> str:
        return f"{self.info.width_px}×{self.info.height_px}"

    def _fit(self, frame: Frame, scaled: Counter[str]) -> Frame | None:
        shape = (self.info.height_px, self.info.width_px)
        if frame.image.shape[:2] == shape:
            return frame
        own_size = f"{frame.image.shape[1]}×{frame.image.shape[0]}"
        fitting = fitted(frame, shape)
        if fitting is None:
            self._own.note(f"of another size ({own_size} where most are {self._size})")
        else:
            scaled[own_size] += 1
        return fitting


def fitted(frame: Frame, shape: tuple[int, int]) -> Frame | None:
    """The frame scaled to this height and width; None if it is too small for that."""
    height_px, width_px = shape
    own_height_px, own_width_px = frame.image.shape[:2]
    if (own_height_px, own_width_px) == shape:
        return frame
    if own_width_px < LEAST_SHARE * width_px or own_height_px < LEAST_SHARE * height_px:
        return None
    image = cv2.resize(frame.image, (width_px, height_px), interpolation=cv2.INTER_AREA)
    return replace(frame, image=np.asarray(image, np.uint8))
