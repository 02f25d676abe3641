"""A live camera as a source: read in its own thread, reconnected for ever, never stale."""

from __future__ import annotations

import logging
import random
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from streams.base import ConnectionFailedError, Frame, FrameSource, SourceInfo, StreamError
from streams.failures import BROKEN, ENDED, LASTING, NOT_VIDEO, TIMED_OUT, failure
from streams.live.backoff import Backoff
from streams.live.clock import Clock, SystemClock
from streams.live.connection import Arrival, Connection, Demand, Picture
from streams.live.health import Health, HealthReport
from streams.live.options import LiveOptions
from streams.live.timeline import Timeline
from streams.sampler import Sampler

logger = logging.getLogger(__name__)

Connect = Callable[[], Connection]
"""Opens one connection, or raises `ConnectionFailedError`."""

NOTICE_S = 0.25
"""How often a waiting consumer looks whether the camera has stalled."""

CLOSE_SHARE = 3.0
"""`close` waits for the reader up to this many read (or open) time-outs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveCounts:
    """What a live source has gone through since it was opened.

    `dropped` frames were wanted, but the consumer was behind; `damaged` pictures came, but could
    not be decoded whole. `camera_ahead_s` is the camera's clock less the machine's at the
    latest picture, where the camera tells its time.
    """

    tries: int = 0
    connections: int = 0
    pictures: int = 0
    delivered: int = 0
    dropped: int = 0
    damaged: int = 0
    camera_ahead_s: float | None = None


class _Tap:
    """One consumer: its sampler, and the frames that wait for it."""

    def __init__(self, sampler: Sampler | None, room: int) -> None:
        self.sampler = sampler
        self.waiting: deque[Frame] = deque(maxlen=room)

    def wants(self, time_s: float) -> bool:
        return self.sampler is None or self.sampler.wants(time_s)

    def put(self, frame: Frame) -> bool:
        """False if the oldest frame had to go for it."""
        full = len(self.waiting) == self.waiting.maxlen
        self.waiting.append(frame)
        return not full


class LiveSource(FrameSource):
    """Frames of a camera that never ends.

    `time_s` counts seconds since the source was opened, by the machine's monotonic clock and
    strictly increasing whatever the camera's presentation times do; `wall_time` is the machine's
    own clock. Every packet is drained in a thread of its own, whether or not frames are asked
    for; a consumer that is behind loses the oldest waiting frames, and `counts` says how many. A
    connection that fails or ends is opened again, for ever, after growing pauses; only `close`
    ends an iteration. The size of frames may change from one to the next.
    """

    def __init__(
        self,
        connect: Connect,
        *,
        camera: str,
        location: str,
        options: LiveOptions | None = None,
        clock: Clock | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self._options = options or LiveOptions()
        self._camera, self._connect = camera, connect
        self._where = f"camera {camera!r}: {location}"
        self._clock = clock or SystemClock()
        self._opened_s = self._clock.monotonic()
        self._health = Health(self._where, self._options.health, self._clock)
        self._timeline = Timeline()
        self._pauses = Backoff(self._options.first_pause_s, self._options.longest_pause_s, rng=rng)
        self._demand = Demand()
        self._taps: list[_Tap] = []
        self._counts = LiveCounts()
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._first_failure: ConnectionFailedError | None = None
        self._info = SourceInfo(
            kind="live", location=location, width_px=0, height_px=0, started_at=self._clock.now()
        )
        self._reader = threading.Thread(target=self._run, name=f"live-{camera}", daemon=True)
        self._reader.start()
        if self._options.must_answer:
            self._await_first_picture()

    @property
    def info(self) -> SourceInfo:
        """As the latest picture has it."""
        return self._info

    @property
    def health(self) -> HealthReport:
        return self._health.report()

    @property
    def counts(self) -> LiveCounts:
        return self._counts

    def frames(self, sampler: Sampler | None = None) -> Iterator[Frame]:
        """Frames from now on. Several consumers at once get their own, each by its sampler."""
        if self._stopping.is_set():
            message = f"{self._where}: the source was closed; open it again to read from it"
            raise StreamError(message)
        return self._consume(sampler)

    def close(self) -> None:
        """End all iterations at once, and the reader as soon as its read returns."""
        self._stopping.set()
        with self._changed:
            self._changed.notify_all()
        if self._reader is threading.current_thread():
            return
        slowest_s = max(self._options.open_timeout_s, self._options.read_timeout_s)
        self._reader.join(CLOSE_SHARE * slowest_s)
        if self._reader.is_alive():
            logger.warning("%s: the reader hangs; it is left behind", self._where)

    # -- the consumer's side -----------------------------------------------------------------------

    def _consume(self, sampler: Sampler | None) -> Iterator[Frame]:
        with self._tapped(sampler) as tap:
            while (frame := self._next_frame(tap)) is not None:
                yield frame

    def _next_frame(self, tap: _Tap) -> Frame | None:
        """The oldest waiting frame, or None once the source is closed."""
        while not self._stopping.is_set():
            with self._changed:
                if not tap.waiting:
                    self._changed.wait(NOTICE_S)
                if tap.waiting and not self._stopping.is_set():
                    self._count(delivered=1)
                    return tap.waiting.popleft()
            self._health.report()  # somebody has to notice a stall
        return None

    @contextmanager
    def _tapped(self, sampler: Sampler | None) -> Iterator[_Tap]:
        tap = _Tap(sampler, self._options.queue_frames)
        with self._changed:
            self._taps.append(tap)
            self._set_demand()
        try:
            yield tap
        finally:
            with self._changed:
                self._taps.remove(tap)
                self._set_demand()

    def _set_demand(self) -> None:
        intervals = [None if t.sampler is None else t.sampler.interval_s for t in self._taps]
        known = [interval for interval in intervals if interval is not None]
        self._demand.interval_s = min(known) if known and None not in intervals else None

    def _await_first_picture(self) -> None:
        limit_s = CLOSE_SHARE * (self._options.open_timeout_s + self._options.read_timeout_s)
        with self._changed:
            answered = self._changed.wait_for(
                lambda: self._info.width_px > 0 or self._first_failure is not None, limit_s
            )
            failed = self._first_failure if answered else failure(self._where, TIMED_OUT)
        if self._info.width_px == 0 and failed is not None:
            self.close()
            raise failed

    # -- the reader's side -------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping.is_set():
            began_s = self._clock.monotonic()
            failed = self._attempt()
            if self._stopping.is_set():
                return
            lasted_s = self._clock.monotonic() - began_s
            if failed is None:  # the connection asked to be opened anew
                self._stopping.wait(self._options.first_pause_s - lasted_s)
                continue
            if self._had_pictures and lasted_s > self._options.settled_s:
                self._pauses.reset()
            self._health.failed(failed.reason)
            with self._changed:
                self._first_failure = self._first_failure or failed
                self._changed.notify_all()
            self._stopping.wait(self._pauses.pause_s(longest=failed.reason in LASTING))

    def _attempt(self) -> ConnectionFailedError | None:
        """Connect and read until it ends: what went wrong, or None to open anew at once."""
        self._had_pictures = False
        self._timeline.restart()
        self._count(tries=1)
        try:
            with closing(self._connect()) as connection:
                self._drain(connection)
        except ConnectionFailedError as exc:
            return exc.with_traceback(None)
        except Exception as exc:  # a thread must not die unseen; the text may hold a password
            name, places = type(exc).__name__, "".join(traceback.format_tb(exc.__traceback__))
        else:
            return None if self._had_pictures else failure(self._where, ENDED)
        logger.warning("%s: %s in the reader, trying again:\n%s", self._where, name, places)
        return failure(self._where, ENDED, f"{name} in the reader; see the log")

    def _drain(self, connection: Connection) -> None:
        fruitful_s, damaged = self._clock.monotonic(), False
        for arrival in connection.arrivals(self._demand):
            now_s = self._clock.monotonic()
            if self._stopping.is_set():
                return
            if arrival is not None and self._take(arrival, connection):
                fruitful_s, damaged = now_s, False
                continue
            if arrival is None:
                self._health.alive()
            elif arrival.picture is None:
                damaged = True
            barren_s = now_s - fruitful_s
            # The first is cheap and true of nearly every packet, of which there are many.
            if barren_s > self._options.barren_s and barren_s > self._patience_s(connection):
                raise failure(self._where, BROKEN if damaged else NOT_VIDEO)

    def _patience_s(self, connection: Connection) -> float:
        """How long data without a picture is put up with."""
        facts = connection.facts
        slowest_s = max(facts.silence_s, facts.keyframe_interval_s or 0.0)
        return max(self._options.barren_s, 3 * slowest_s)

    def _take(self, arrival: Arrival, connection: Connection) -> bool:
        """False if the picture is damaged."""
        now_s = self._clock.monotonic()
        look = self._health.wants_glance or not self._had_pictures
        picture = arrival.picture
        glance = picture.glance() if picture is not None and look else None
        if picture is None or (look and glance is None):
            self._count(damaged=1)
            return False
        time_s = self._timeline.place(arrival.pts_s, now_s)
        if not self._had_pictures:
            self._had_pictures = True
            self._count(connections=1)
        self._health.pictured(glance, silence_s=connection.facts.silence_s)
        self._count(pictures=1)
        self._note_clock(arrival)
        with self._changed:
            takers = [tap for tap in self._taps if tap.wants(time_s - self._opened_s)]
        if takers or self._info.width_px == 0:
            self._hand_over(picture, takers, connection, time_s=time_s, delay_s=now_s - time_s)
        return True

    def _hand_over(
        self,
        picture: Picture,
        takers: list[_Tap],
        connection: Connection,
        *,
        time_s: float,
        delay_s: float,
    ) -> None:
        image = picture.rgb()
        if image is None:
            self._count(damaged=1)
            return
        wall_time = self._clock.now() - timedelta(seconds=delay_s)
        with self._changed:
            self._describe(image, connection)
            for number, tap in enumerate(takers):
                own = image if number == 0 else image.copy()
                fits = tap.put(Frame(own, time_s - self._opened_s, wall_time, self._camera))
                self._count(dropped=0 if fits else 1)
            self._changed.notify_all()

    def _describe(self, image: NDArray[np.uint8], connection: Connection) -> None:
        facts = connection.facts
        self._info = replace(
            self._info,
            kind=facts.kind,
            width_px=image.shape[1],
            height_px=image.shape[0],
            rate_fps=facts.rate_fps,
            codec=facts.codec,
            keyframe_interval_s=facts.keyframe_interval_s,
        )

    def _note_clock(self, arrival: Arrival) -> None:
        if arrival.captured_at_s is not None:
            ahead_s = arrival.captured_at_s - self._clock.now().timestamp()
            with self._changed:
                self._counts = replace(self._counts, camera_ahead_s=ahead_s)

    def _count(self, **steps: int) -> None:
        with self._changed:
            before = self._counts
            after = {name: getattr(before, name) + step for name, step in steps.items()}
            self._counts = replace(before, **after)
