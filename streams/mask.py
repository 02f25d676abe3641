"""Privacy masks: parts of a camera's picture that are blackened before anything else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from streams.base import Frame, FrameSource, SourceInfo
from streams.sampler import Sampler

Polygon = Sequence[tuple[float, float]]
"""Corners as shares of the picture's width and height, 0…1 from the top left."""


def covered(polygons: Sequence[Polygon], height_px: int, width_px: int) -> NDArray[np.bool_]:
    """Which pixels the polygons cover (H×W bool), those their edges touch included."""
    canvas = np.zeros((height_px, width_px), np.uint8)
    for polygon in polygons:
        corners = np.array(polygon, np.float64) * (width_px, height_px)
        cv2.fillPoly(canvas, [np.floor(corners).astype(np.int32)], 1)
    return canvas.astype(bool)


class MaskedSource(FrameSource):
    """A source whose frames are black where the polygons are, whatever their size."""

    def __init__(self, source: FrameSource, polygons: Sequence[Polygon]) -> None:
        self.source = source
        self._polygons = polygons
        self._mask = np.zeros((0, 0), bool)

    @property
    def info(self) -> SourceInfo:
        return self.source.info

    @property
    def left_out(self) -> Mapping[str, int]:
        return self.source.left_out

    def expected(self, interval_s: float) -> int | None:
        return self.source.expected(interval_s)

    def to_fetch(self, interval_s: float) -> int | None:
        return self.source.to_fetch(interval_s)

    def look_bytes(self, interval_s: float) -> int | None:
        return self.source.look_bytes(interval_s)

    @property
    def coverage(self) -> str:
        return self.source.coverage

    def frames(self, sampler: Sampler | None = None) -> Iterator[Frame]:
        return map(self._masked, self.source.frames(sampler))

    def moments(self, interval_s: float) -> Sequence[float] | None:
        return self.source.moments(interval_s)

    def frames_at(self, times_s: Sequence[float]) -> Iterator[Frame]:
        return map(self._masked, self.source.frames_at(times_s))

    def _masked(self, frame: Frame) -> Frame:
        height_px, width_px = frame.image.shape[:2]
        if self._mask.shape != (height_px, width_px):
            self._mask = covered(self._polygons, height_px, width_px)
        image = frame.image.copy()
        image[self._mask] = 0
        return replace(frame, image=image)

    def close(self) -> None:
        self.source.close()
