"""Asks for nights: when a camera's schedule says so, and early when its day has drifted."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from culling_pipeline.day.daybook import DayClock
from jobs.bucket.courier import give_away
from jobs.config.settings import CameraConfig, Config
from jobs.config.wall_clock import WallClock, ticker, time_zone
from jobs.database.store import Store
from jobs.service.notify import Notifier
from jobs.service.today import Today

logger = logging.getLogger(__name__)

EARLY = "drift"
"""The reason of a night that is asked for before its time."""


class Schedule:
    """Asks for the nights of all cameras when they are due, also for those missed while no service
    ran."""

    def __init__(
        self,
        config: Config,
        store: Store,
        notify: Notifier,
        today: Today,
        now: Callable[[], datetime],
    ) -> None:
        self._store, self._now = store, now
        self._notify, self._today = notify, today
        self._since: dict[str, datetime] = {}
        self._triggers: dict[str, WallClock] = {}
        self._to_ask: set[str] = set()
        self._ticker = ticker(self._to_ask.add, {})
        self._config = Config()
        self.take_up(config)
        self._ask_all()

    def take_up(self, config: Config) -> None:
        """Go by the schedules of this configuration, as a service that begins now would. A camera
        that had no night yet has none that was due before it had this schedule."""
        now, before = self._now(), self._config.cameras
        scheduled = {n: c for n, c in config.cameras.items() if c.schedule is not None}
        self._since = {
            name: self._since[name] if _has_schedule_of(camera, before.get(name)) else now
            for name, camera in scheduled.items()
        }
        self._triggers = {
            name: WallClock(camera.schedule or "", time_zone(camera.time_zone))
            for name, camera in scheduled.items()
        }
        self._config, self._to_ask = config, set(self._triggers)
        self._ticker.shutdown()
        self._ticker = ticker(self._to_ask.add, self._triggers)

    def tick(self) -> None:
        """Call this about once a second."""
        self._ticker.tick()
        self._ask_all()
        self._look_at_today()

    def close(self) -> None:
        """Ask for nothing more."""
        self._ticker.shutdown()

    def _ask_all(self) -> None:
        """Ask for the nights of all cameras whose time has come; those that the store does not take
        now are asked for at the next tick."""
        for camera in sorted(self._to_ask):
            self._ask(camera)
            self._to_ask.discard(camera)

    def _ask(self, camera: str) -> None:
        """Ask for the camera's latest due night: one night for all that were missed."""
        now = self._now()
        last = self._store.dues.last(camera)
        after = self._since[camera] - timedelta(seconds=1) if last is None else last.due_at
        due_at = self._triggers[camera].last_until(now, after=after)
        if due_at is not None and self._store.dues.ask(camera, due_at):
            logger.info("%s: its night of %s is due", camera, due_at.astimezone())

    def _look_at_today(self) -> None:
        """A live camera whose day has drifted may have an early night, once a day."""
        alarm = self._today.alarm()
        if alarm is None:
            return
        camera, drift = alarm
        now = self._now()
        dues, midnight = self._store.dues, DayClock.of(now).midnight
        if any(due.reason == EARLY and due.due_at >= midnight for due in dues.all(camera)):
            return
        report_drift(self._notify, camera, drift.reason)
        if not self._config.service.early_nights or camera not in self._triggers:
            return
        give_away(self._config, camera)
        # The hour, so that two services that both see the drift ask for one night.
        if dues.ask(camera, now.replace(minute=0, second=0, microsecond=0), reason=EARLY):
            logger.info("%s: an early night is due", camera)


def _has_schedule_of(camera: CameraConfig, before: CameraConfig | None) -> bool:
    if before is None:
        return False
    return (camera.schedule, camera.time_zone) == (before.schedule, before.time_zone)


def report_drift(notify: Notifier, camera: str, reason: str) -> None:
    """Log that a camera's data has drifted, and send a notice."""
    logger.warning("%s: drift: %s", camera, reason)
    notify("drift", camera, f"{camera}: its data has drifted", reason)
