"""Uniform: evenly spaced in time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from culling_pipeline.culling.candidates import (
    Candidates,
    as_ids,
    by_id,
    check_budget,
)
from culling_pipeline.culling.strategies.base import StrategyWords
from culling_pipeline.records.labels import Disagreement


@dataclass(frozen=True, slots=True)
class Uniform:
    """Frames evenly spaced in time, in order of time: the paper's "intermittent sampling". With
    `at_most` the teacher sees no more frames than that, whatever the budget."""

    words: ClassVar[StrategyWords] = StrategyWords(
        survivors="evenly spaced in time",
        kept="all of them",
        order="in order of time",
    )
    uses_teacher: bool = False
    needs_trust: bool = False
    at_most: int | None = None

    def survivors(
        self, candidates: Candidates, budget: int, rng: np.random.Generator
    ) -> tuple[int, ...]:
        check_budget(budget)
        if self.at_most is not None:
            budget = min(budget, self.at_most)
        drawn = candidates.drawn
        rows = _evenly(candidates.times_s[drawn], candidates.ids[drawn], budget)
        return as_ids(candidates.ids[drawn][rows])

    def kept_set(
        self,
        candidates: Candidates,
        disagreements: Sequence[Disagreement],
        budget: int,
        rng: np.random.Generator,
    ) -> tuple[int, ...]:
        check_budget(budget)
        times = by_id(candidates, candidates.times_s.tolist())
        ids = np.array([d.frame_id for d in disagreements], np.int64)
        times_s = np.array([times[i] for i in ids.tolist()], np.float64)
        return as_ids(ids[_evenly(times_s, ids, budget)])


def _evenly(times_s: NDArray[np.float64], ids: NDArray[np.int64], budget: int) -> NDArray[np.int64]:
    """Rows of `budget` different frames, in order of time: for each of `budget` equally distant
    moments the nearest frame that is later than the one before. Each moment lies in the middle
    of its share of the time covered."""
    order = np.lexsort((ids, times_s))
    if budget >= len(order):
        return order
    times = times_s[order]
    if budget == 0:
        return order[:0]
    moments = times[0] + (np.arange(budget) + 0.5) / budget * (times[-1] - times[0])
    chosen: list[int] = []
    last = -1
    for done, moment in enumerate(moments):
        nearest = int(np.abs(times - moment).argmin())
        latest = len(order) - (budget - done)  # the frames after must do for the moments after
        last = min(max(nearest, last + 1), latest)
        chosen.append(last)
    return order[chosen]
