"""What a source does not give out, counted by its reason, and said: nothing goes in silence."""

from __future__ import annotations

import logging
from collections import Counter

logger = logging.getLogger(__name__)

NAMED = 5
"""So many pictures left out are named one by one in the log."""


class LeftOut:
    """The tally of one pass."""

    def __init__(self, where: str) -> None:
        self._where = where
        self.counts: Counter[str] = Counter()

    def note(self, reason: str, name: str | None = None, *, count: int = 1) -> None:
        """One more that is left out; the first few with names have a line each."""
        self.counts[reason] += count
        if name is not None and self.counts.total() <= NAMED:
            logger.warning("%s: left out %s: %s", self._where, name, reason)

    def say(self, given: int) -> None:
        """One line with all of it, if there is something to say."""
        if self.counts:
            logger.warning(
                "%s: %d of %d pictures left out: %s",
                self._where,
                self.counts.total(),
                self.counts.total() + given,
                in_words(self.counts),
            )


def in_words(counts: dict[str, int] | Counter[str]) -> str:
    """“5 cut off, 1 damaged”, most first."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{count} {reason}" for reason, count in ordered)
