"""Ignore zones: parts of a camera's picture in which nothing counts.

What a model says of them is dropped, whichever model it is; so it counts for nothing in scoring, in
labels and in the metric. Training takes nothing from there either: neither as an object, since
nobody says what is there, nor as background, since there may be something.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
