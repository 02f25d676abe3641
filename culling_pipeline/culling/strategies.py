"""The culling strategies, one small class each: which frames of the day to keep.

A strategy decides twice. `survivors` picks, by what the student alone says, the frames the teacher
gets to see; `keep` picks from those, knowing where the two differ, the frames to train on. To add
a strategy, write such a class here, with the words that reports use of it, and
name it in `STRATEGIES`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from culling_pipeline.culling.candidates import (
    Candidates,
    check_budget,
    cull_by_confidence,
    cull_by_disagreement,
)
from culling_pipeline.culling.coverage import cull_by_coverage
from culling_pipeline.records import Disagreement

_Value = TypeVar("_Value")


class StrategyWords(NamedTuple):
    """What the report says of a strategy: which frames of the day were the survivors, which of
    these are kept, and in what order the kept ones come."""

    survivors: str
    kept: str
    order: str


class Strategy(Protocol):
    """How to cull. Both steps return frame ids, hardest first (or in the order the strategy
    has, where it knows no hardness): at most `budget`, all there are when there are fewer."""

    words: ClassVar[StrategyWords]

    @property
    def uses_teacher(self) -> bool:
        """Whether `keep` looks at the disagreements. Where it does not, let the teacher label
        only as many frames as are kept: the rest would be paid for nothing."""

    def survivors(
        self, candidates: Candidates, budget: int, rng: np.random.Generator
    ) -> tuple[int, ...]:
        """The frames that the teacher is to label."""

    def kept_set(
        self,
        candidates: Candidates,
        disagreements: Sequence[Disagreement],
        budget: int,
        rng: np.random.Generator,
    ) -> tuple[int, ...]:
        """The frames to train on, out of those with a disagreement."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """Half of the frames the teacher sees are the hardest of each part of the day, half are drawn
    at random, for L_conf is blind to what the student does not see at all; kept are those that
    together show the most of what the student gets wrong. See `cull_by_coverage`."""

    words: ClassVar[StrategyWords] = StrategyWords(
        survivors="one half the student was least sure of, the other drawn at random",
        kept="those that together show most of what the student gets wrong",
        order="in the order in which they were worth most",
    )
    uses_teacher: bool = True
    random_share: float = 0.5

    def survivors(
        self, candidates: Candidates, budget: int, rng: np.random.Generator
    ) -> tuple[int, ...]:
        check_budget(budget)
        hard = _hardest_of_parts(candidates, budget - int(budget * self.random_share))
        drawn = candidates.drawn
        rest = rng.permutation(drawn[~np.isin(drawn, hard)])[: budget - len(hard)]
        order = candidates.hardest_first()
        return _ids(candidates.ids[order[np.isin(order, [*hard, *rest])]])

    def kept_set(
        self,
        candidates: Candidates,
        disagreements: Sequence[Disagreement],
        budget: int,
        rng: np.random.Generator,
    ) -> tuple[int, ...]:
        return cull_by_coverage(
            disagreements,
            _by_id(candidates, candidates.parts.tolist()),
            budget,
            losses=_by_id(candidates, candidates.losses.tolist()),
        )


@dataclass(frozen=True, slots=True)
class ConfidenceOnly:
    """The first stage of Dataset Culling alone, over the whole day (its Table 2, "confidence"):
    the hardest frames by L_conf. The teacher labels no more than what is kept."""

    words: ClassVar[StrategyWords] = StrategyWords(
        survivors="of the whole day those the student was least sure of",
        kept="all of them",
        order="the student was least sure of the first",
    )
    uses_teacher: bool = False

    def survivors(
        self, candidates: Candidates, budget: int, rng: np.random.Generator
    ) -> tuple[int, ...]:
        return _ids(candidates.ids[_hardest_of_day(candidates, budget)])

    def kept_set(
        self,
        candidates: Candidates,
        disagreements: Sequence[Disagreement],
        budget: int,
        rng: np.random.Generator,
    ) -> tuple[int, ...]:
        check_budget(budget)
        labelled = {d.frame_id for d in disagreements}
        hardest = candidates.ids[candidates.hardest_first()].tolist()
        return tuple(i for i in hardest if i in labelled)[:budget]


@dataclass(frozen=True, slots=True)
class Strata:
    """The default: equal parts of the day, in each the hardest by L_conf, then by the number of
    objects missed or invented. See `cull_by_confidence` and `cull_by_disagreement` for why."""

    words: ClassVar[StrategyWords] = StrategyWords(
        survivors="in each part of the day those the student was least sure of",
        kept="in each part of the day those on which student and teacher disagreed most",
        order="student and teacher disagreed most on the first",
    )
    uses_teacher: bool = True

    def survivors(
        self, candidates: Candidates, budget: int, rng: np.random.Generator
    ) -> tuple[int, ...]:
        return _ids(candidates.ids[_hardest_of_parts(candidates, budget)])

    def kept_set(
        self,
        candidates: Candidates,
        disagreements: Sequence[Disagreement],
        budget: int,
        rng: np.random.Generator,
    ) -> tuple[int, ...]:
        return cull_by_disagreement(
            disagreements,
            _by_id(candidates, candidates.parts.tolist()),
            budget,
            n_parts=candidates.n_parts,
            losses=_by_id(candidates, candidates.losses.tolist()),
        )


@dataclass(frozen=True, slots=True)
class Paper:
    """Dataset Culling, sec. 2.1, as printed: the whole day at once, by L_conf, then by the lowest
    average precision, ties by L_conf. It crowds where the day is busiest and, precision being a
    ratio, prefers frames with one missed object; kept to compare with."""

    words: ClassVar[StrategyWords] = StrategyWords(
        survivors="of the whole day those the student was least sure of",
        kept="those on which the student was least precise by the teacher",
        order="the student was least precise on the first",
    )
    uses_teacher: bool = True

    def survivors(
        self, candidates: Candidates, budget: int, rng: np.random.Generator
    ) -> tuple[int, ...]:
        return _ids(candidates.ids[_hardest_of_day(candidates, budget)])

    def kept_set(
        self,
        candidates: Candidates,
        disagreements: Sequence[Disagreement],
        budget: int,
        rng: np.random.Generator,
    ) -> tuple[int, ...]:
        check_budget(budget)
        losses = _by_id(candidates, candidates.losses.tolist())
        order = sorted(
            disagreements, key=lambda d: (d.average_precision, -losses[d.frame_id], d.frame_id)
        )
        return tuple(d.frame_id for d in order[:budget])


@dataclass(frozen=True, slots=True)
class Random:
    """Frames drawn at random: what every strategy has to beat at the same cost."""

    words: ClassVar[StrategyWords] = StrategyWords(
        survivors="drawn at random",
        kept="all of them",
        order="in the order in which they were drawn",
    )
    uses_teacher: bool = False

    def survivors(
        self, candidates: Candidates, budget: int, rng: np.random.Generator
    ) -> tuple[int, ...]:
        check_budget(budget)
        return _ids(rng.permutation(candidates.ids[candidates.drawn])[:budget])

    def kept_set(
        self,
        candidates: Candidates,
        disagreements: Sequence[Disagreement],
        budget: int,
        rng: np.random.Generator,
    ) -> tuple[int, ...]:
        check_budget(budget)
        ids = np.sort(np.array([d.frame_id for d in disagreements], np.int64))
        return _ids(rng.permutation(ids)[:budget])


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
    at_most: int | None = None

    def survivors(
        self, candidates: Candidates, budget: int, rng: np.random.Generator
    ) -> tuple[int, ...]:
        check_budget(budget)
        if self.at_most is not None:
            budget = min(budget, self.at_most)
        drawn = candidates.drawn
        rows = _evenly(candidates.times_s[drawn], candidates.ids[drawn], budget)
        return _ids(candidates.ids[drawn][rows])

    def kept_set(
        self,
        candidates: Candidates,
        disagreements: Sequence[Disagreement],
        budget: int,
        rng: np.random.Generator,
    ) -> tuple[int, ...]:
        check_budget(budget)
        times = _by_id(candidates, candidates.times_s.tolist())
        ids = np.array([d.frame_id for d in disagreements], np.int64)
        times_s = np.array([times[i] for i in ids.tolist()], np.float64)
        return _ids(ids[_evenly(times_s, ids, budget)])


STRATEGIES: dict[str, Strategy] = {
    "strata": Strata(),
    "coverage": Coverage(),
    "paper": Paper(),
    "confidence_only": ConfidenceOnly(),
    "random": Random(),
    "uniform": Uniform(),
}
"""All strategies by the name they have in the configuration; the first is the default."""


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


def _hardest_of_day(candidates: Candidates, budget: int) -> NDArray[np.int64]:
    """Row numbers of the `budget` hardest frames of the whole day, hardest first."""
    check_budget(budget)
    return candidates.hardest_first()[:budget]


def _hardest_of_parts(candidates: Candidates, budget: int) -> NDArray[np.int64]:
    """Row numbers of the `budget` hardest frames, each part of the day having its share."""
    by_id = np.argsort(candidates.ids)  # so that ties by row are ties by id
    rows = cull_by_confidence(
        candidates.losses[by_id], candidates.parts[by_id], budget, n_parts=candidates.n_parts
    )
    return by_id[rows]


def _by_id(candidates: Candidates, values: Sequence[_Value]) -> dict[int, _Value]:
    return dict(zip(candidates.ids.tolist(), values, strict=True))


def _ids(ids: NDArray[np.int64]) -> tuple[int, ...]:
    return tuple(int(i) for i in ids)
