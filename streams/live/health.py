"""The state of a live camera: connecting, live, stalled, lost, frozen or dark; and since when.

Pure: it gets events and reads a clock. One line in the log for each change of state.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from streams.live.clock import Clock, SystemClock

logger = logging.getLogger(__name__)

GLANCE_PX = (160, 90)
"""Width and height of a glance: grey samples of the picture, not averages, which would hide the
sensor's noise that tells a quiet scene from a frozen one."""

NEAR_MEAN, NEAR_MOST = 0.5, 8
"""Two glances are nearly the same if no sample differs by more grey levels than the second, and
their mean by no more than the first: the same picture encoded anew, but not one person far off."""

DARK_MEAN, DARK_BRIGHTEST = 12.0, 32
"""Dark: a mean grey level below the first with 99 % of the samples below the second. A night with
one lamp in it is not dark."""


class State(StrEnum):
    CONNECTING = "connecting"
    LIVE = "live"
    STALLED = "stalled"
    LOST = "lost"
    FROZEN = "frozen"
    DARK = "dark"


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthLimits:
    """After how many seconds a state is believed, and how often the picture is looked at."""

    stalled_s: float
    frozen_s: float
    nearly_frozen_s: float
    dark_s: float
    look_s: float = 1.0


@dataclass(frozen=True, slots=True)
class HealthReport:
    """A camera's state, since when (UTC), and why in a few plain words."""

    state: State
    since: datetime
    reason: str


class _Run:
    """Since when a picture has stayed what it was."""

    def __init__(self) -> None:
        self.since_s: float | None = None

    def go_on(self, holds: bool, now_s: float) -> None:
        if not holds:
            self.since_s = None
        elif self.since_s is None:
            self.since_s = now_s

    def lasts(self, needed_s: float, now_s: float) -> bool:
        return self.since_s is not None and now_s - self.since_s >= needed_s


class _Likeness(_Run):
    """Since when pictures have been alike to one reference, the first of them."""

    def __init__(self, mean: float, most: float) -> None:
        super().__init__()
        self._mean, self._most = mean, most
        self._reference: NDArray[np.uint8] | None = None

    def look(self, glance: NDArray[np.uint8], now_s: float) -> None:
        if self._reference is None or not self._alike(self._reference, glance):
            self._reference, self.since_s = glance, now_s

    def forget(self) -> None:
        self._reference = self.since_s = None

    def _alike(self, one: NDArray[np.uint8], other: NDArray[np.uint8]) -> bool:
        if one.shape != other.shape:
            return False
        apart = np.abs(one.astype(np.int16) - other)
        return bool(apart.max(initial=0) <= self._most and apart.mean() <= self._mean)


class Health:
    """One camera's state, safe to ask from any thread.

    Told of events by the reader: `alive` (something came), `pictured` (a picture was decoded),
    `failed` (the connection is gone). A stall is noticed by whoever asks for the `report`.
    """

    def __init__(self, where: str, limits: HealthLimits, clock: Clock | None = None) -> None:
        self._where = where
        self._limits = limits
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._up = False
        self._stalled_s = self._limits.stalled_s
        self._alive_s = self._looked_s = -np.inf
        self._exact, self._near = _Likeness(0, 0), _Likeness(NEAR_MEAN, NEAR_MOST)
        self._dark = _Run()
        self._report = HealthReport(State.CONNECTING, self._clock.now(), "opening")

    def alive(self) -> None:
        """Data came that is in order, though there was no picture in it."""
        with self._lock:
            self._alive_s = self._clock.monotonic()

    @property
    def wants_glance(self) -> bool:
        """Whether it is time to look at the picture again."""
        return self._clock.monotonic() - self._looked_s >= self._limits.look_s

    def pictured(self, glance: NDArray[np.uint8] | None = None, *, silence_s: float = 0.0) -> None:
        """A picture was decoded; `glance` is GLANCE_PX of it as H×W uint8 grey, if wanted.

        `silence_s` is how long this camera may be silent in good order.
        """
        with self._lock:
            self._stalled_s = max(self._limits.stalled_s, silence_s)
            now_s = self._alive_s = self._clock.monotonic()
            self._up = True
            if glance is not None:
                self._look(glance, now_s)
            self._settle()

    def failed(self, reason: str) -> None:
        """The connection failed or ended."""
        with self._lock:
            self._up = False
            self._exact.forget()
            self._near.forget()
            self._dark.since_s = None
            self._change(State.LOST, reason)

    def report(self) -> HealthReport:
        """The state as of now."""
        with self._lock:
            self._settle()
            return self._report

    def _look(self, glance: NDArray[np.uint8], now_s: float) -> None:
        self._looked_s = now_s
        self._exact.look(glance, now_s)
        self._near.look(glance, now_s)
        dark = glance.mean() < DARK_MEAN and np.percentile(glance, 99) < DARK_BRIGHTEST
        self._dark.go_on(bool(dark), now_s)

    def _settle(self) -> None:
        if not self._up:
            return
        limits, now_s = self._limits, self._clock.monotonic()
        if now_s - self._alive_s >= self._stalled_s:
            self._change(
                State.STALLED, f"connected, but nothing usable came for {self._stalled_s:g} s"
            )
        elif self._dark.lasts(limits.dark_s, now_s):
            self._change(State.DARK, f"a black picture for {limits.dark_s:g} s")
        elif self._exact.lasts(limits.frozen_s, now_s):
            self._change(State.FROZEN, f"the same picture for {limits.frozen_s:g} s")
        elif self._near.lasts(limits.nearly_frozen_s, now_s):
            self._change(State.FROZEN, f"nearly the same picture for {limits.nearly_frozen_s:g} s")
        else:
            self._change(State.LIVE, "pictures come")

    def _change(self, state: State, reason: str) -> None:
        """Only a new state is logged: the tries of a camera that is off would fill the disk."""
        before = self._report
        if state is not before.state:
            level = logging.INFO if state is State.LIVE else logging.WARNING
            logger.log(level, "%s: %s (%s), was %s", self._where, state, reason, before.state)
            self._report = HealthReport(state, self._clock.now(), reason)
        elif reason != before.reason:
            self._report = HealthReport(state, before.since, reason)
