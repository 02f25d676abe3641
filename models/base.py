"""What every model has in common: the `Model` protocol, and `Trainable` for those that learn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch
    from torch import nn


Backend = Literal["auto", "torch", "lean"]
"""How a model of ours is run: as torch runs it, arranged for the CPU, or whichever is faster."""


class Model(Protocol):
    """Anything that answers pictures. What an answer is, its task says."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes the answers are about, in the order of their labels."""

    def predict(self, images: Sequence[NDArray[np.uint8]]) -> list[Any]:
        """The answer to each image (H×W×3 uint8 RGB, all of one size)."""


class Trainable(Model, Protocol):
    """A torch model at a fixed image size that can be trained in place."""

    model: nn.Module
    device: torch.device

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels that it works at."""

    def at_size(self, height_px: int, width_px: int) -> Self:
        """The same weights working at another size. The two share them: use one at a time."""

    def meta(self, **more: Any) -> dict[str, Any]:
        """What is stored beside its weights, as plain values, and whatever else is known."""


class Wrapping:
    """What a model around another one says of itself: classes, backend and device are those of the
    one inside. Its answers are its own."""

    def __init__(self, inner: Model) -> None:
        self.inner = inner

    @property
    def class_names(self) -> tuple[str, ...]:
        """See `Model.class_names`."""
        return self.inner.class_names

    @property
    def backend(self) -> str:
        """How the one inside is run."""
        return backend_of(self.inner)

    @property
    def device(self) -> str:
        """Where it runs."""
        return device_of(self.inner)


OpenModel = Callable[[], Model]
"""Opens a model, in whichever process it is called; hashable, and can be sent to another process.
"""


def backend_of(model: Model) -> str:
    """How a model is run (`models.boxes.backend`); empty for one that does not say."""
    return str(getattr(model, "backend", ""))


def device_of(model: Model) -> str:
    """Where a model runs: `cuda`, or `cpu`, which those run on that do not say."""
    device = getattr(model, "device", "cpu")
    return str(getattr(device, "type", device))
