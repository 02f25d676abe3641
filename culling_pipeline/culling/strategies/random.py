"""Random: what every strategy has to beat at the same cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from culling_pipeline.culling.candidates import (
    Candidates,
    as_ids,
    check_budget,
)
from culling_pipeline.culling.strategies.base import StrategyWords
from culling_pipeline.records.labels import Disagreement


@dataclass(frozen=True, slots=True)
class Random:
    """Frames drawn at random: what every strategy has to beat at the same cost."""

    words: ClassVar[StrategyWords] = StrategyWords(
        survivors="drawn at random",
        kept="all of them",
        order="in the order in which they were drawn",
    )
    uses_teacher: bool = False
    needs_trust: bool = False

    def survivors(
        self, candidates: Candidates, budget: int, rng: np.random.Generator
    ) -> tuple[int, ...]:
        check_budget(budget)
        return as_ids(rng.permutation(candidates.ids[candidates.drawn])[:budget])

    def kept_set(
        self,
        candidates: Candidates,
        disagreements: Sequence[Disagreement],
        budget: int,
        rng: np.random.Generator,
    ) -> tuple[int, ...]:
        check_budget(budget)
        ids = np.sort(np.array([d.frame_id for d in disagreements], np.int64))
        return as_ids(rng.permutation(ids)[:budget])
