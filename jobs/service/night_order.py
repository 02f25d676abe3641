"""Cameras with the highest expected gain per second run first; none waits for ever."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jobs.database.figures import Figures, Past

HISTORY = 14
"""How many nights of history count."""
NEW = 1.0
"""Expected gain of a camera without a night: more than of any other."""
SURPRISE = 0.2
"""Expected mAP50 gain of a day on which L_conf has changed by a factor of e, up or down …"""
PATIENCE = 0.005
"""… and of each night since the last promotion. Both from `benchmarks.budget`."""


@dataclass(frozen=True, slots=True)
class Prospect:
    """What a camera's night is expected to gain and cost: `gain` in mAP50, `cost_s` in seconds of
    detector work. `why` is for people."""

    camera: str
    gain: float
    cost_s: float
    left_out: int
    why: str
    is_new: bool = False


def prospect(
    camera: str,
    history: Sequence[Figures | Past],
    *,
    today_loss: float | None = None,
    left_out: int = 0,
    typical_s: float = 0.0,
) -> Prospect:
    """From a camera's last nights, the latest first, and today's mean L_conf if it is known.

    Three things raise the expected gain: the student in use measures below its best, L_conf has
    changed since the day before (either way: an evening with few people has less, and teaches
    much), and the last promotion is long ago. Large gains of the last nights are left out, for
    they predict smaller ones.
    """
    if not history:
        return Prospect(camera, NEW, typical_s, left_out, "its first night", is_new=True)
    in_use = [f.score_after if f.promoted else f.score_before for f in history]
    below = max(in_use) - in_use[0]
    change = _log_ratio(today_loss, history[0].mean_loss)
    promoted = [k for k, f in enumerate(history) if f.promoted]
    since = promoted[0] if promoted else len(history)
    gain = below + SURPRISE * abs(change) + PATIENCE * since
    why = f"{100 * below:.1f} points below its best, {_since(since, promoted)}"
    if today_loss is not None:
        why += f", L_conf {math.expm1(change):+.0%}"
    return Prospect(camera, gain, history[0].device_s, left_out, why)


def _log_ratio(today: float | None, before: float | None) -> float:
    return math.log(today / before) if today and before else 0.0


def in_order(prospects: Mapping[str, Prospect], *, starve_nights: int) -> list[Prospect]:
    """Cameras left out for too long first, the longest first; then by gain per second."""

    def key(p: Prospect) -> tuple[bool, float, float, str]:
        starved = p.left_out >= starve_nights
        return (not starved, -p.left_out if starved else 0, -_worth(p), p.camera)

    return sorted(prospects.values(), key=key)


def _worth(p: Prospect) -> float:
    return p.gain / p.cost_s if p.cost_s else p.gain


def _since(since: int, promoted: Sequence[int]) -> str:
    return f"{since} nights since the last promotion" if promoted else "never promoted"
