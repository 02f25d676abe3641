"""Ignore zones for counts: neither density nor points in a zone count."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.density.answer import DensityMap
from models.zones import Zones


def counts_here(zones: Zones, rows: int, columns: int) -> NDArray[np.bool_]:
    """Rows×columns bool: which cells of a map count, those whose middle lies in no zone."""
    x, y = np.meshgrid((np.arange(columns) + 0.5) / columns, (np.arange(rows) + 0.5) / rows)
    return np.asarray(~zones.holds(x.ravel(), y.ravel()).reshape(rows, columns), np.bool_)


def outside_map(zones: Zones, said: DensityMap) -> DensityMap:
    """The map with 0 in the zones."""
    if not zones:
        return said
    kept = said.density * counts_here(zones, *said.density.shape)
    return DensityMap(kept.astype(np.float32), said.height_px, said.width_px)


def outside_points(
    zones: Zones, points: NDArray[np.float32], height_px: int, width_px: int
) -> NDArray[np.float32]:
    """Those of N×2 points (x, y in pixels) that lie in no zone."""
    if not zones or not len(points):
        return points
    shares = points.astype(np.float64) / (width_px, height_px)
    return points[~zones.holds(shares[:, 0], shares[:, 1])]
