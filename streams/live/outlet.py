"""Where the reader of a live camera leaves its frames, and the consumers fetch them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from streams.base import ConnectionFailedError, Frame, SourceInfo
from streams.failures import TIMED_OUT, failure
from streams.live.connection import Demand, StreamFacts
from streams.sampler import Sampler

NOTICE_S = 0.25
"""How often a waiting consumer looks whether the camera has stalled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveCounts:
    """Counts of a live source since it was opened.

    `dropped` frames were wanted, but the consumer was behind; `damaged` pictures came, but could
    not be decoded whole. `camera_ahead_s` is the camera's clock less the machine's at the
    latest picture, if the camera sends its time.
    """

    tries: int = 0
    connections: int = 0
    pictures: int = 0
    delivered: int = 0
    dropped: int = 0
    damaged: int = 0
    camera_ahead_s: float | None = None


class Tap:
    """One consumer: its sampler, and the frames that wait for it."""

    def __init__(self, sampler: Sampler | None, room: int) -> None:
        self.sampler = sampler
        self.waiting: deque[Frame] = deque(maxlen=room)

    def wants(self, time_s: float) -> bool:
        return self.sampler is None or self.sampler.wants(time_s)

    def put(self, frame: Frame) -> bool:
        """False if the oldest frame was dropped for it."""
        full = len(self.waiting) == self.waiting.maxlen
        self.waiting.append(frame)
        return not full


class Outlet:
    """The consumers of one live camera and their waiting frames, safe to use from any thread.

    `info` describes the latest picture; its width is 0 before the first one. Each consumer has room
    for `room` waiting frames. `closed` ends the reader and all consumers.
    """

    def __init__(self, camera: str, info: SourceInfo, *, room: int) -> None:
        self.camera, self.info, self._room = camera, info, room
        self.where = f"camera {camera!r}: {info.location}"
        self.demand = Demand()
        self.counts = LiveCounts()
        self.closed = threading.Event()
        self._taps: list[Tap] = []
        self._changed = threading.Condition()
        self._first_failure: ConnectionFailedError | None = None

    def close(self) -> None:
        """End all consumers at once."""
        self.closed.set()
        with self._changed:
            self._changed.notify_all()

    def count(self, **steps: int) -> None:
        """Add to `counts`, by name."""
        with self._changed:
            before = self.counts
            after = {name: getattr(before, name) + step for name, step in steps.items()}
            self.counts = replace(before, **after)

    # -- the consumer's side -----------------------------------------------------------------------

    @contextmanager
    def tapped(self, sampler: Sampler | None) -> Iterator[Tap]:
        """A new consumer, until its `with` block ends."""
        tap = Tap(sampler, self._room)
        with self._changed:
            self._taps.append(tap)
            self._set_demand()
        try:
            yield tap
        finally:
            with self._changed:
                self._taps.remove(tap)
                self._set_demand()

    def next_frame(self, tap: Tap) -> Frame | None:
        """The oldest waiting frame; None if none came for a while, or all is closed."""
        with self._changed:
            if not tap.waiting:
                self._changed.wait(NOTICE_S)
            if not tap.waiting or self.closed.is_set():
                return None
            self.count(delivered=1)
            return tap.waiting.popleft()

    def await_first_picture(self, limit_s: float) -> ConnectionFailedError | None:
        """Wait for the first picture; the failure that came instead, if one did."""
        with self._changed:
            answered = self._changed.wait_for(
                lambda: self.info.width_px > 0 or self._first_failure is not None, limit_s
            )
            failed = self._first_failure if answered else failure(self.where, TIMED_OUT)
        return failed if self.info.width_px == 0 else None

    def _set_demand(self) -> None:
        intervals = [None if t.sampler is None else t.sampler.interval_s for t in self._taps]
        known = [interval for interval in intervals if interval is not None]
        self.demand.interval_s = min(known) if known and None not in intervals else None

    # -- the reader's side -------------------------------------------------------------------------

    def failed(self, error: ConnectionFailedError) -> None:
        """A connection failed; whoever waits for the first picture gets the first failure."""
        with self._changed:
            self._first_failure = self._first_failure or error
            self._changed.notify_all()

    def takers(self, time_s: float) -> list[Tap]:
        """The consumers that want the frame of this time."""
        with self._changed:
            return [tap for tap in self._taps if tap.wants(time_s)]

    def hand_over(
        self,
        image: NDArray[np.uint8],
        takers: list[Tap],
        facts: StreamFacts,
        *,
        time_s: float,
        wall_time: datetime,
    ) -> None:
        """Give each of these consumers its own copy of the frame, and bring `info` up to date."""
        with self._changed:
            self._describe(image, facts)
            for number, tap in enumerate(takers):
                own = image if number == 0 else image.copy()
                fits = tap.put(Frame(own, time_s, wall_time, self.camera))
                self.count(dropped=0 if fits else 1)
            self._changed.notify_all()

    def _describe(self, image: NDArray[np.uint8], facts: StreamFacts) -> None:
        self.info = replace(
            self.info,
            kind=facts.kind,
            width_px=image.shape[1],
            height_px=image.shape[0],
            rate_fps=facts.rate_fps,
            codec=facts.codec,
            keyframe_interval_s=facts.keyframe_interval_s,
        )

    def note_clock(self, ahead_s: float) -> None:
        """How far the camera's clock is ahead of the machine's."""
        with self._changed:
            self.counts = replace(self.counts, camera_ahead_s=ahead_s)
