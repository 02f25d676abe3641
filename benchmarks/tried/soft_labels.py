"""Soft labels: the teacher's scores as targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from culling_pipeline.tasks.samples import Sample


def drawn_by_score(samples: Sequence[Sample], rng: np.random.Generator) -> list[Sample]:
    """The samples with each object there with the chance that the teacher gave it. Cross-entropy is
    linear in its target, so over the epochs the class is learned with the score as the target."""
    return [
        replace(s, truth=s.truth.where(rng.random(len(s.truth)) < s.truth.scores)) for s in samples
    ]
