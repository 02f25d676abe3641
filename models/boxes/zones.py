"""Ignore zones: parts of a camera's picture in which nothing counts.

What a detector finds there is dropped, whichever detector it is; so it counts for nothing in
scoring, in labels and in mAP. Training takes nothing from there either (`losses.py`): neither as an
object, since nobody says what is there, nor as background, since there may be something.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.base import Detector, backend_of
from models.boxes.detections import Detections

GRID = 256
"""A zone's map has so many cells a side, whatever the picture's size."""


@dataclass(frozen=True, slots=True)
class Zones:
    """Polygons, their corners as shares of the picture's width and height (0…1, top left)."""

    polygons: tuple[tuple[tuple[float, float], ...], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.polygons)

    def holds(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which points (shares of width and height, N each) lie in a zone; even-odd rule."""
        inside = np.zeros(len(x), bool)
        for polygon in self.polygons:
            inside |= _in_polygon(x, y, polygon)
        return inside

    def outside(self, found: Detections, height_px: int, width_px: int) -> Detections:
        """The detections that count: those whose centre lies in no zone."""
        if not self.polygons or not len(found):
            return found
        boxes = found.boxes_xyxy.astype(np.float64)
        x = (boxes[:, 0] + boxes[:, 2]) / (2 * width_px)
        y = (boxes[:, 1] + boxes[:, 3]) / (2 * height_px)
        return found.where(~self.holds(x, y))

    def map(self) -> NDArray[np.bool_]:
        """GRID×GRID bool, row by row from the top left: which cells' centres lie in a zone."""
        centres = (np.arange(GRID) + 0.5) / GRID
        x, y = np.meshgrid(centres, centres)
        return self.holds(x.ravel(), y.ravel()).reshape(GRID, GRID)


def _in_polygon(
    x: NDArray[np.float64], y: NDArray[np.float64], polygon: Sequence[tuple[float, float]]
) -> NDArray[np.bool_]:
    inside = np.zeros(len(x), bool)
    previous = polygon[-1]
    for corner in polygon:
        (x1, y1), (x2, y2) = previous, corner
        previous = corner
        if y1 == y2:
            continue
        crosses = (y1 > y) != (y2 > y)
        inside ^= crosses & (x < x1 + (y - y1) * (x2 - x1) / (y2 - y1))
    return inside


NO_ZONES = Zones()


class IgnoringDetector(Detector):
    """A detector that says nothing of what lies in the zones."""

    def __init__(self, detector: Detector, zones: Zones) -> None:
        self._detector, self._zones = detector, zones

    @property
    def class_names(self) -> tuple[str, ...]:
        return self._detector.class_names

    @property
    def backend(self) -> str:
        """Of the detector inside."""
        return backend_of(self._detector)

    def predict(self, images: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        found = self._detector.predict(images)
        return [
            self._zones.outside(detections, *image.shape[:2])
            for detections, image in zip(found, images, strict=True)
        ]


@dataclass(frozen=True, slots=True)
class OpenIgnoring:
    """Opens a detector that ignores the zones, in whichever process it is called."""

    build: Callable[[], Detector]
    zones: Zones

    def __call__(self) -> Detector:
        detector = self.build()
        return IgnoringDetector(detector, self.zones) if self.zones else detector
