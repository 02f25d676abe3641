"""Density maps of known points (CLIP, equation 1): a Gaussian of fixed σ around each."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

AT_ONCE = 4096
"""Points worked on at a time, so that memory does not grow with a crowd."""


def inside(points: NDArray[np.float32], *, height_px: int, width_px: int) -> NDArray[np.bool_]:
    """Which of N×2 points (x, y in pixels) lie in a picture of this size, its edges included."""
    lower, upper = points >= 0, points <= np.array([width_px, height_px])
    return np.asarray((lower & upper).all(axis=1), np.bool_)


def density_of(
    points: NDArray[np.float32], *, height_px: int, width_px: int, stride: int, sigma_px: float
) -> NDArray[np.float32]:
    """The density map h×w float32 of N×2 points inside a picture: its sum is N.

    Each cell gets what of the Gaussian lies in it, by the Gaussian's integral. A Gaussian that
    the border cuts is scaled to 1 again: equation 1 alone would lose the people at the border.
    """
    down, across = (-(-side // stride) for side in (height_px, width_px))
    density = np.zeros((down, across))
    for start in range(0, len(points), AT_ONCE):
        x, y = points[start : start + AT_ONCE].astype(np.float64).T
        density += _shares(y, height_px, stride, sigma_px).T @ _shares(
            x, width_px, stride, sigma_px
        )
    return density.astype(np.float32)


def _shares(
    at_px: NDArray[np.float64], side_px: int, stride: int, sigma_px: float
) -> NDArray[np.float64]:
    """The share of each of N Gaussians in each of the cells along one side: N×cells, rows of 1."""
    import torch  # a daybook's maps are read without it

    edges = np.minimum(np.arange(-(-side_px // stride) + 1) * stride, side_px)
    z = (edges[None, :] - at_px[:, None]) / (np.sqrt(2) * sigma_px)
    shares: NDArray[np.float64] = np.diff(torch.erf(torch.from_numpy(z)).numpy(), axis=1)
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))
