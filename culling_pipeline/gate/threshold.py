"""The change gate's threshold, learned from the scored frames.

**The rule.** Every scored object frame (`gate.py`) is one piece of evidence: its change d, whether
it would have been lost had it been skipped, and the number w of frames it stands for (1, or
1 / audit_share for an audit). For a threshold t on the change,

    share(t)  upper bound of the share of object frames with d ≤ t   (weighted by w)
    missed(t) upper bound of the share of lost ones among the evidence with d ≤ t

are both one-sided 95 % Wilson bounds, and the threshold is the largest t for which

    share(t) · missed(t) ≤ 1 − min_recall.

Without evidence both are 1, and everything is scored: a camera has to show some 540 object frames
before its gate can close at a recall of 99.5 %. If no t fits, everything is scored as well.

**Older evidence.** A piece counts as half a frame when it is a day old, as a quarter after two
days, and so on. Evidence from before a break in watching is *lent*: the scene may have changed. In
missed(t) it counts at most as much as the evidence with d ≤ t since the break, and never more than
those 540 frames; in share(t) it does not count. So some 270 object frames since the break confirm
the earlier evidence. If the scene has changed, these alone still bound the loss: at twice the
allowed share, because they are half of the evidence. (Nine times
as much, so that 54 would do, was tried: the recall of a street's second evening fell to 96 %.)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streams.base import DAY_S

LENT = 1.0
"""The most frames from before a break that count for each frame since."""

_CAPACITY = 4096
_Z = 1.645

Evidence = NDArray[np.float64]
"""N×4: change, lost (0 or 1), weight, time in seconds."""


def upper_bound(share: NDArray[np.float64], count: NDArray[np.float64]) -> NDArray[np.float64]:
    """One-sided 95 % Wilson bound of a share seen in `count` trials (any shape, float64): 1
    without a trial, 2.7 / (count + 2.7) for a share of 0."""
    n, z2 = np.maximum(count, 1e-9), _Z**2
    spread = _Z * np.sqrt(share * (1 - share) / n + z2 / (4 * n**2))
    return np.minimum(1.0, (share + z2 / (2 * n) + spread) / (1 + z2 / n))


class GateThreshold:
    """The threshold on the change, from the last few thousand scored object frames."""

    def __init__(self, min_recall: float) -> None:
        self.threshold = -1.0
        """Changes up to this do not count; −1: everything is scored."""
        self._may_lose = 1 - min_recall
        self._most_lent = _Z**2 * min_recall / self._may_lose  # with it alone, missed = may_lose
        self._evidence = np.zeros((_CAPACITY, 4))  # a ring: the oldest gives way
        self._learned = 0

    def learn(self, change: float, *, lost: bool, weight: float, at_s: float = 0.0) -> None:
        """Note an object frame scored at this time: whether it would have been lost, and for how
        many frames it stands."""
        self._evidence[self._learned % _CAPACITY] = (change, lost, weight, at_s)
        self._learned += 1

    @property
    def evidence(self) -> Evidence:
        """All evidence, oldest first."""
        first = self._learned % _CAPACITY if self._learned > _CAPACITY else 0
        return np.roll(self._evidence[: self._learned], -first, axis=0)

    def replace(self, evidence: Evidence) -> None:
        """Use only this evidence; the threshold is −1 until the next update."""
        latest = evidence[-_CAPACITY:]
        self._evidence[: len(latest)] = latest
        self._learned = len(latest)
        self.threshold = -1.0

    def update(self, *, now_s: float = 0.0, since_s: float = float("-inf")) -> None:
        """Set the threshold by the rule above; the last break ended at `since_s`."""
        if self._learned == 0:
            return
        table = self._evidence[: self._learned]
        change, lost, weight, at_s = table[np.argsort(table[:, 0], kind="stable")].T
        counts = _worth(now_s - at_s)
        own = np.where(at_s >= since_s, counts, 0.0)
        share = _share(own * weight, own.sum())
        missed = self._missed(lost, own, counts - own)
        fits = share * missed <= self._may_lose
        fits[:-1] &= change[:-1] < change[1:]  # equal changes count together
        self.threshold = float(change[fits][-1]) if fits.any() else -1.0

    def _missed(
        self, lost: NDArray[np.float64], own: NDArray[np.float64], old: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """missed(t) for every t of the evidence, N float64, which is sorted by change; `own` and
        `old` are what each piece counts for."""
        own_count, old_count = np.cumsum(own), np.cumsum(old)
        most = np.minimum(LENT * own_count, self._most_lent)
        lent = np.minimum(1.0, most / np.maximum(old_count, 1e-9))
        counted = own_count + lent * old_count
        missed = np.cumsum(lost * own) + lent * np.cumsum(lost * old)
        return upper_bound(missed / np.maximum(counted, 1e-9), counted)


def _worth(age_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """What evidence of this age counts for: 1 on its first day, 1/2 on its second, 1/4, …"""
    days = np.floor(np.maximum(age_s, 0.0) / DAY_S)
    return np.asarray(0.5**days, np.float64)


def _share(weight: NDArray[np.float64], count: float) -> NDArray[np.float64]:
    """share(t) for every t of the evidence, N float64."""
    known = np.cumsum(weight) / max(weight.sum(), 1e-9)
    return upper_bound(known, np.full(len(weight), count))
