"""Reads a live camera in a thread of its own, and connects again whenever a connection ends."""

from __future__ import annotations

import logging
import random
import threading
import traceback
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta

from streams.base import ConnectionFailedError
from streams.failures import BROKEN, ENDED, LASTING, NOT_VIDEO, failure
from streams.live.backoff import Backoff
from streams.live.clock import Clock
from streams.live.connection import Arrival, Connection, Picture
from streams.live.health import Health
from streams.live.options import LiveOptions
from streams.live.outlet import Outlet, Tap
from streams.live.timeline import Timeline

logger = logging.getLogger(__name__)

Connect = Callable[[], Connection]
"""Opens one connection, or raises `ConnectionFailedError`."""

CLOSE_SHARE = 3.0
"""`join` waits for the reader up to this many read (or open) time-outs."""


class Reader:
    """The thread that reads one camera for an `Outlet`, until that is closed."""

    def __init__(
        self,
        connect: Connect,
        outlet: Outlet,
        *,
        options: LiveOptions,
        clock: Clock,
        rng: random.Random | None = None,
    ) -> None:
        self._connect, self._outlet = connect, outlet
        self._options, self._clock = options, clock
        self._opened_s = clock.monotonic()
        self.health = Health(outlet.where, options.health, clock)
        self._timeline = Timeline()
        self._pauses = Backoff(options.first_pause_s, options.longest_pause_s, rng=rng)
        self._had_pictures = False
        self.thread = threading.Thread(target=self._run, name=f"live-{outlet.camera}", daemon=True)
        self.thread.start()

    def join(self) -> None:
        """Wait until its read returns; a reader that hangs is left behind."""
        if self.thread is threading.current_thread():
            return
        slowest_s = max(self._options.open_timeout_s, self._options.read_timeout_s)
        self.thread.join(CLOSE_SHARE * slowest_s)
        if self.thread.is_alive():
            logger.warning("%s: the reader hangs; it is left behind", self._outlet.where)

    def _run(self) -> None:
        closed = self._outlet.closed
        while not closed.is_set():
            began_s = self._clock.monotonic()
            failed = self._attempt()
            if closed.is_set():
                return
            lasted_s = self._clock.monotonic() - began_s
            if failed is None:  # the connection asked to be opened anew
                closed.wait(self._options.first_pause_s - lasted_s)
                continue
            if self._had_pictures and lasted_s > self._options.settled_s:
                self._pauses.reset()
            self.health.failed(failed.reason)
            self._outlet.failed(failed)
            closed.wait(self._pauses.pause_s(longest=failed.reason in LASTING))

    def _attempt(self) -> ConnectionFailedError | None:
        """Connect and read until it ends: what went wrong, or None to open anew at once."""
        where = self._outlet.where
        self._had_pictures = False
        self._timeline.restart()
        self._outlet.count(tries=1)
        try:
            with closing(self._connect()) as connection:
                self._drain(connection)
        except ConnectionFailedError as exc:
            return exc.with_traceback(None)
        except Exception as exc:  # a thread must not die unseen; the text may hold a password
            name, places = type(exc).__name__, "".join(traceback.format_tb(exc.__traceback__))
        else:
            return None if self._had_pictures else failure(where, ENDED)
        logger.warning("%s: %s in the reader, trying again:\n%s", where, name, places)
        return failure(where, ENDED, f"{name} in the reader; see the log")

    def _drain(self, connection: Connection) -> None:
        fruitful_s, damaged = self._clock.monotonic(), False
        for arrival in connection.arrivals(self._outlet.demand):
            now_s = self._clock.monotonic()
            if self._outlet.closed.is_set():
                return
            if arrival is not None and self._take(arrival, connection):
                fruitful_s, damaged = now_s, False
                continue
            if arrival is None:
                self.health.alive()
            elif arrival.picture is None:
                damaged = True
            barren_s = now_s - fruitful_s
            # The first is cheap and true of nearly every packet, of which there are many.
            if barren_s > self._options.barren_s and barren_s > self._patience_s(connection):
                raise failure(self._outlet.where, BROKEN if damaged else NOT_VIDEO)

    def _patience_s(self, connection: Connection) -> float:
        """How long data may come without a picture."""
        facts = connection.facts
        slowest_s = max(facts.silence_s, facts.keyframe_interval_s or 0.0)
        return max(self._options.barren_s, 3 * slowest_s)

    def _take(self, arrival: Arrival, connection: Connection) -> bool:
        """False if the picture is damaged."""
        now_s = self._clock.monotonic()
        look = self.health.wants_glance or not self._had_pictures
        picture = arrival.picture
        glance = picture.glance() if picture is not None and look else None
        if picture is None or (look and glance is None):
            self._outlet.count(damaged=1)
            return False
        time_s = self._timeline.place(arrival.pts_s, now_s)
        if not self._had_pictures:
            self._had_pictures = True
            self._outlet.count(connections=1)
        self.health.pictured(glance, silence_s=connection.facts.silence_s)
        self._outlet.count(pictures=1)
        if arrival.captured_at_s is not None:
            self._outlet.note_clock(arrival.captured_at_s - self._clock.now().timestamp())
        takers = self._outlet.takers(time_s - self._opened_s)
        if takers or self._outlet.info.width_px == 0:
            self._hand_over(picture, takers, connection, time_s=time_s, delay_s=now_s - time_s)
        return True

    def _hand_over(
        self,
        picture: Picture,
        takers: list[Tap],
        connection: Connection,
        *,
        time_s: float,
        delay_s: float,
    ) -> None:
        image = picture.rgb()
        if image is None:
            self._outlet.count(damaged=1)
            return
        wall_time = self._clock.now() - timedelta(seconds=delay_s)
        self._outlet.hand_over(
            image,
            takers,
            connection.facts,
            time_s=time_s - self._opened_s,
            wall_time=wall_time,
        )
