"""What a counting model says about a picture: a density map, whose sum is the count."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.density.gaussians import density_of, inside
from models.errors import ModelError


@dataclass(frozen=True, slots=True, eq=False)
class DensityMap:
    """A density map over a whole picture of `height_px`×`width_px`.

    `density` is h×w float32, finite, 0 or more; h and w are the model's (the picture's size over
    its stride), so maps of one picture may differ in them. Anything else raises `ModelError`.
    """

    density: NDArray[np.float32]
    height_px: int
    width_px: int

    def __post_init__(self) -> None:
        density = self.density
        if density.ndim != 2 or density.size == 0 or density.dtype != np.float32:
            message = f"a density map must be h×w float32, got {density.dtype} {density.shape}"
            raise ModelError(message)
        if self.height_px < 1 or self.width_px < 1:
            message = f"a picture must have pixels, got {self.height_px}×{self.width_px}"
            raise ModelError(message)
        if not (np.isfinite(density).all() and density.min() >= 0):
            message = f"densities must be 0 or more, got {density.min()}…{density.max()}"
            raise ModelError(message)

    @property
    def count(self) -> float:
        """How many there are."""
        return float(self.density.sum(dtype=np.float64))

    @classmethod
    def of_points(
        cls,
        points: NDArray[np.float32],
        height_px: int,
        width_px: int,
        stride: int,
        sigma_px: float,
    ) -> DensityMap:
        """The map of N×2 points (x, y in pixels), at a model's stride. Points outside the picture
        are left out; who wants to know how many asks `models.density.gaussians.inside`."""
        if points.ndim != 2 or points.shape[1] != 2:
            message = f"points must be N×2, got shape {points.shape}"
            raise ModelError(message)
        if stride < 1 or not sigma_px > 0:
            message = f"stride and σ must be above 0, got {stride} and {sigma_px}"
            raise ModelError(message)
        kept = points[inside(points, height_px=height_px, width_px=width_px)]
        density = density_of(
            kept, height_px=height_px, width_px=width_px, stride=stride, sigma_px=sigma_px
        )
        return cls(density, height_px, width_px)
