"""Paper: Dataset Culling as printed (sec. 2.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from culling_pipeline.culling.candidates import (
    Candidates,
    as_ids,
    by_id,
    check_budget,
    hardest_of_day,
)
from culling_pipeline.culling.strategies.base import StrategyWords
from culling_pipeline.records.labels import Disagreement


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
    needs_trust: bool = True

    def survivors(
        self, candidates: Candidates, budget: int, rng: np.random.Generator
    ) -> tuple[int, ...]:
        return as_ids(candidates.ids[hardest_of_day(candidates, budget)])

    def kept_set(
        self,
        candidates: Candidates,
        disagreements: Sequence[Disagreement],
        budget: int,
        rng: np.random.Generator,
    ) -> tuple[int, ...]:
        check_budget(budget)
        losses = by_id(candidates, candidates.losses.tolist())
        order = sorted(
            disagreements, key=lambda d: (d.average_precision, -losses[d.frame_id], d.frame_id)
        )
        return tuple(d.frame_id for d in order[:budget])
