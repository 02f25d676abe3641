"""Drop-and-Pick's Algorithm 1 as a clock: what happens after each epoch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from culling_pipeline.training.arguments import rising, share, whole
from culling_pipeline.training.pacing import ROUNDING


class Cycles:
    """When samples are dropped and when all are picked up again, epoch after epoch.

    As printed, T_previous is not reset when everything is picked up again: the next drop then
    comes too early or, where α had stopped the drops, never, and many figures of Tables 2, 3 and
    7 do not come out. We reset it, never to before the end of the warm-up, and compare
    τ − T_start < α strictly: 30 of the 32 figures come out to the rounded per cent.
    """

    def __init__(
        self,
        epochs: int,
        *,
        warm_up: int,
        interval: int,
        keep: float,
        pick: Sequence[int],
        active: int | None,
    ) -> None:
        """The names of the paper's Table 1: W, I, p, R and α (None: no end)."""
        whole("warm_up", warm_up, least=0)
        whole("interval", interval, least=1)
        share("keep", keep)
        rising("pick", pick, last=epochs)
        if active is not None:
            whole("active", active, least=1)
        self._warm_up, self._interval, self._keep = warm_up, interval, keep
        self._picks = frozenset(pick)
        self._active = math.inf if active is None else active
        self.started = self.previous = warm_up

    def after(self, epoch: int) -> Literal["drop", "pick"] | None:
        """Moves on past `epoch`."""
        if epoch <= self._warm_up:
            return None  # everything is in use: a pick changes nothing
        if epoch in self._picks:
            self.started = self.previous = epoch
            return "pick"
        if epoch - self.previous == self._interval and epoch - self.started < self._active:
            self.previous = epoch
            return "drop"
        return None

    def kept(self, size: int) -> int:
        """How many of `size` samples a drop leaves: int(size · p), at least one."""
        return max(1, int(size * self._keep + ROUNDING))


def imagenet_setting(epochs: int) -> dict[str, int]:
    """The authors' setting for ImageNet (section 4.3.1: W 10, I 2, α 10 of 120 epochs), for as many
    epochs. They scale I with the epochs at one learning rate; α stays five intervals, so that each
    cycle drops as often."""
    interval = max(1, round(epochs * 2 / 120))
    warm_up = max(1, round(epochs * 10 / 120))
    return {"warm_up": warm_up, "interval": interval, "active": 5 * interval}
