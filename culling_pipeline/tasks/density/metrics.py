"""How good counts and density maps are: CLIP's four metrics (section IV.A), and RMSE.

Three of the paper's equations have misprints. Implemented is the metric that is meant; each
function says what differs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from culling_pipeline.errors import CullingError
from models.density.answer import DensityMap

GAME_LEVELS = (0, 1, 2, 3, 4)
WINDOW = 11
"""Cells on each side of SSIM's window: a Gaussian of σ 1.5, cut at 3.5 σ (Wang et al., 2004)."""
EXTRA = "pip install culling-pipeline[counting]"


@dataclass(frozen=True, slots=True, kw_only=True)
class DensityScores:
    """How good a model's maps of some pictures are. `game` has a figure for each of
    `GAME_LEVELS`; `ssim` and `psnr` are means over the pictures that have one, None if none has."""

    pictures: int
    mae: float
    rmse: float
    game: tuple[float, ...]
    ssim: float | None
    psnr: float | None


def scores(said: Sequence[DensityMap], truths: Sequence[DensityMap]) -> DensityScores:
    """All figures of a model's maps against the true ones, picture by picture."""
    if len(said) != len(truths) or not truths:
        message = f"{len(said)} answers for {len(truths)} pictures: there must be one for each"
        raise CullingError(message)
    pairs = list(zip(said, truths, strict=True))
    found, wanted = np.array([s.count for s in said]), np.array([t.count for t in truths])
    return DensityScores(
        pictures=len(pairs),
        mae=mae(found, wanted),
        rmse=rmse(found, wanted),
        game=tuple(
            float(np.mean([game(s, t, level=level) for s, t in pairs])) for level in GAME_LEVELS
        ),
        ssim=_mean([ssim(s, t) for s, t in pairs]),
        psnr=_mean([psnr(s, t) for s, t in pairs]),
    )


def mae(found: NDArray[np.float64], wanted: NDArray[np.float64]) -> float:
    """The mean absolute error of counts. Equation 3 has no absolute value: as printed, counts too
    high and too low would cancel each other."""
    return float(np.abs(found - wanted).mean())


def rmse(found: NDArray[np.float64], wanted: NDArray[np.float64]) -> float:
    """The root of the mean squared error of counts: a few large errors weigh more."""
    return float(np.sqrt(np.square(found - wanted).mean()))


def game(said: DensityMap, truth: DensityMap, *, level: int) -> float:
    """The grid average mean error of one picture (equation 4; Guerrero-Gómez-Olmo et al., 2015):
    the picture is cut into 2^L × 2^L cells, and their absolute errors are added. GAME(0) is the
    absolute error of the count.

    The paper says that L = 4 means a grid of 4×4 with 16 patches; by its own sum up to 4^L that is
    L = 2, and L = 4 has 16×16. Cells need not be whole cells of the map: what a border cuts is
    shared by area, so maps of different strides can be compared.
    """
    parts = 2**level
    return float(np.abs(cells(said.density, parts) - cells(truth.density, parts)).sum())


def cells(density: NDArray[np.float32], parts: int) -> NDArray[np.float64]:
    """The counts in a grid of parts × parts over a density map."""
    return regrid(density, parts, parts)


def regrid(density: NDArray[np.float32], rows: int, columns: int) -> NDArray[np.float64]:
    """The same map in another number of cells; the count stays."""
    return _cut(_cut(density.astype(np.float64), rows).T, columns).T


def _cut(rows: NDArray[np.float64], parts: int) -> NDArray[np.float64]:
    """The sums of `parts` stretches of the rows, all of the same length."""
    before = np.vstack([np.zeros((1, rows.shape[1])), np.cumsum(rows, axis=0)])
    at = np.linspace(0, len(rows), parts + 1)
    low = np.minimum(at.astype(int), len(rows) - 1)
    part = (at - low)[:, None]
    return np.diff((1 - part) * before[low] + part * before[low + 1], axis=0)


def ssim(said: DensityMap, truth: DensityMap) -> float | None:
    """The structural similarity of two maps (Wang et al., 2004), by scikit-image, with its 11×11
    Gaussian window; the range of values is that of the true map.

    In equation 5 a plus is missing: the second factor is 2σ_xy + C₂ with the covariance, and the
    denominator has sums of squares. As printed, the value would be no similarity: it can be above
    1. None for a map that is smaller than the window, and where nobody is.
    """
    one, other = _alike(said, truth)
    peak = float(other.max())
    if min(one.shape) < WINDOW or peak == 0:
        return None
    structural_similarity = need_extra()
    return float(
        structural_similarity(
            one,
            other,
            data_range=peak,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
    )


def need_extra() -> Callable[..., Any]:
    """scikit-image's SSIM. A long training asks before it begins whether it is there."""
    try:
        from skimage.metrics import structural_similarity
    except ImportError as exc:
        message = f"SSIM needs scikit-image: {EXTRA}"
        raise CullingError(message) from exc
    found: Callable[..., Any] = structural_similarity
    return found


def psnr(said: DensityMap, truth: DensityMap) -> float | None:
    """The peak signal-to-noise ratio in dB (equation 6): 10 · log₁₀(peak² / MSE), with the largest
    density of the true map as the peak. None where nobody is, and for two equal maps."""
    one, other = _alike(said, truth)
    error, peak = float(np.square(one - other).mean()), float(other.max())
    if error == 0 or peak == 0:
        return None
    return 10 * math.log10(peak**2 / error)


def _alike(said: DensityMap, truth: DensityMap) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if said.density.shape != truth.density.shape:
        message = (
            f"maps of {said.density.shape} and {truth.density.shape} cells: SSIM and PSNR compare "
            "cell by cell; make the true map at the model's stride"
        )
        raise CullingError(message)
    return said.density.astype(np.float64), truth.density.astype(np.float64)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
