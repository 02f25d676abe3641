"""Strata: the hardest by L_conf in each part of the day, then by what was missed or invented."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from culling_pipeline.culling.candidates import (
    Candidates,
    as_ids,
    by_id,
    check_budget,
    hardest_of_parts,
)
from culling_pipeline.culling.strategies.base import StrategyWords
from culling_pipeline.records.labels import Disagreement


@dataclass(frozen=True, slots=True)
class Strata:
    """Equal parts of the day, in each the hardest by L_conf, then by the number of
    objects missed or invented. See `cull_by_confidence` and `cull_by_disagreement` for why."""

    words: ClassVar[StrategyWords] = StrategyWords(
        survivors="in each part of the day those the student was least sure of",
        kept="in each part of the day those on which student and teacher disagreed most",
        order="student and teacher disagreed most on the first",
    )
    uses_teacher: bool = True
    needs_trust: bool = True

    def survivors(
        self, candidates: Candidates, budget: int, rng: np.random.Generator
    ) -> tuple[int, ...]:
        return as_ids(candidates.ids[hardest_of_parts(candidates, budget)])

    def kept_set(
        self,
        candidates: Candidates,
        disagreements: Sequence[Disagreement],
        budget: int,
        rng: np.random.Generator,
    ) -> tuple[int, ...]:
        return cull_by_disagreement(
            disagreements,
            by_id(candidates, candidates.parts.tolist()),
            budget,
            n_parts=candidates.n_parts,
            losses=by_id(candidates, candidates.losses.tolist()),
        )


def cull_by_disagreement(
    disagreements: Sequence[Disagreement],
    parts: Mapping[int, int],
    budget: int,
    *,
    n_parts: int,
    losses: Mapping[int, float],
) -> tuple[int, ...]:
    """Ids of the `budget` frames to train on, hardest first; `parts` and `losses` go by frame id.

    A frame is as hard as the number of objects the student missed or invented in it, ties by
    L_conf, then by id. Every part of the day gets the same share of frames with an error. Each
    place that a part cannot fill goes to the part with the most errors still left. Only when no
    erring frame is left is the budget filled with frames without one, by L_conf.

    Why not the paper's average precision: precision is a ratio, so a frame with its one object
    missed (AP 0) goes before a frame with three of ten missed, from which there is three times
    as much to learn. Over a whole day the paper's order lost to random frames when measured.
    """
    check_budget(budget, n_parts)
    errors = {d.frame_id: d.missed + d.invented for d in disagreements}
    order = sorted(errors, key=lambda i: (-errors[i], -losses[i], i))
    queues = [[i for i in order if errors[i] > 0 and parts[i] == part] for part in range(n_parts)]
    share = budget // n_parts
    kept = {i for queue in queues for i in queue[:share]}
    left = [queue[share:] for queue in queues]
    kept |= set(_by_errors_left(left, errors, budget - len(kept)))
    clean = [i for i in order if errors[i] == 0]  # by L_conf already
    kept |= set(clean[: budget - len(kept)])
    return tuple(i for i in order if i in kept)


def _by_errors_left(queues: list[list[int]], errors: Mapping[int, int], places: int) -> list[int]:
    """Hands out `places` one by one: each to the first frame of the queue with most errors."""
    waiting = [list(reversed(queue)) for queue in queues]
    sums = [sum(errors[i] for i in queue) for queue in queues]
    chosen: list[int] = []
    while len(chosen) < places and any(sums):
        part = sums.index(max(sums))
        chosen.append(waiting[part].pop())
        sums[part] -= errors[chosen[-1]]
    return chosen
