"""Confidence only: the first stage of Dataset Culling alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from culling_pipeline.culling.candidates import (
    Candidates,
    as_ids,
    hardest_of_day,
)
from culling_pipeline.culling.strategies.base import OneStep, StrategyWords


@dataclass(frozen=True, slots=True)
class ConfidenceOnly(OneStep):
    """The first stage of Dataset Culling alone, over the whole day (its Table 2, "confidence"):
    the hardest frames by L_conf. The teacher labels no more than what is kept."""

    words: ClassVar[StrategyWords] = StrategyWords(
        survivors="of the whole day those the student was least sure of",
        kept="all of them",
        order="the student was least sure of the first",
    )

    def survivors(
        self, candidates: Candidates, budget: int, rng: np.random.Generator
    ) -> tuple[int, ...]:
        return as_ids(candidates.ids[hardest_of_day(candidates, budget)])
