"""Distinct: of the hardest frames, those unlike each other, so that no parked car counts twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from benchmarks.tried.looks import layout, spread
from culling_pipeline.culling.candidates import Candidates, hardest_of_parts
from culling_pipeline.culling.strategies.base import OneStep, StrategyWords
from models.boxes.detections import Detections


@dataclass(frozen=True, slots=True)
class Distinct(OneStep):
    """Twice as many frames as wanted, the hardest of each part of the day; of these the ones whose
    answers differ most in what stands where."""

    words: ClassVar[StrategyWords] = StrategyWords(
        survivors="of the frames the student was least sure of, those unlike each other",
        kept="all of them",
        order="the student was least sure of the first",
    )
    answers: Sequence[Detections] = ()
    pool: int = 2

    def survivors(
        self, candidates: Candidates, budget: int, rng: np.random.Generator
    ) -> tuple[int, ...]:
        rows = hardest_of_parts(candidates, self.pool * budget)
        answers = [self.answers[i] for i in candidates.ids[rows]]
        chosen = rows[spread(layout(answers), budget, 0)]
        return tuple(int(i) for i in candidates.ids[chosen])
