"""A duration that is known from here to there."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Span(NamedTuple):
    """Seconds, from the fastest to the slowest measured."""

    fastest: float
    slowest: float

    def times(self, factor: float) -> Span:
        """This many times as long."""
        return Span(self.fastest * factor, self.slowest * factor)

    def plus(self, other: Span) -> Span:
        """Both, one after the other."""
        return Span(self.fastest + other.fastest, self.slowest + other.slowest)

    def said(self, as_words: Callable[[float], str]) -> str:
        """In words; a single figure if both ends read the same."""
        least, most = as_words(self.fastest), as_words(self.slowest)
        return least if least == most else f"{least} to {most}"
