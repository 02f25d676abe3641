"""How sure a difference between two students is, by any metric: a paired block bootstrap."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from culling_pipeline.tasks.base import Comparison

if TYPE_CHECKING:
    from culling_pipeline.tasks.base import Answer, Task, Truth

RESAMPLES, CONFIDENCE = 500, 0.95


def block_bootstrap(
    task: Task,
    before: Sequence[Answer],
    after: Sequence[Answer],
    truths: Sequence[Truth],
    blocks: Sequence[int],
    *,
    rng: np.random.Generator,
) -> Comparison:
    """The gain of `after` over `before` on the same F frames, with its 95 % interval.

    Whole blocks of time are drawn with replacement, the same for both, and the task's score is
    worked out anew on what was drawn. With fewer than two blocks, or nothing in the truth, nothing
    is known: the interval is −∞…∞.
    """
    old, new = task.score(before, truths), task.score(after, truths)
    gain = task.metric.gain(old.score.value, new.score.value)
    rows = [np.flatnonzero(np.asarray(blocks) == name) for name in np.unique(np.asarray(blocks))]
    if len(rows) < 2 or not new.objects:
        return Comparison(old.score.value, new.score.value, gain, -np.inf, np.inf)
    gains = []
    for _ in range(RESAMPLES):
        drawn = np.concatenate([rows[k] for k in rng.integers(len(rows), size=len(rows))]).tolist()
        truth = [truths[i] for i in drawn]
        one, other = (task.score([a[i] for i in drawn], truth) for a in (before, after))
        if one.objects:
            gains.append(task.metric.gain(one.score.value, other.score.value))
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(gains, [tail, 1 - tail]) if gains else (-np.inf, np.inf)
    return Comparison(old.score.value, new.score.value, gain, float(low), float(high))
