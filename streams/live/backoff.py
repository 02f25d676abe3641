"""How long to wait before the next attempt: twice as long each time, with a random part."""

from __future__ import annotations

import random


class Backoff:
    """Pauses of `first_s`, twice that, … `longest_s`, each shortened by up to `jitter` of itself.

    The chance keeps twelve cameras behind one switch from all coming back in the same second.
    """

    def __init__(
        self,
        first_s: float,
        longest_s: float,
        *,
        jitter: float = 0.5,
        rng: random.Random | None = None,
    ) -> None:
        self._first_s, self._longest_s, self._jitter = first_s, longest_s, jitter
        self._rng = rng or random.Random()
        self._tries = 0

    def pause_s(self, *, longest: bool = False) -> float:
        """The next pause; `longest` asks for the last one at once."""
        doubled_s = self._first_s * 2.0 ** min(self._tries, 60)
        self._tries += 1
        full_s = self._longest_s if longest else min(self._longest_s, doubled_s)
        return full_s * (1 - self._jitter * self._rng.random())

    def reset(self) -> None:
        """The connection has held: the next failure begins at `first_s` again."""
        self._tries = 0
