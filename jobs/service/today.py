"""The current days of live cameras, read from disk without a night: how unsure the student is, and
whether the camera's data has drifted."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from culling_pipeline.day.daybook import DayClock, mean_loss
from culling_pipeline.monitoring.daily_figures import figures_of_watched_day
from culling_pipeline.monitoring.drift import watch_drift
from culling_pipeline.records.monitoring import DriftRecord
from jobs.cameras.day_plan import ingest_plan
from jobs.cameras.watched_days import date_of_night, watched_day
from jobs.config.settings import CameraConfig, Config
from jobs.database.connection import StoreError
from jobs.database.store import Store
from jobs.errors import describe

logger = logging.getLogger(__name__)

LOOK_AGAIN = timedelta(hours=1)
"""How often each camera's day is read; a whole day takes seconds."""

_Found = TypeVar("_Found")


class Today:
    """Reads each live camera's day now and then; a recording has none."""

    def __init__(
        self, config: Config, store: Store, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._config, self._store, self._now = config, store, now
        self._losses: dict[str, tuple[datetime, float | None]] = {}
        self._turns = deque(config.cameras)
        self._next_turn = now() + self._pause

    def take_up(self, config: Config) -> None:
        """Read the days of the cameras of this configuration."""
        self._config, self._turns = config, deque(config.cameras)

    @property
    def _pause(self) -> timedelta:
        """The pause between two cameras, so that reading is spread over the hour."""
        return LOOK_AGAIN / max(len(self._turns), 1)

    def mean_loss(self, camera: str) -> float | None:
        """Mean L_conf of the day that a night begun now would be about, at most an hour old. None
        for a recording, for a day that cannot be read, and if L_conf is standardised: then it has
        no mean of its own."""
        known = self._losses.get(camera)
        if known is None or self._now() - known[0] >= LOOK_AGAIN:
            self._losses[camera] = known = (self._now(), _read(camera, self._read_loss))
        return known[1]

    def _read_loss(self, camera: str) -> float | None:
        settings = self._config.cameras.get(camera)
        if settings is None or settings.culling.confidence.standardise:
            return None
        day = date_of_night(self._config, camera, self._store, now=self._now())
        stored = watched_day(self._config, camera, day)
        return None if stored is None else mean_loss(stored.folder)

    def alarm(self) -> tuple[str, DriftRecord] | None:
        """Check the next camera's day, if it is time for one. Its name and the verdict, if the day
        so far raises an alarm."""
        now = self._now()
        if now < self._next_turn or not self._turns:
            return None
        self._next_turn = now + self._pause
        self._turns.rotate(-1)
        camera = self._turns[-1]
        verdict = _read(camera, lambda name: self._verdict(self._config.cameras[name], now))
        return None if verdict is None else (camera, verdict)

    def _verdict(self, camera: CameraConfig, now: datetime) -> DriftRecord | None:
        today = DayClock.of(now).day
        stored = watched_day(self._config, camera.name, today)
        if stored is None:
            return None
        history = self._store.history.of(camera.name)
        if not history or history[-1].date >= today:  # a night has judged this day already
            return None
        figures = figures_of_watched_day(stored, ingest_plan(camera))
        if figures is None:
            return None
        found = watch_drift([*history, figures], camera.class_names)
        alarm = found is not None and found.date == today and found.state == "drift"
        return found if alarm else None


def _read(camera: str, how: Callable[[str], _Found | None]) -> _Found | None:
    """What is found in a camera's day; None if the day cannot be read. The nights of other cameras
    do not wait for it."""
    try:
        return how(camera)
    except StoreError:  # the database is away, for all cameras
        raise
    except Exception as error:  # its folder may be deleted at any moment, or its file damaged
        logger.warning("%s: its day could not be read: %s", camera, describe(error))
        return None
