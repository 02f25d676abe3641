"""Checks of the schedules' arguments, in the words of `culling_pipeline.ranges`. They need the
standard library only, so that a schedule runs wherever a training loop has NumPy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from numbers import Integral, Real
from typing import NoReturn


def whole(name: str, value: object, *, least: int) -> None:
    """A whole number, `least` or more."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        _refuse(name, value, "a whole number")
    if int(value) < least:
        _refuse(name, value, f"{least} or more")


def share(name: str, value: object, *, zero: bool = False, one: bool = True) -> None:
    """A number between 0 and 1; `zero` and `one`: whether these two are allowed."""
    if isinstance(value, bool) or not isinstance(value, Real):
        _refuse(name, value, "a number")
    number = float(value)
    if not math.isfinite(number):
        _refuse(name, value, "a finite number")
    if number < 0 or (number == 0 and not zero):
        _refuse(name, value, "0 or more" if zero else "> 0")
    if number > 1 or (number == 1 and not one):
        _refuse(name, value, "1 or less" if one else "< 1")


def choice(name: str, value: object, allowed: Sequence[str]) -> None:
    """One of the allowed words."""
    if value not in allowed:
        words = [f"'{word}'" for word in allowed]
        _refuse(name, value, f"one of {', '.join(words[:-1])} or {words[-1]}")


def rising(name: str, epochs: Sequence[int], *, last: int) -> None:
    """Epochs in rising order, each once, none after the `last`."""
    for epoch in epochs:
        whole(name, epoch, least=1)
    if any(a >= b for a, b in pairwise(epochs)):
        _refuse(name, tuple(epochs), "epochs in rising order, each once")
    if epochs and epochs[-1] > last:
        _refuse(name, epochs[-1], f"at most the last epoch, {last}")


def _refuse(name: str, value: object, rule: str) -> NoReturn:
    message = f"{name}: got {value!r}, must be {rule}"
    raise ValueError(message)
