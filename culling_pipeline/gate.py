"""The change gate: a frame on which nothing has changed since the last scored one is not scored.

It takes over that frame's detections, and with them its L_conf, so that the day's losses stay
complete. What counts as no change is learned on the camera as the day goes by, from the frames
that are scored: those that changed, and a random share of those that did not (the *audits*).

**What must not be lost.** An *object frame* is one in which the student, looking at it, finds an
object at its working threshold, or in which the detections it would take over hold one. It is
*lost* if it was skipped although the two differ: an object of one has no counterpart in the other
(same class, IoU ≥ 0.5, at least half the working threshold, so that a score that wavers around the
threshold is not an event). The recall of object frames is the share of them that is not lost.

**The rule.** Every scored object frame is one piece of evidence: its change d, whether it would
have been lost had it been skipped, and the number w of frames it stands for (1, or 1 / audit_share
for an audit). For a threshold t on the change,

    share(t)  upper bound of the share of object frames with d ≤ t   (weighted by w)
    missed(t) upper bound of the share of lost ones among the evidence with d ≤ t

are both one-sided 95 % Wilson bounds, and the threshold is the largest t for which

    share(t) · missed(t) ≤ 1 − min_recall.

Without evidence both are 1, and everything is scored: a camera has to show some 540 object frames
before its gate can close at a recall of 99.5 %. If no t fits, everything is scored as well.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from models.boxes import Detections, match

SIDE_PX = 48
"""Shorter side of the picture that changes are looked for in: an object at the teacher's smallest
(0.02 of the frame's shorter side) is one pixel."""

MAX_SKIPS = 30
"""So many frames in a row are skipped at most; then one is scored, changed or not. Frames between
those that the student may be asked about (`every`) do not count."""

_EVIDENCE = 4096
_STEP = 1.03
_Z = 1.645


@dataclass(frozen=True, slots=True, kw_only=True)
class GatePlan:
    """`min_score` is the student's working threshold. The student is asked about one frame in
    `every` at most, and of those, with `enabled`, about the ones that changed."""

    enabled: bool = False
    every: int = 1
    audit_share: float = 0.05
    min_recall: float = 0.995
    min_score: float = 0.5


@dataclass(frozen=True, slots=True)
class Decision:
    """What the gate says of a frame: its change against the last scored one (infinite for the
    first), whether to score it, and whether only to see what skipping it would have lost."""

    change: float
    score: bool
    audit: bool = False


class ChangeMeter:
    """How much a picture differs from a reference, in units of the camera's noise.

    Bounded memory: two small pictures and the noise of each of their pixels.
    """

    def __init__(self) -> None:
        self._last: NDArray[np.float32] | None = None
        self._reference: NDArray[np.float32] | None = None
        self._noise: NDArray[np.float32] | None = None

    def measure(self, image: NDArray[np.uint8]) -> float:
        """The change of `image` (H×W×3 uint8 RGB) against the reference: the largest mean over
        3×3 pixels of the small grey picture, in standard deviations of such a mean under noise.

        The median difference is taken off first, so that a change of exposure is none. Infinite
        without a reference, or if the picture has another shape.
        """
        small = small_grey(image)
        if self._last is None or self._last.shape != small.shape:
            self._last, self._reference, self._noise = small, None, None
            return float("inf")
        self._learn_noise(_without_median(small - self._last))
        self._last = small
        if self._reference is None:
            return float("inf")
        different = _without_median(small - self._reference) / self._deviation()
        return float(np.abs(cv2.blur(different, (3, 3))).max() * 3)

    def renew(self) -> None:
        """The picture measured last is the reference from now on."""
        self._reference = self._last

    def _learn_noise(self, difference: NDArray[np.float32]) -> None:
        """Follow the median of |difference| of every pixel: up by 3 % where it is above the
        median so far, down where it is below. Traffic that covers a pixel in less than half of
        the frames does not count as noise; rain and leaves do."""
        size = np.abs(difference)
        if self._noise is None:
            self._noise = np.full_like(size, max(float(np.median(size)), 0.1))
        self._noise *= np.where(size > self._noise, np.float32(_STEP), np.float32(1 / _STEP))

    def _deviation(self) -> NDArray[np.float32]:
        """Standard deviation of a difference by noise alone, never below half the picture's nor
        below one grey level: a codec hides a sensor's noise and adds steps of its own."""
        assert self._noise is not None
        deviation = self._noise / np.float32(0.6745)
        least = max(0.5 * float(np.median(deviation)), 1.0)
        return np.asarray(np.maximum(deviation, least), np.float32)


def small_grey(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The picture that changes are looked for in: grey, `SIDE_PX` on its shorter side, float32
    0…255, each pixel a mean over what it covers (smaller images keep their size)."""
    height, width = image.shape[:2]
    factor = min(1.0, SIDE_PX / min(height, width))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.float32)


def _without_median(difference: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(difference - np.median(difference), np.float32)


def differ(one: Detections, other: Detections, *, min_score: float) -> bool:
    """Whether an object of one (a detection of `min_score` or more) has no counterpart in the
    other: same class, IoU ≥ 0.5, half of `min_score` or more."""
    return _unmatched(one, other, min_score) or _unmatched(other, one, min_score)


def _unmatched(objects: Detections, among: Detections, min_score: float) -> bool:
    return bool((match(objects.above(min_score), among.above(min_score / 2)) < 0).any())


def upper_bound(share: NDArray[np.float64], count: NDArray[np.float64]) -> NDArray[np.float64]:
    """One-sided 95 % Wilson bound of a share seen in `count` trials (any shape, float64): 1
    without a trial, 2.7 / (count + 2.7) for a share of 0."""
    n, z2 = np.maximum(count, 1e-9), _Z**2
    spread = _Z * np.sqrt(share * (1 - share) / n + z2 / (4 * n**2))
    return np.minimum(1.0, (share + z2 / (2 * n) + spread) / (1 + z2 / n))


class Calibration:
    """The threshold on the change, from the last few thousand scored object frames."""

    def __init__(self, min_recall: float) -> None:
        self.threshold = -1.0
        """A change up to this is none; −1: everything is scored."""
        self._may_lose = 1 - min_recall
        self._evidence = np.zeros((_EVIDENCE, 3))  # change, lost, weight; the oldest gives way
        self._learned = 0

    def learn(self, change: float, *, lost: bool, weight: float) -> None:
        """Note a scored object frame: whether it would have been lost, and for how many frames
        it stands."""
        self._evidence[self._learned % _EVIDENCE] = (change, lost, weight)
        self._learned += 1

    def update(self) -> None:
        """Set the threshold by the rule above."""
        if self._learned == 0:
            return
        table = self._evidence[: self._learned]
        change, lost, weight = table[np.argsort(table[:, 0], kind="stable")].T
        counted = np.arange(1, len(table) + 1, dtype=np.float64)
        share = upper_bound(np.cumsum(weight) / weight.sum(), np.full(len(table), len(table)))
        missed = upper_bound(np.cumsum(lost) / counted, counted)
        fits = share * missed <= self._may_lose
        fits[:-1] &= change[:-1] < change[1:]  # of equal changes all count, or none
        self.threshold = float(change[fits][-1]) if fits.any() else -1.0


class Gate:
    """Decides frame by frame, and learns from what the student then finds. Bounded memory."""

    def __init__(self, plan: GatePlan, rng: np.random.Generator) -> None:
        self.plan = plan
        self.scored = self.passed_over = self.skipped = self.audited = self.misses = 0
        self._object_frames = 0.0
        self._lost_frames = 0.0
        self._rng = rng
        self._meter = ChangeMeter()
        self._calibration = Calibration(plan.min_recall)
        self._in_a_row = 0

    @property
    def threshold(self) -> float:
        """A change up to this is none; −1: everything is scored."""
        return self._calibration.threshold

    @property
    def recall(self) -> float:
        """The estimated recall of object frames so far: audits stand for the skipped frames."""
        return 1 - self._lost_frames / self._object_frames if self._object_frames else 1.0

    def decide(self, image: NDArray[np.uint8]) -> Decision:
        """Whether to score the next frame (H×W×3 uint8 RGB)."""
        before = self.scored + self.passed_over + self.skipped
        if before % self.plan.every:
            self.passed_over += 1
            return Decision(float("inf"), score=False)
        if not self.plan.enabled:
            self.scored += 1
            return Decision(float("inf"), score=True)
        change = self._meter.measure(image)
        unchanged = change <= self.threshold and self._in_a_row < MAX_SKIPS
        audit = unchanged and self._rng.random() < self.plan.audit_share
        if unchanged and not audit:
            self.skipped += 1
            self._in_a_row += 1
            return Decision(change, score=False)
        self._meter.renew()
        self._in_a_row = 0
        self.scored += 1
        self.audited += audit
        return Decision(change, score=True, audit=audit)

    def learn(self, decision: Decision, found: Detections, inherited: Detections) -> None:
        """What the student found in a scored frame, and what it would have taken over."""
        if not np.isfinite(decision.change):
            return
        if not any(len(d.above(self.plan.min_score)) for d in (found, inherited)):
            return
        lost = differ(found, inherited, min_score=self.plan.min_score)
        weight = 1 / self.plan.audit_share if decision.audit else 1.0
        self._calibration.learn(decision.change, lost=lost, weight=weight)
        self._object_frames += weight
        if decision.audit and lost:
            self.misses += 1
            self._lost_frames += weight

    def update(self) -> None:
        """Set the threshold anew from all that was learned."""
        self._calibration.update()
