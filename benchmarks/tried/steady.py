"""Steady: chosen as by default, without the labelled frames whose labels are least certain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from culling_pipeline.culling.candidates import Candidates
from culling_pipeline.culling.strategies.mixed import Mixed
from culling_pipeline.records.labels import Disagreement
from models.boxes.detections import Detections


@dataclass(frozen=True, slots=True)
class Steady(Mixed):
    """A noisy teacher's labels weighted down, at the simplest: the tenth of the labelled frames in
    which the teacher's boxes lie nearest to its threshold, on average, is not trained on."""

    truths: Sequence[Detections] = ()
    dropped: float = 0.1

    def kept_set(
        self,
        candidates: Candidates,
        disagreements: Sequence[Disagreement],
        budget: int,
        rng: np.random.Generator,
    ) -> tuple[int, ...]:
        ids = Mixed.kept_set(self, candidates, disagreements, budget, rng)
        scores = [self.truths[i].scores for i in ids]
        sure = np.array([s.mean() if len(s) else 1.0 for s in scores])
        out = set(np.argsort(sure, kind="stable")[: round(self.dropped * len(ids))].tolist())
        return tuple(i for row, i in enumerate(ids) if row not in out)
