"""Unsure: the hardest by L_conf in each part of the day, and all of them are kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from culling_pipeline.culling.candidates import (
    Candidates,
    as_ids,
    hardest_of_parts,
)
from culling_pipeline.culling.strategies.base import OneStep, StrategyWords


@dataclass(frozen=True, slots=True)
class Unsure(OneStep):
    """In equal parts of the day the hardest by L_conf (Dataset Culling, sec. 2.1), all kept.

    The paper's second step throws most of these away again. Their labels are paid for by then, and
    what it wants, not to train on easy frames for ever, Drop-and-Pick does during training.
    """

    words: ClassVar[StrategyWords] = StrategyWords(
        survivors="in each part of the day those the student was least sure of",
        kept="all of them",
        order="the student was least sure of the first",
    )

    def survivors(
        self, candidates: Candidates, budget: int, rng: np.random.Generator
    ) -> tuple[int, ...]:
        return as_ids(candidates.ids[hardest_of_parts(candidates, budget)])
