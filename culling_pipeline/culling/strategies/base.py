"""What a strategy is: it chooses twice which frames of the day to keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Protocol

import numpy as np

from culling_pipeline.culling.candidates import Candidates, labelled_of
from culling_pipeline.records.labels import Disagreement


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
        """Whether `kept_set` looks at the disagreements. Where it does not, let the teacher label
        only as many frames as are kept: the rest would be paid for nothing."""

    @property
    def needs_trust(self) -> bool:
        """Whether it goes by the student's unsureness, which may mean nothing (`trust.py`)."""

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
class OneStep:
    """The base of strategies that keep all that is labelled, hardest first by L_conf, and go by the
    student's unsureness."""

    uses_teacher: ClassVar[bool] = False
    needs_trust: ClassVar[bool] = True

    def kept_set(
        self,
        candidates: Candidates,
        disagreements: Sequence[Disagreement],
        budget: int,
        rng: np.random.Generator,
    ) -> tuple[int, ...]:
        """All labelled ones, at most `budget`."""
        return labelled_of(candidates, disagreements, budget)
