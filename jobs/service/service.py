"""`culling run`: watch all live cameras, and run the nights when they are due.

ingest ── a thread ──► days on disk ─┐
loop ──► nights (schedule, order, executor) ──► reports, notices

Its pages have a thread of their own and are made by the command (`jobs.pages`).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

from jobs.config.followed import FollowedConfig
from jobs.config.settings import CameraConfig, Config
from jobs.database.store import Store
from jobs.disk.cleanup import remove_old_reports
from jobs.errors import describe
from jobs.executors.base import Executor
from jobs.service.nights import Nights, Origin
from jobs.service.notify import Notifier
from jobs.service.outage import Outage
from jobs.watch.watch import CameraWatch

logger = logging.getLogger(__name__)

TICK_S = 1.0
INGEST_AGAIN_S = 60.0
"""How long until ingest restarts after an unexpected error."""
STOP_S = 30.0
TIDY_EVERY = timedelta(days=1)
"""Nights remove old reports of their own camera. For cameras without nights the service does, this
often."""
GONE_FOR = timedelta(minutes=10)
"""A notice is sent when a camera has not been live for this long."""


class Service:
    """Runs until `stop` or an interruption. If it is killed, the next one resumes its nights. While
    the store's database is away, also at the start, it watches the cameras."""

    def __init__(
        self,
        config: Config,
        origin: Origin,
        store: Store,
        executor: Executor,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._config, self._store, self._now = config, store, now
        self._origin, self._executor = origin, executor
        self._followed = FollowedConfig(config, origin.config, origin.overrides)
        self._ingest: CameraWatch | None = None
        self._beginning = threading.Lock()
        self._awake = threading.Event()
        self._stopping = threading.Event()
        self._ends = False
        self._tidy_at = now()
        self._outage = Outage(
            "cameras are watched on, nights wait until it is back", "nights go on"
        )
        self._notify = Notifier(config.service, store.notices)
        self._nights = self._make_nights() if store.database.is_ready else None

    def run(self) -> None:
        """Run until stopped; running nights are put back for the next service."""
        with ExitStack() as at_the_end:
            at_the_end.callback(self._notify.close)
            at_the_end.callback(self._stop_nights)
            if self._config.service.watch:
                watching = threading.Thread(target=self._watch, name="ingest", daemon=True)
                watching.start()
                at_the_end.callback(watching.join, STOP_S)
                at_the_end.callback(self._stop_watching)
            while not (self._ends or self._stopping.wait(TICK_S)):
                self._tick()

    def _tick(self) -> None:
        self._take_up_changes()
        with self._outage.bridged():
            self._store.database.make_ready()
            self._nights = self._nights or self._make_nights()
            self._nights.tick()
            self._ask_after_cameras()
            self._tidy_up()

    def _make_nights(self) -> Nights:
        return Nights(
            self._config,
            self._origin,
            self._store,
            self._executor,
            self._notify,
            now=self._now,
        )

    def _stop_nights(self) -> None:
        if self._nights is not None:
            self._nights.stop()

    def watch(self) -> CameraWatch | None:
        """What watches the live cameras, once it has begun."""
        return self._ingest

    def stop(self) -> None:
        """End `run` soon, from another thread."""
        self._stopping.set()

    def end(self) -> None:
        """As `stop`, for a signal's handler: it must not set an `Event`, whose lock the loop may
        hold."""
        self._ends = True

    def _tidy_up(self) -> None:
        if self._now() >= self._tidy_at:
            self._tidy_at = self._now() + TIDY_EVERY
            remove_old_reports(self._config, now=self._now())

    # -- cameras -------------------------------------------------------------------------------

    def _watch(self) -> None:
        while not self._stopping.is_set():
            self._awake.clear()
            try:
                self._watch_once()
            except Exception as error:  # the thread's boundary: the nights go on
                logger.warning("ingest: %s; begun again in %.0f s", describe(error), INGEST_AGAIN_S)
                logger.debug("ingest", exc_info=error)
            self._awake.wait(INGEST_AGAIN_S)

    def _watch_once(self) -> None:
        with self._beginning:
            cameras = self._watched()
            if not cameras:
                return
            self._ingest = ingest = CameraWatch(self._config, cameras, self._store)
        ingest.run(ends=False)

    def _watched(self) -> list[CameraConfig]:
        watches = self._config.service.watch
        return [c for c in self._config.cameras.values() if watches and is_watched(c)]

    def _take_up_changes(self) -> None:
        """Go on with the cameras that config.yaml has by now."""
        config = self._followed.look()
        if config is None:
            return
        with self._beginning:
            self._config = config
            if self._ingest is not None:
                self._ingest.take_up(config, self._watched())
        self._awake.set()
        if self._nights is not None:
            self._nights.take_up(config)

    def _stop_watching(self) -> None:
        self._stopping.set()
        self._awake.set()
        if self._ingest is not None:
            self._ingest.stop()

    def _ask_after_cameras(self) -> None:
        ingest = self._ingest
        if ingest is None:
            return
        for name, watcher in ingest.watchers.items():
            condition = watcher.condition
            if condition is None:
                continue
            if condition.state == "live":
                self._notify.is_over("lost", name)
            elif self._now() - condition.since >= GONE_FOR:
                title = f"{name}: the camera is {condition.state}"
                since = f"since {condition.since.astimezone():%Y-%m-%d %H:%M}"
                self._notify("lost", name, title, f"{since}: {condition.reason}")


def is_watched(camera: CameraConfig) -> bool:
    """Whether the service watches it all day; files, folders, a recorder's too, and the synthetic
    street are read by their night."""
    scheme = camera.source.partition(":")[0] if ":" in camera.source else ""
    return len(scheme) > 1 and scheme not in ("synthetic", "file", "recordings")
