"""Allocated: more of the hard frames from the parts of the day in which the student errs most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from culling_pipeline.culling.candidates import Candidates, as_ids, check_budget
from culling_pipeline.culling.strategies.mixed import Mixed
from culling_pipeline.tasks.boxes.disagreement import disagreement
from models.boxes.detections import Detections


@dataclass(frozen=True, slots=True)
class Allocated(Mixed):
    """Half at random; the other half the hardest by L_conf, but a part of the day gets places in
    proportion to the objects that the student missed or invented there. What it errs is counted on
    200 frames evenly over the day: a night's control slice, whose labels are paid for anyhow."""

    answers: Sequence[Detections] = ()
    truths: Sequence[Detections] = ()
    control: int = 200

    def survivors(
        self, candidates: Candidates, budget: int, rng: np.random.Generator
    ) -> tuple[int, ...]:
        check_budget(budget)
        drawn = rng.permutation(len(candidates.ids))[: round(self.random_share * budget)]
        places = self._places(candidates, budget - len(drawn))
        taken = set(drawn.tolist())
        rows = list(drawn)
        order = np.argsort(-candidates.losses, kind="stable")
        for part, count in enumerate(places):
            own = [r for r in order if candidates.parts[r] == part and r not in taken]
            rows += own[:count]
        return as_ids(candidates.ids[np.array(rows)])

    def _places(self, candidates: Candidates, budget: int) -> NDArray[np.int64]:
        rows = np.unique(np.linspace(0, len(candidates.ids) - 1, self.control).astype(int))
        errors = np.ones(candidates.n_parts)  # no part without any
        for row in rows:
            i = int(candidates.ids[row])
            found = disagreement(
                i, self.answers[i], self.truths[i], n_classes=3, student_min_score=0.5
            )
            errors[candidates.parts[row]] += found.missed + found.invented
        return np.asarray(np.floor(budget * errors / errors.sum()), np.int64)
