"""A net's names and shapes without its values, to compare them with weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

FILLS = {"normal_", "uniform_", "trunc_normal_"}
"""What draws a net's first weights; all of `torch.nn.init` ends in one of these."""


@contextmanager
def shapes_only() -> Iterator[None]:
    """A net built in here has no values and takes no memory (torch's `meta`).

    Nothing is drawn for it either: a random number without a place makes torch load its compiler,
    which takes longer than all the rest of reading a net.
    """
    with torch.device("meta"), _Undrawn():
        yield


class _Undrawn(TorchFunctionMode):
    """Leaves tensors as they are where they would be filled with random numbers."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        named = kwargs or {}
        if getattr(func, "__name__", "") in FILLS:
            return args[0] if args else named["tensor"]
        return func(*args, **named)
