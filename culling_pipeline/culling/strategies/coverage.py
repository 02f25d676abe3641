"""Which frames together show the most of what the student gets wrong: the `coverage` strategy.

Counting errors frame by frame keeps the fullest frames of one kind, which resemble each other; here
a frame is worth what it adds to those already kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from culling_pipeline.culling.candidates import (
    Candidates,
    as_ids,
    by_id,
    check_budget,
    hard_and_drawn,
)
from culling_pipeline.culling.strategies.base import StrategyWords
from culling_pipeline.records.labels import Disagreement

FOUND_WEIGHT = 0.3
"""What an object that the student finds already is worth beside one that it misses."""


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
    needs_trust: bool = True
    random_share: float = 0.5

    def survivors(
        self, candidates: Candidates, budget: int, rng: np.random.Generator
    ) -> tuple[int, ...]:
        check_budget(budget)
        return as_ids(candidates.ids[hard_and_drawn(candidates, budget, self.random_share, rng)])

    def kept_set(
        self,
        candidates: Candidates,
        disagreements: Sequence[Disagreement],
        budget: int,
        rng: np.random.Generator,
    ) -> tuple[int, ...]:
        return cull_by_coverage(
            disagreements,
            by_id(candidates, candidates.parts.tolist()),
            budget,
            losses=by_id(candidates, candidates.losses.tolist()),
        )


def cull_by_coverage(
    disagreements: Sequence[Disagreement],
    parts: Mapping[int, int],
    budget: int,
    *,
    losses: Mapping[int, float],
) -> tuple[int, ...]:
    """Ids of the `budget` frames to train on, in the order in which they were worth most.

    Every box of a frame is an example of something: of a class, missed or invented by the student
    (worth 1) or found (worth `FOUND_WEIGHT`), in a part of the day. What a kept set teaches is
    the sum, over part × class × kind, of the square root of its examples: the tenth car at noon
    adds less than the first bicycle at night. Frames are taken greedily, each time the one that
    adds most (feature-based submodular selection: Wei, Iyer and Bilmes, ICML 2014), ties by L_conf,
    then by id. So full frames go before empty ones, rare classes before common ones, and every hour
    gets its share as far as there is something to learn.
    """
    check_budget(budget)
    if not disagreements:
        return ()
    order = sorted(disagreements, key=lambda d: (-losses[d.frame_id], d.frame_id))
    worth = _examples(order)  # [F,3·C]
    part = np.array([parts[d.frame_id] for d in order])  # [F]
    have = np.zeros((part.max() + 1, worth.shape[1]))  # [P,3·C]
    gains = np.sqrt(worth).sum(axis=1)  # [F]
    chosen: list[int] = []
    for _ in range(min(budget, len(order))):
        best = int(gains.argmax())
        chosen.append(order[best].frame_id)
        have[part[best]] += worth[best]
        gains[best] = -np.inf
        same = (part == part[best]) & np.isfinite(gains)
        had = have[part[best]]
        gains[same] = (np.sqrt(had + worth[same]) - np.sqrt(had)).sum(axis=1)
    return tuple(chosen)


def _examples(disagreements: Sequence[Disagreement]) -> NDArray[np.float64]:
    """How much each frame has of each class and kind: F×3C float64."""
    kinds = [
        [(d.missed_labels, 1.0), (d.invented_labels, 1.0), (d.found_labels, FOUND_WEIGHT)]
        for d in disagreements
    ]
    n_classes = 1 + max(
        (label for row in kinds for labels, _ in row for label in labels), default=0
    )
    table = np.zeros((len(disagreements), 3 * n_classes))
    for row, frame in zip(table, kinds, strict=True):
        for kind, (labels, weight) in enumerate(frame):
            np.add.at(row, [kind * n_classes + label for label in labels], weight)
    return table
