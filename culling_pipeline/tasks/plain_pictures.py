"""Samples at the student's size, shown as they are or mirrored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.images import resize

Target = dict[str, Tensor]


class PlainPictures:
    """`Pictures` for tasks whose truth does not depend on places: mirroring changes none."""

    givers = 0

    def __init__(
        self,
        samples: Sequence[tuple[NDArray[np.uint8], Mapping[str, Tensor]]],
        *,
        size: tuple[int, int],
        flip: bool,
    ) -> None:
        self._flip = flip
        self.plain: list[tuple[Tensor, Target]] = [
            (torch.from_numpy(resize(image, *size)).permute(2, 0, 1), dict(target))
            for image, target in samples
        ]

    def __call__(self, number: int, rng: np.random.Generator) -> tuple[Tensor, Target]:
        image, target = self.plain[number]
        mirror = self._flip and rng.random() >= 0.5
        return (image.flip(2) if mirror else image), target
