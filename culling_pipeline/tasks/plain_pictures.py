"""Samples at the student's size, shown as they are, mirrored, or in another light."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.images import resize

Target = dict[str, Tensor]


class PlainPictures:
    """`Pictures` for tasks that vary light and mirror images only. `mirrored` gives the target of
    the mirror image; without it the target stays as it is, as one without places does."""

    givers = 0

    def __init__(
        self,
        samples: Sequence[tuple[NDArray[np.uint8], Mapping[str, Tensor]]],
        *,
        size: tuple[int, int],
        flip: bool,
        light: float = 0.0,
        mirrored: Callable[[Target], Target] | None = None,
    ) -> None:
        self._flip, self._light, self._mirrored = flip, light, mirrored
        self.plain: list[tuple[Tensor, Target]] = [
            (torch.from_numpy(resize(image, *size)).permute(2, 0, 1), dict(target))
            for image, target in samples
        ]

    def __call__(self, number: int, rng: np.random.Generator) -> tuple[Tensor, Target]:
        image, target = self.plain[number]
        if self._flip and rng.random() >= 0.5:
            image = image.flip(2)
            target = target if self._mirrored is None else self._mirrored(target)
        return (relit(image, rng, most=self._light) if self._light else image), target


def relit(image: Tensor, rng: np.random.Generator, *, most: float) -> Tensor:
    """Contrast times 1 ± `most`, brightness plus up to half of `most` of the whole range."""
    gain, offset = 1 + most * rng.uniform(-1, 1), 255 * most * rng.uniform(-1, 1) / 2
    return (image.to(torch.float32) * gain + offset).clamp_(0, 255).to(torch.uint8)
