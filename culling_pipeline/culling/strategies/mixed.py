"""Mixed: some of the frames are the hardest by L_conf, the others a random draw; all are kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from culling_pipeline.culling.candidates import (
    Candidates,
    as_ids,
    check_budget,
    hard_and_drawn,
)
from culling_pipeline.culling.strategies.base import OneStep, StrategyWords


@dataclass(frozen=True, slots=True)
class Mixed(OneStep):
    """One half the hardest by L_conf in equal parts of the day, the other drawn at random, all
    kept. L_conf is blind to what the student does not see at all, and a noisy teacher is most wrong
    on hard frames; the random half knows neither."""

    words: ClassVar[StrategyWords] = StrategyWords(
        survivors="one half the student was least sure of, the other drawn at random",
        kept="all of them",
        order="the student was least sure of the first",
    )
    random_share: float = 0.5

    def survivors(
        self, candidates: Candidates, budget: int, rng: np.random.Generator
    ) -> tuple[int, ...]:
        check_budget(budget)
        return as_ids(candidates.ids[hard_and_drawn(candidates, budget, self.random_share, rng)])
