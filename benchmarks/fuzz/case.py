"""One hostile input: what is done with it, which errors may come of it, and which secret must show
nowhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

PART = 4
"""Characters of a secret; so many of them in a text or a file are a leak."""


@dataclass(frozen=True, slots=True)
class Case:
    """`run` does it and returns every text that a person or a file would get; errors of ours may
    be raised. What stands in `around` is no part of the secret."""

    run: Callable[[], Iterable[str]]
    secrets: tuple[str, ...] = ()
    around: str = ""

    def leaks(self, said: str) -> list[str]:
        """The parts of its secrets that were said."""
        around = pieces(self.around)
        return sorted({p for s in self.secrets for p in pieces(s) - around if p in said})


def pieces(text: str) -> set[str]:
    """Every run of `PART` characters in it."""
    return {text[i : i + PART] for i in range(len(text) - PART + 1)}


class Part(Protocol):
    """A module of this package."""

    OURS: tuple[type[Exception], ...]
    """The errors that hostile input may end in."""

    @staticmethod
    def prepare(folder: Path) -> Callable[[int], Case]:
        """Load all that is needed, so that memory is counted from there; then a case by its
        seed."""


PARTS = (
    "configs",
    "addresses",
    "commands",
    "playlists",
    "pages",
    "coco",
    "pictures",
    "clips",
    "models",
    "requests",
    "changes",
)
