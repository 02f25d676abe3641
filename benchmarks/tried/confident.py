"""Confident: the frames the student is *most* sure of, made diverse (SBAD)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from benchmarks.tried.looks import layout, spread
from culling_pipeline.culling.candidates import Candidates
from culling_pipeline.culling.strategies.base import OneStep, StrategyWords
from models.boxes.detections import Detections


@dataclass(frozen=True, slots=True)
class Confident(OneStep):
    """Stream-based active distillation (SBAD, CVPRW 2023; data-efficient SBAD, 2025): the frames
    with the highest scores, and of these the ones least like each other. The mean score of the
    detections above a half is a frame's confidence; there are four times as many frames as
    wanted to spread over."""

    words: ClassVar[StrategyWords] = StrategyWords(
        survivors="those the student was most sure of, unlike each other",
        kept="all of them",
        order="the student was least sure of the first",
    )
    answers: Sequence[Detections] = ()
    pool: int = 4

    def survivors(
        self, candidates: Candidates, budget: int, rng: np.random.Generator
    ) -> tuple[int, ...]:
        answers = [self.answers[i] for i in candidates.ids]
        sure = np.array([a.scores[a.scores > 0.5].mean() if (a.scores > 0.5).any() else 0.0
                         for a in answers])  # fmt: skip
        best = np.argsort(-sure, kind="stable")[: self.pool * budget]
        rows = best[spread(layout([answers[i] for i in best]), budget, 0)]
        return tuple(int(i) for i in candidates.ids[rows])
