"""CLIP's Algorithm 1 in numbers: which stretch of the list, easy to hard, an epoch sees."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from culling_pipeline.training.arguments import choice, share, whole

Pace = Literal["linear", "quadratic", "root", "step", "exponential", "logarithmic"]
EpsilonMode = Literal["fixed", "increasing", "decreasing"]
PruneEnd = Literal["easiest", "hardest"]

ROUNDING = 1e-9
"""Added before cutting to whole samples: 100 · 0.29 is 28.999… in binary, and means 29."""
_POWERS: dict[Pace, float] = {"linear": 1, "quadratic": 2, "root": 0.5}
_STEEPNESS = 10
"""Wu et al.'s constant in the exponential and the logarithmic pacing (their appendix B)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pacing:
    """How many samples an epoch sees, and from where in the list.

    g(t) = N · (b + (1 − b) · grown(min(1, t / (a·T)))), t the epoch from 1. CLIP gives no formula;
    this is Wu et al.'s ("When do curricula work", section 2 and appendix B), with their b as
    `start` and their a as `pace_end`. Their linear and quadratic look like CLIP's Fig. 1.
    size(t) = g(t) − ε(t)·g(t).

    Algorithm 1 then takes X[1…size], which cuts the *hardest* of the g(t); the text wants the
    samples gone that contribute least, the *easiest*. `prune` says which.
    """

    samples: int
    epochs: int
    pacing: Pace = "quadratic"
    start: float = 1.0
    pace_end: float = 1.0
    prune_ratio: float = 0.0
    epsilon_mode: EpsilonMode = "fixed"
    prune: PruneEnd = "easiest"

    def __post_init__(self) -> None:
        whole("samples", self.samples, least=1)
        whole("epochs", self.epochs, least=1)
        choice("pacing", self.pacing, get_args(Pace))
        share("start", self.start)
        share("pace_end", self.pace_end)
        share("prune_ratio", self.prune_ratio, zero=True, one=False)
        choice("epsilon_mode", self.epsilon_mode, get_args(EpsilonMode))
        choice("prune", self.prune, get_args(PruneEnd))

    def window(self, epoch: int) -> slice:
        """The stretch of the sorted list: at least one sample."""
        reached = min(1.0, epoch / (self.pace_end * self.epochs))
        pool = self.samples * (self.start + (1 - self.start) * grown(self.pacing, reached))
        end = max(1, int(pool + ROUNDING))
        size = max(1, int(pool - self._epsilon(epoch) * pool + ROUNDING))
        return slice(0, size) if self.prune == "hardest" else slice(end - size, end)

    def size(self, epoch: int) -> int:
        window: slice = self.window(epoch)
        return int(window.stop - window.start)

    @property
    def full_after(self) -> int:
        """The epoch at which growth is complete."""
        return math.ceil(self.pace_end * self.epochs - ROUNDING)

    def _epsilon(self, epoch: int) -> float:
        """ε(t): "fixed, or an increasing function with decreasing rate (or vice versa)". The paper
        names no function; ours are ε·√(t/T), and its mirror ε·√(1 − t/T)."""
        done = epoch / self.epochs
        factor = {
            "fixed": 1.0,
            "increasing": math.sqrt(done),
            "decreasing": math.sqrt(1 - done),
        }
        return self.prune_ratio * factor[self.epsilon_mode]


def grown(pacing: Pace, reached: float) -> float:
    """The share of the growth that is done when `reached` (0 to 1) of its time is over."""
    if pacing == "step":
        return float(reached >= 1)
    if pacing == "exponential":
        return math.expm1(_STEEPNESS * reached) / math.expm1(_STEEPNESS)
    if pacing == "logarithmic":
        return min(1.0, 1 + math.log(reached + math.exp(-_STEEPNESS)) / _STEEPNESS)
    return float(reached ** _POWERS[pacing])
