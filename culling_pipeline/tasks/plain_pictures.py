"""Samples at the student's size, shown as they are or mirrored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from models.images import resize

if TYPE_CHECKING:
    from culling_pipeline.tasks.base import Prepared, Sample, Task, Variation


class PlainPictures:
    """`Pictures` for tasks whose truth does not depend on places. Of a `Variation` only mirroring
    is done, since it changes no such truth."""

    givers = 0

    def __init__(
        self, task: Task, samples: Sequence[Sample], *, size: tuple[int, int], variation: Variation
    ) -> None:
        self._flip = variation.flip
        self.plain: list[Prepared] = [
            (
                torch.from_numpy(resize(sample.image, *size)).permute(2, 0, 1),
                task.target(sample.truth),
            )
            for sample in samples
        ]

    def __call__(self, number: int, rng: np.random.Generator) -> Prepared:
        image, target = self.plain[number]
        mirror = self._flip and rng.random() >= 0.5
        return (image.flip(2) if mirror else image), target
