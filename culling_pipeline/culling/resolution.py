"""optResolution: the smallest image size at which the objects are still large enough to be found,
and, where a threshold is set, the student is still as sure as at full size.

Dataset Culling, sec. 2.2: the image is brought to 0.9 of its size again and again, until the mean
squared change of the confidence loss against full size passes a threshold. The paper gives none,
and its MSE is printed as a sum, which grows with the number of frames; here it is the mean squared
change relative to the mean square at full size, so that one threshold does for any camera and any
number of frames.

L_conf alone can't be trusted with the choice: it says how this student, trained at another size,
takes a smaller picture, not what one trained at the smaller size would find. The size of the
objects the teacher has found in the kept set says that, and costs no pass at all (docs/log/).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from culling_pipeline.records.training import ScalePoint

STEP = 0.9
"""Each try is this much smaller than the one before, on both sides."""

MIN_FRAMES = 16
"""Fewer frames than this say too little of a scale."""

LossesAt = Callable[[float, Sequence[int]], NDArray[np.float64]]
"""L_conf at a scale of the frames with these positions (float64, one each)."""


@dataclass(frozen=True, slots=True)
class Search:
    """What the search found: the scales tried, largest first, the chosen one, and how many
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
    losses_at: LossesAt, frames: int, *, threshold: float | None, min_scale: float
) -> Search:
    """The smallest of the scales 1, 0.9, 0.81 … ≥ `min_scale` whose relative MSE is at most
    `threshold`, found by halving: the change grows as the image shrinks, so a scale that is too
    small rules out all below it, and one that is not, all above.

    The paper tries scale after scale on every kept frame. Here a few scales are tried on some of
    the frames, evenly spread over the kept set: together at most a fifth of the student passes
    of every scale on every frame (more only where that would leave fewer than `MIN_FRAMES`).
    Without a threshold any change is allowed, and nothing is tried.
    """
    scales = scales_down_to(min_scale)
    if not frames or len(scales) == 1:
        return Search(1.0, (ScalePoint(scale=1.0, relative_mse=0.0, computation=1.0),), 0)
    if threshold is None:
        return Search(scales[-1], (), 0)
    tries = 1 + math.ceil(math.log2(len(scales)))
    sample = min(frames, max(MIN_FRAMES, len(scales) * frames // (5 * tries)))
    positions = [int(p) for p in np.linspace(0, frames - 1, sample)]
    full, passes = losses_at(1.0, positions), sample
    errors = {0: 0.0}
    fits, too_small = 0, len(scales)
    while too_small - fits > 1:
        middle = (fits + too_small) // 2
        errors[middle] = relative_mse(full, losses_at(scales[middle], positions))
        passes += sample
        if errors[middle] <= threshold:
            fits = middle
        else:
            too_small = middle
    points = tuple(
        ScalePoint(scale=scales[k], relative_mse=errors[k], computation=scales[k] ** 2)
        for k in sorted(errors)
    )
    return Search(scales[fits], points, passes)


def scales_down_to(min_scale: float) -> list[float]:
    """1, 0.9, 0.81 … down to `min_scale`."""
    scales = [1.0]
    while scales[-1] * STEP >= min_scale - 1e-9:
        scales.append(scales[-1] * STEP)
    return scales
