"""optResolution: the smallest image size at which the student is still as sure as at full size.

Dataset Culling, sec. 2.2: the image is brought to 0.9 of its size again and again, until the mean
squared change of the confidence loss against full size passes a threshold. The paper gives none,
and its MSE is printed as a sum, which grows with the number of frames; here it is the mean squared
change relative to the mean square at full size, so that one threshold does for any camera and any
number of frames.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from culling_pipeline.records import ScalePoint

STEP = 0.9
"""Each try is this much smaller than the one before, on both sides."""

LossesAt = Callable[[float, Sequence[int]], NDArray[np.float64]]
"""L_conf at a scale of the frames with these positions (float64, one each)."""


@dataclass(frozen=True, slots=True)
class Search:
    """What the search found: every scale tried, full size first, the chosen one, and how many
    times the student looked at a frame."""

    scale: float
    points: tuple[ScalePoint, ...]
    student_passes: int


def relative_mse(full: NDArray[np.float64], smaller: NDArray[np.float64]) -> float:
    """Mean squared change of L_conf over the mean square at full size (both N float64).

    0 when nothing changes; 0 as well when the student sees nothing at either size, and infinite
    when it sees something only at the smaller one.
    """
    change = float(np.mean((full - smaller) ** 2))
    if change == 0.0:
        return 0.0
    base = float(np.mean(full**2))
    return change / base if base else float("inf")


def opt_resolution(
    losses_at: LossesAt, frames: int, *, threshold: float, min_scale: float
) -> Search:
    """Go down from full size by steps of 0.9 until the relative MSE passes `threshold` or the
    next step would go below `min_scale`; the last size before that is chosen.

    The search stops at the first size that is too small, so it never looks at the ones below.
    """
    positions = range(frames)
    full = losses_at(1.0, positions)
    points = [ScalePoint(scale=1.0, relative_mse=0.0, computation=1.0)]
    chosen, scale, passes = 1.0, STEP, frames
    while scale >= min_scale - 1e-9 and frames:
        error = relative_mse(full, losses_at(scale, positions))
        passes += frames
        points.append(ScalePoint(scale=scale, relative_mse=error, computation=scale * scale))
        if error > threshold:
            break
        chosen, scale = scale, scale * STEP
    return Search(chosen, tuple(points), passes)
