"""How a long stage says how far it is: the `Progress` protocol, and `NoProgress`, which is silent.

The command line brings one that draws; a night never knows where it is drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

Advance = Callable[[int], None]
"""Called with the number of further items of the stage that are done."""


class Progress(Protocol):
    """Where a night reports its stages."""

    def stage(self, name: str, total: int | None = None) -> AbstractContextManager[Advance]:
        """A stage of `total` items (None: not known). Inside, call the result with the number of
        items done since the last call."""

    def note(self, text: str) -> None:
        """One line worth reading between two stages."""


class NoProgress:
    """Says nothing."""

    def stage(self, name: str, total: int | None = None) -> AbstractContextManager[Advance]:
        """A stage nobody watches."""
        return nullcontext(_ignore)

    def note(self, text: str) -> None:
        """Dropped."""


def _ignore(done: int) -> None:
    """Take the number and forget it."""
