"""Which cameras are watched now: a watcher and a feed each. Some may come, go or change, and the
rest is watched on."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from jobs.config.settings import CameraConfig
from jobs.watch.feed import Feed
from jobs.watch.halted import Halts
from jobs.watch.watching import Watcher

logger = logging.getLogger(__name__)

STOP_S = 5.0
"""How long to wait for a camera's thread at its end."""


@dataclass(frozen=True, slots=True)
class _Leaving:
    """A camera that is no longer wanted, or not in this way, or is halted until `again_s`;
    `until_s` is how long its thread may take to end."""

    watcher: Watcher
    stopped_at: datetime
    until_s: float
    again_s: float | None = None

    @property
    def has_ended(self) -> bool:
        now_s = time.monotonic()
        if self.again_s is not None and now_s < self.again_s:
            return False
        return not self.watcher.is_alive() or now_s >= self.until_s


class Lineup:
    """For one thread; those of pages and metrics read `feeds` and `watchers`, which are replaced
    and never changed."""

    def __init__(
        self,
        make_feed: Callable[[CameraConfig], Feed],
        make_watcher: Callable[[CameraConfig], Watcher],
    ) -> None:
        self._make_feed, self._make_watcher = make_feed, make_watcher
        self.feeds: Mapping[str, Feed] = {}
        self.watchers: Mapping[str, Watcher] = {}
        self._leaving: dict[str, _Leaving] = {}
        self._cameras: dict[str, CameraConfig] = {}
        self._halts = Halts()

    def begin(self, cameras: Sequence[CameraConfig]) -> None:
        """The first cameras; their threads begin with `start`."""
        self._cameras = {camera.name: camera for camera in cameras}
        self.feeds = {name: self._make_feed(camera) for name, camera in self._cameras.items()}
        self.watchers = {name: self._make_watcher(c) for name, c in self._cameras.items()}

    def start(self) -> None:
        """Begin to watch."""
        for watcher in self.watchers.values():
            watcher.start()

    @property
    def is_over(self) -> bool:
        """Whether all have ended or are halted, and no other is about to begin."""
        if any(one.again_s is None for one in self._leaving.values()):
            return False
        return all(w.ended or name in self._leaving for name, w in self.watchers.items())

    @property
    def has_halted(self) -> bool:
        """Whether a camera waits to be tried again."""
        return any(one.again_s is not None for one in self._leaving.values())

    def change_to(self, cameras: Sequence[CameraConfig]) -> None:
        """These cameras from now on. Those that are new begin at once; one that has gone or changed
        is stopped, and `let_go` ends it; it tries those that are halted again."""
        wanted = {camera.name: camera for camera in cameras}
        self._halts.keep_only(set(wanted))
        self._leaving = {n: replace(one, again_s=None) for n, one in self._leaving.items()}
        for name, watcher in self.watchers.items():
            is_as_wanted = name in wanted and _watched_alike(wanted[name], watcher.camera)
            if name not in self._leaving and not is_as_wanted:
                self._stop(name, watcher)
        self._cameras = wanted
        self._add([camera for name, camera in wanted.items() if name not in self.watchers])

    def tick(self) -> None:
        """Note the states of all cameras, but of those that are being stopped: that is no state of
        theirs."""
        self._end_halts()
        for name, feed in self.feeds.items():
            watcher = self.watchers[name]
            if name not in self._leaving and watcher.halted is None:
                with self.halting(feed):
                    feed.tick(watcher.condition)

    def _end_halts(self) -> None:
        for name, watcher in self.watchers.items():
            feed, halt = self.feeds[name], self._halts.of(name)
            if watcher.halted is None or feed.is_halted or not feed.tally.seen:
                continue
            watcher.halted = None
            if halt is not None and watcher.error is halt.error:  # not one of the camera's own
                watcher.error = None
            self._halts.end(name)

    @contextmanager
    def halting(self, feed: Feed) -> Iterator[None]:
        """Work for one camera. If it fails, that camera is halted and the others go on."""
        try:
            yield
        except Exception as error:  # whatever it is: one camera must not stop the others
            self.halt(feed, error)

    def halt(self, feed: Feed, error: Exception) -> None:
        """Watch this camera no more until it is tried again, by `let_go`."""
        name = feed.camera.name
        if feed.is_halted or self.feeds.get(name) is not feed:
            return
        halt, watcher, now = self._halts.add(name, error), self.watchers[name], datetime.now(UTC)
        watcher.halted, watcher.error = halt.condition, error
        watcher.stop()
        try:
            feed.halt(now)
        except Exception as also:  # the first error is the one to mend
            logger.debug("camera %s: its day was not ended", name, exc_info=also)
        if name not in self._leaving:
            until_s = time.monotonic() + STOP_S
            self._leaving[name] = _Leaving(watcher, now, until_s, halt.again_s)

    def let_go(self, settle: Callable[[], None]) -> None:
        """End the days of stopped cameras whose threads have ended, and begin those that are to be
        watched in another way. `settle` writes down all frames that have come."""
        ended = {name: one for name, one in self._leaving.items() if one.has_ended}
        if not ended:
            return
        settle()
        for name, one in ended.items():
            self.feeds[name].close(one.stopped_at)
            del self._leaving[name]
        self.feeds = {name: feed for name, feed in self.feeds.items() if name not in ended}
        self.watchers = {name: w for name, w in self.watchers.items() if name not in ended}
        self._add([self._cameras[name] for name in ended if name in self._cameras])

    def stop(self) -> None:
        """Stop all threads, and wait for them a little."""
        self.tick()  # before stopping changes their states
        for watcher in self.watchers.values():
            watcher.stop()
        deadline_s = time.monotonic() + STOP_S
        for watcher in self.watchers.values():
            watcher.join(max(0.0, deadline_s - time.monotonic()))

    def close(self, moment: datetime) -> None:
        """End all days."""
        self._end_halts()
        for name, feed in self.feeds.items():
            one = self._leaving.get(name)
            feed.close(moment if one is None else one.stopped_at)

    def _stop(self, name: str, watcher: Watcher) -> None:
        if watcher.halted is None:
            with self.halting(self.feeds[name]):
                self.feeds[name].tick(watcher.condition)
        watcher.stop()
        until_s = time.monotonic() + STOP_S
        self._leaving[name] = _Leaving(watcher, datetime.now(UTC), until_s)

    def _add(self, cameras: Sequence[CameraConfig]) -> None:
        new = {camera.name: self._make_watcher(camera) for camera in cameras}
        for name, watcher in new.items():
            halt = self._halts.of(name)
            if halt is not None:  # until it has been watched again
                watcher.halted, watcher.error = halt.condition, halt.error
        self.feeds = {**self.feeds, **{c.name: self._make_feed(c) for c in cameras}}
        self.watchers = {**self.watchers, **new}
        for watcher in new.values():
            watcher.start()


def _watched_alike(one: CameraConfig, other: CameraConfig) -> bool:
    """Whether they differ at most in when their nights are."""
    return one.changed(schedule=other.schedule, time_zone=other.time_zone) == other
