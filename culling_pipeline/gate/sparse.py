"""Sparse looks: which few frames of a recording the student looks at.

A look at each of a day's 86,400 frames costs more than all of a night's labels and training. So the
student looks at a bounded number:

- *blind* looks, half of them: one at a random moment of each of equally long stretches of the day,
  so that no hour goes by unseen and whatever happens is found as often as its share of the time;
- *led* looks: where the picture has changed since the last look (`ChangeMeter`), the more so after
  frames the student was unsure of.

Everything is decided as the frames go by, in one pass and bounded memory. How much change is enough
follows the frames so far, so that the led looks last until the end of the day.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from culling_pipeline.gate.gate import ChangeMeter, Decision
from culling_pipeline.ranges import Count, check
from culling_pipeline.records.day import GateRecord
from culling_pipeline.tasks.answers import Answer
from culling_pipeline.tasks.base import Task

BLIND_SHARE = 0.5
"""The share of the looks that are blind."""
MEASURED_PER_LOOK = 10
"""How many frames have their change measured for each led look: it costs half a millisecond."""
NOISE = 6.0
"""Changes up to this many standard deviations are noise, and never worth a led look."""
_STEP = 0.1
_MEMORY = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class SparsePlan:
    """How many frames there are, and at how many of them the student looks. Frames that are
    *spared*, those of the control slice, count in neither."""

    frames: Count
    looks: Count

    def __post_init__(self) -> None:
        check(self)

    @property
    def blind(self) -> int:
        """The looks at random moments: at least one."""
        return max(1, math.ceil(self.looks * BLIND_SHARE))


class SparseLooks:
    """Decides frame by frame, with the face of a `Gate`."""

    def __init__(
        self,
        plan: SparsePlan,
        task: Task,
        rng: np.random.Generator,
        *,
        spared: Callable[[float], bool] = lambda at_s: False,
    ) -> None:
        self.plan, self.task = plan, task
        self._rng, self._spared = rng, spared
        self._meter = ChangeMeter()
        self._number = self._passed = self._led = self._blind = self._learned = 0
        self._stretch, self._moment = -1, -1
        self._enough = NOISE
        self._interest = self._usual = 0.0
        self._every = max(1, plan.frames // (MEASURED_PER_LOOK * max(1, plan.looks - plan.blind)))

    def decide(self, image: NDArray[np.uint8], at_s: float = 0.0) -> Decision:
        """Whether to look at the next frame (H×W×3 uint8 RGB), which was taken at `at_s`."""
        if self._spared(at_s):
            self._passed += 1
            return Decision(math.inf, score=False)
        number = self._number
        self._number += 1
        blind = self._is_blind(number)
        change, led = math.inf, False
        if number % self._every == 0 and self.plan.looks > self.plan.blind:
            change = self._meter.measure(image)
            led = self._is_worth(change) and not blind
            if blind or led:
                self._meter.renew()
        self._blind += blind
        self._led += led
        return Decision(change, score=blind or led)

    def _is_blind(self, number: int) -> bool:
        """Whether this frame is its stretch's random moment."""
        length = self.plan.frames / self.plan.blind
        stretch = int(number / length)
        if stretch != self._stretch:
            self._stretch = stretch
            first, last = math.ceil(stretch * length), math.ceil((stretch + 1) * length)
            self._moment = int(self._rng.integers(first, max(first + 1, last)))
        return number == self._moment and self._blind < self.plan.blind + self._late()

    def _late(self) -> int:
        """Further blind looks in a recording longer than its header says."""
        return max(0, int((self._number / self.plan.frames - 1) * self.plan.blind))

    def _is_worth(self, change: float) -> bool:
        """Whether so much change is worth one of the led looks that are left. The bar rises with
        each frame that is worth it and sinks with each that is not, never into the noise: by so
        much that, on average, as many are as are left for the rest of the day. Looks that a quiet
        day leaves over are saved."""
        left = self.plan.looks - self.plan.blind - self._led
        if left <= 0:
            return False
        if not math.isfinite(change):
            return True
        measured = max(1, (self.plan.frames - self._number) // self._every)
        rate = min(1.0, left / measured)
        worth = change * (1 + self._unusual)
        above = worth >= self._enough
        self._enough = max(NOISE, self._enough * math.exp(_STEP * (above - rate)))
        return above

    @property
    def _unusual(self) -> float:
        """How unsure the student was lately, beside the day so far: 0 as usual or less, at most
        1."""
        if not self._usual:
            return 0.0
        return min(1.0, max(0.0, self._interest / self._usual - 1))

    def count(self, decision: Decision) -> None:
        """Nothing: a look is counted when it is decided, so that they are never too many."""

    def learn(
        self, decision: Decision, found: Answer, inherited: Answer, at_s: float = 0.0
    ) -> None:
        """Learn how unsure the student was of a frame it has looked at."""
        unsure = self.task.unsureness(found)
        self._interest = _MEMORY * self._interest + (1 - _MEMORY) * unsure
        self._learned += 1
        self._usual += (unsure - self._usual) / self._learned

    def update(self) -> None:
        """Nothing is computed between frames."""

    @property
    def record(self) -> GateRecord:
        """What was looked at, and what was passed over."""
        looks = self._led + self._blind
        return GateRecord(
            scored=looks,
            passed_over=self._number + self._passed - looks,
            skipped=0,
            audited=0,
            misses=0,
            recall=1.0,
            threshold=-1.0,
            blind=self._blind,
        )
