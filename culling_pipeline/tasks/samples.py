"""Labelled frames, and how they are shown in training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from culling_pipeline.ranges import Flag, HalfShare, Share, check
from culling_pipeline.tasks.answers import Truth

if TYPE_CHECKING:
    from torch import Tensor

Prepared = tuple["Tensor", dict[str, "Tensor"]]
"""A picture to train on, 3×H×W uint8, and its target as the task's model takes it."""


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One labelled frame: H×W×3 uint8 RGB, its truth in the frame's pixels, and where nothing is to
    be learned (`Zones.map`). `scene` tells frames of several cameras apart."""

    image: NDArray[np.uint8]
    truth: Truth
    ignored: NDArray[np.bool_] | None = None
    scene: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variation:
    """How far a sample may be varied when it is shown; all zero and false shows it as it is.

    `flip`: mirror every other picture. `paste`: the chance that an object of a like frame is
    pasted. `shift`: every other picture is scaled by up to this share, and moved by up to half of
    it. `light`: brightness and contrast change by up to this share. `crops`: this share of the
    pictures are square parts of the frame around objects. A task may ignore what makes no sense for
    its answers.
    """

    flip: Flag
    paste: Share
    shift: HalfShare
    light: HalfShare
    crops: Share

    def __post_init__(self) -> None:
        check(self)


AS_IT_IS = Variation(flip=False, paste=0.0, shift=0.0, light=0.0, crops=0.0)
FLIPPED = Variation(flip=True, paste=0.0, shift=0.0, light=0.0, crops=0.0)


class Pictures(Protocol):
    """Samples at the student's size. `plain` has them unvaried; each call varies one at random."""

    @property
    def plain(self) -> Sequence[Prepared]:
        """All samples, unvaried, in their order."""

    @property
    def givers(self) -> int:
        """How many further samples, not trained on, contributed to these."""

    def __call__(self, number: int, rng: np.random.Generator) -> Prepared:
        """The sample of this number, varied by what is drawn from `rng`."""
