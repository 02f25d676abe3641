"""Keeps a machine that watches cameras in step with the others, in its own thread: it learns which
student is in use, and sends the days it has watched. An outage is logged once and caught up on
later."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from datetime import date
from functools import partial

from jobs.bucket.bucket import StorageError
from jobs.bucket.days import StoredDays, today
from jobs.bucket.sharing import open_sharing
from jobs.cameras.watched_days import days_done, watched_days
from jobs.config.settings import Config
from jobs.database.connection import StoreError
from jobs.database.store import Store
from jobs.errors import ConfigError, describe
from models.errors import ModelError

logger = logging.getLogger(__name__)

EVERY_S = 60.0
TODAY_EVERY = 60
"""The day that is still going on is sent once in this many rounds."""
ERRORS = (ConfigError, StorageError, StoreError, ModelError, OSError)


class Courier:
    """Visits all `cameras` once a minute, from `start` to `close`."""

    def __init__(self, config: Config, cameras: Sequence[str], store: Store) -> None:
        self._config, self._cameras, self._store = config, cameras, store
        self._sharing = open_sharing(config)
        self._leaving = threading.Event()
        self._thread: threading.Thread | None = None
        self._told = False

    def start(self) -> None:
        """Learn which students are in use, and begin the rounds. Raises `ConfigError` if the store
        cannot be used at all; an outage does not matter."""
        if self._sharing.days is None:
            return
        registry = self._sharing.registry(self._config, may_lag=True)
        for camera in self._cameras:
            registry.refresh(camera)
        self._thread = threading.Thread(target=self._go_round, name="courier", daemon=True)
        self._thread.start()

    def visit(self, config: Config, cameras: Sequence[str]) -> None:
        """Visit these cameras from the next round on."""
        self._config, self._cameras = config, cameras

    def close(self) -> None:
        """Stop the rounds and send the days as they are now."""
        if self._thread is None:
            return
        self._leaving.set()
        self._thread.join()
        self._carry(with_today=True)

    def _go_round(self) -> None:
        rounds = 0
        while not self._leaving.wait(EVERY_S):
            rounds += 1
            self._refresh()
            self._carry(with_today=rounds % TODAY_EVERY == 0)

    def _refresh(self) -> None:
        registry = self._sharing.registry(self._config)
        for camera in self._cameras:
            if not self._attempt(partial(registry.refresh, camera)):
                return

    def _carry(self, *, with_today: bool) -> None:
        for camera in self._cameras:
            if not self._attempt(partial(self._carry_of, camera, with_today=with_today)):
                return

    def _carry_of(self, camera: str, *, with_today: bool) -> None:
        days, now = self._sharing.days, today()
        assert days is not None
        waiting = set(watched_days(self._config, camera)) - days_done(self._store, camera)
        for day in sorted(d for d in waiting if d < now or (with_today and d == now)):
            _send(days, camera, day)
        if with_today:
            days.clear_old(camera, today=now)

    def _attempt(self, errand: Callable[[], object]) -> bool:
        """Do one errand; False if the store failed, then the others can wait as well."""
        try:
            errand()
        except ERRORS as error:
            if not self._told:
                logger.warning("not sent or brought now: %s", describe(error))
            self._told = True
            return False
        if self._told:
            logger.info("the store can be reached again")
        self._told = False
        return True


def _send(days: StoredDays, camera: str, day: date) -> None:
    if days.send(camera, day):
        logger.info("camera %s: its day %s was sent", camera, day)


def give_away(config: Config, camera: str) -> None:
    """Send today as it is now, for another machine may run its night. If that fails, the machine
    finds an earlier state of it."""
    days = open_sharing(config).days
    if days is None or today() not in watched_days(config, camera):
        return
    try:
        _send(days, camera, today())
    except ERRORS as error:
        logger.warning("camera %s: its day was not sent: %s", camera, describe(error))
