"""What is said of one picture by a counting camera's student, its teacher, or a person."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from models.density.answer import DensityMap
from models.density.gaussians import inside
from models.density.zones import outside_map, outside_points
from models.zones import Zones

STRIDE = 4
"""Pixels of the picture on each side of a cell of a map that is made of points."""


@dataclass(frozen=True, slots=True, eq=False)
class Counted:
    """A density map; where whoever said it knows them, the points it was made of (N×2 float32, x
    and y in pixels); and how much a student disagreed with itself (0 for others)."""

    map: DensityMap
    points: NDArray[np.float32] | None = None
    doubt: float = 0.0

    @classmethod
    def of_points(
        cls, points: NDArray[np.float32], height_px: int, width_px: int, *, sigma_share: float
    ) -> Counted:
        """From N×2 points; those outside the picture are left out. σ is a share of the picture's
        longer side."""
        here = points[inside(points, height_px=height_px, width_px=width_px)]
        sigma_px = sigma_share * max(height_px, width_px)
        drawn = DensityMap.of_points(here, height_px, width_px, STRIDE, sigma_px)
        return cls(drawn, here)

    @property
    def count(self) -> float:
        """How many there are."""
        return self.map.count if self.points is None else float(len(self.points))

    def outside(self, zones: Zones, *, sigma_share: float) -> Counted:
        """The same without what lies in the zones."""
        if not zones:
            return self
        height, width = self.map.height_px, self.map.width_px
        if self.points is None:
            return replace(self, map=outside_map(zones, self.map))
        kept = outside_points(zones, self.points, height, width)
        return Counted.of_points(kept, height, width, sigma_share=sigma_share)

    def stretched(self, *, across: float, down: float, sigma_share: float) -> Counted:
        """The same in the pixels of its picture stretched by these factors."""
        height = max(1, round(self.map.height_px * down))
        width = max(1, round(self.map.width_px * across))
        if self.points is None:
            return replace(self, map=DensityMap(self.map.density, height, width))
        points = (self.points * (across, down)).astype(np.float32)
        return Counted.of_points(points, height, width, sigma_share=sigma_share)


def peaks(said: DensityMap, *, sigma_share: float) -> NDArray[np.float32]:
    """N×2 points for a map without any, N its count, rounded: again and again the highest cell
    is a point, and what one person adds to a map there is taken away."""
    left = said.density.astype(np.float64)
    rows, columns = left.shape
    step = np.array([said.width_px / columns, said.height_px / rows])
    sigma = np.maximum(sigma_share * max(said.height_px, said.width_px) / step, 0.3)
    x, y = np.arange(columns), np.arange(rows)
    found = np.zeros((round(said.count), 2), np.float32)
    for number in range(len(found)):
        row, column = np.unravel_index(int(np.argmax(left)), left.shape)
        across = np.exp(-0.5 * ((x - column) / sigma[0]) ** 2)
        down = np.exp(-0.5 * ((y - row) / sigma[1]) ** 2)
        left -= np.outer(down / down.sum(), across / across.sum())
        found[number] = (np.array([column, row]) + 0.5) * step
    return found
