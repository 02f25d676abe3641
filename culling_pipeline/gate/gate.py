"""The change gate: a frame on which nothing has changed since the last scored one is not scored.

It takes over that frame's answer, and with it its L_conf, so the day's losses stay complete. How
large a change counts is learned from the camera during the day, from the scored frames: those that
changed, and a random share of those that did not (the *audits*).

**What must not be lost.** An *object frame* is one in which the student, looking at it, finds
something (`Task.is_busy`), or in which the answer it would take over holds something. It is *lost*
if it was skipped although the two differ (`Task.differ`). The recall of object frames is the share
of them that is not lost.

The threshold on the change is learned from this; the rule is in `threshold.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from culling_pipeline.gate.memory import GateMemory, GateTally
from culling_pipeline.gate.threshold import GateThreshold
from culling_pipeline.ranges import Count, Flag, InnerShare, PositiveShare, check
from culling_pipeline.records.day import GateRecord
from culling_pipeline.tasks.answers import Answer
from culling_pipeline.tasks.base import Task

SIDE_PX = 48
"""Shorter side of the picture that changes are looked for in: an object at the teacher's smallest
(0.02 of the frame's shorter side) is one pixel."""

MAX_SKIPS = 30
"""The most frames skipped in a row; the next one is scored, changed or not. Frames passed over
because of `every` do not count."""

BREAK_S = 3600.0
"""After this long without a frame the scene may have changed: earlier evidence has to be confirmed,
and the noise is measured again."""

_STEP = 1.03


@dataclass(frozen=True, slots=True, kw_only=True)
class GatePlan:
    """The student scores at most one frame in `every`; with `enabled`, only those of them that
    changed."""

    enabled: Flag
    every: Count
    audit_share: PositiveShare
    min_recall: InnerShare

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True)
class Decision:
    """The gate's decision on a frame: its change since the last scored one (infinite for the
    first), whether to score it, and whether that is an audit."""

    change: float
    score: bool
    audit: bool = False


class ChangeMeter:
    """How much a picture differs from a reference, in units of the camera's noise.

    Bounded memory: two small pictures and the noise of each of their pixels.
    """

    def __init__(self, noise: NDArray[np.float32] | None = None) -> None:
        self._last: NDArray[np.float32] | None = None
        self._reference: NDArray[np.float32] | None = None
        self.noise = noise
        """The median change of each pixel of the small picture from frame to frame."""

    def measure(self, image: NDArray[np.uint8]) -> float:
        """The change of `image` (H×W×3 uint8 RGB) against the reference: the largest mean over
        3×3 pixels of the small grey picture, in standard deviations of such a mean under noise.

        The median difference is subtracted first, so a change of exposure does not count. Infinite
        without a reference, or if the picture has another shape.
        """
        small = small_grey(image)
        if self._last is None or self._last.shape != small.shape:
            self._last, self._reference = small, None
            if self.noise is not None and self.noise.shape != small.shape:
                self.noise = None
            return float("inf")
        self._learn_noise(_without_median(small - self._last))
        self._last = small
        if self._reference is None:
            return float("inf")
        different = _without_median(small - self._reference) / self._deviation()
        return float(np.abs(cv2.blur(different, (3, 3))).max() * 3)

    def renew(self) -> None:
        """Make the picture measured last the new reference."""
        self._reference = self._last

    def _learn_noise(self, difference: NDArray[np.float32]) -> None:
        """Follow the median of |difference| of every pixel: up by 3 % where it is above the
        median so far, down where it is below. Traffic that covers a pixel in less than half of
        the frames does not count as noise; rain and leaves do."""
        size = np.abs(difference)
        if self.noise is None:
            self.noise = np.full_like(size, max(float(np.median(size)), 0.1))
        self.noise *= np.where(size > self.noise, np.float32(_STEP), np.float32(1 / _STEP))

    def _deviation(self) -> NDArray[np.float32]:
        """Standard deviation of a difference by noise alone, never below half the picture's nor
        below one grey level: a codec hides a sensor's noise and adds steps of its own."""
        assert self.noise is not None
        deviation = self.noise / np.float32(0.6745)
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


class Gate:
    """Decides frame by frame, and learns from what the student then finds. Bounded memory."""

    def __init__(self, plan: GatePlan, task: Task, rng: np.random.Generator) -> None:
        self.plan, self.task = plan, task
        self.tally = GateTally()
        self._rng = rng
        self._meter = ChangeMeter()
        self._calibration = GateThreshold(plan.min_recall)
        self._offered = self._in_a_row = 0
        self._since_s = self._last_s = float("-inf")

    @property
    def threshold(self) -> float:
        """Changes up to this do not count; −1: everything is scored."""
        return self._calibration.threshold

    def decide(self, image: NDArray[np.uint8], at_s: float = 0.0) -> Decision:
        """Whether to score the next frame (H×W×3 uint8 RGB). `at_s` is its time on a clock that
        continues from day to day; without it everything is one day."""
        self._offered += 1
        if (self._offered - 1) % self.plan.every:
            return Decision(float("inf"), score=False)
        if not self.plan.enabled:
            return Decision(float("inf"), score=True)
        if self._last_s - at_s > BREAK_S:
            self.forget()  # the clock was set back, so the age of the evidence is unknown
        if abs(at_s - self._last_s) > BREAK_S:
            self._begin_anew(at_s)
        self._last_s = at_s
        change = self._meter.measure(image)
        unchanged = change <= self.threshold and self._in_a_row < MAX_SKIPS
        audit = unchanged and self._rng.random() < self.plan.audit_share
        if unchanged and not audit:
            self._in_a_row += 1
            return Decision(change, score=False)
        self._meter.renew()
        self._in_a_row = 0
        return Decision(change, score=True, audit=audit)

    def _begin_anew(self, at_s: float) -> None:
        self._since_s = self._last_s = at_s
        self._meter = ChangeMeter()
        self.update()

    def count(self, decision: Decision) -> None:
        """Add a frame to the tally once its decision has been carried out."""
        if decision.score:
            self.tally.scored += 1
            self.tally.audited += decision.audit
        elif np.isfinite(decision.change):
            self.tally.skipped += 1
        else:
            self.tally.passed_over += 1

    def learn(
        self, decision: Decision, found: Answer, inherited: Answer, at_s: float = 0.0
    ) -> None:
        """Learn from a frame scored at this time: the student's answer, and the answer it would
        have taken over."""
        if not np.isfinite(decision.change):
            return
        if not (self.task.is_busy(found) or self.task.is_busy(inherited)):
            return
        lost = self.task.differ(found, inherited)
        weight = 1 / self.plan.audit_share if decision.audit else 1.0
        self._calibration.learn(decision.change, lost=lost, weight=weight, at_s=at_s)
        self.tally.object_frames += weight
        if decision.audit and lost:
            self.tally.misses += 1
            self.tally.lost_frames += weight

    @property
    def record(self) -> GateRecord | None:
        """What the gate did; None if every frame was scored."""
        if not self.plan.enabled and self.plan.every == 1:
            return None
        tally = self.tally
        return GateRecord(
            scored=tally.scored,
            passed_over=tally.passed_over,
            skipped=tally.skipped,
            audited=tally.audited,
            misses=tally.misses,
            recall=tally.recall,
            threshold=self.threshold,
        )

    def update(self) -> None:
        """Compute the threshold from all evidence."""
        self._calibration.update(now_s=self._last_s, since_s=self._since_s)

    # -- from day to day -----------------------------------------------------------------------

    @property
    def memory(self) -> GateMemory:
        """What has to be kept for a restart and for the next day."""
        return GateMemory(
            self._calibration.evidence,
            self._meter.noise,
            self._since_s,
            self._last_s,
            replace(self.tally),
        )

    def take_up(self, lessons: GateMemory, *, same_day: bool) -> None:
        """Continue from this memory instead of the present one; the tally only on the
        `same_day`."""
        self._calibration.replace(lessons.evidence)
        self._meter = ChangeMeter(lessons.noise)
        self._since_s, self._last_s = lessons.since_s, lessons.last_s
        if same_day:
            self.tally = replace(lessons.tally)

    def forget(self) -> None:
        """Forget everything: with another student or picture, earlier evidence is not valid."""
        self._calibration.replace(np.zeros((0, 4)))
        self._meter = ChangeMeter()
