"""The interval of a difference between two students in any metric: a paired block bootstrap."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

RESAMPLES, CONFIDENCE = 500, 0.95


def interval_of_gain(
    gain_on: Callable[[NDArray[np.int64]], float | None],
    blocks: Sequence[int],
    *,
    rng: np.random.Generator,
) -> tuple[float, float]:
    """The 95 % interval of a gain on F frames.

    `gain_on` computes the gain on the frames with these positions (None if nothing can be measured
    on them). Whole blocks of time are drawn with replacement, because frames a second apart show
    the same scene. With fewer than two blocks the interval is −∞…∞.
    """
    names = np.asarray(blocks)
    rows = [np.flatnonzero(names == name) for name in np.unique(names)]
    gains: list[float] = []
    for _ in range(RESAMPLES if len(rows) > 1 else 0):
        drawn = np.concatenate([rows[k] for k in rng.integers(len(rows), size=len(rows))])
        gain = gain_on(drawn)
        if gain is not None:
            gains.append(gain)
    if not gains:
        return -np.inf, np.inf
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(gains, [tail, 1 - tail])
    return float(low), float(high)
