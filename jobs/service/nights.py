"""The nights of all cameras: asked for when they are due, begun while a slot is free, followed up.

    schedule ──► dues (in the store) ──► order, window, budget ──► executor ──► done, or tried again

Everything that must outlive the process is in the store: what is held here may be lost any time.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from jobs.config.settings import Config
from jobs.config.wall_clock import time_zone
from jobs.database.connection import StoreError
from jobs.database.due_queries import Due
from jobs.database.nights import Night
from jobs.database.store import Store
from jobs.errors import EXIT_NIGHT, describe
from jobs.executors.base import Executor, Outcome, Task
from jobs.service.due_nights import Schedule
from jobs.service.forecast import Forecast, forecast
from jobs.service.night_limits import Budget, Window
from jobs.service.notify import Notifier
from jobs.service.retry import FollowUp
from jobs.service.today import Today

logger = logging.getLogger(__name__)

LOOK_AROUND = timedelta(seconds=15)
UNKNOWN_FOR = timedelta(seconds=10)
"""How long a night may wait for a camera that is not known. One that has just been added is known
to those who ask for its night a little before it is known here."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a night's process reads its configuration."""

    config: Path
    overrides: Mapping[str, Any]


class Nights:
    """One service's part of the nights; several may share a store."""

    def __init__(
        self,
        config: Config,
        origin: Origin,
        store: Store,
        executor: Executor,
        notify: Notifier,
        *,
        now: Callable[[], datetime],
        after_night: Callable[[Night], None] = lambda _: None,
    ) -> None:
        self._config, self._origin, self._store = config, origin, store
        self._executor, self._now = executor, now
        self._running: dict[int, Due] = {}
        self._ended: list[Outcome] = []
        self._in_doubt: set[int] = set()
        self._unknown: dict[int, datetime] = {}
        self._looked_at = self._full_until = now()
        settings = config.service
        self._window = Window(settings.window, time_zone(None))
        minutes = settings.budget_minutes
        self._budget = Budget(None if minutes is None else 60 * minutes)
        self._today = Today(config, store, now)
        self._schedule = Schedule(config, store, notify, self._today, now)
        self._follow_up = FollowUp(config.service, store, notify, after_night)
        self._look_around()

    def tick(self) -> None:
        """Call this about once a second. If it raises `StoreError`, what it had to write is kept
        and written by a later call."""
        self._ended += self._executor.finished()
        self._schedule.tick()
        self._write_down()
        if self._now() - self._looked_at >= LOOK_AROUND:
            self._look_around()
        if len(self._running) < self._executor.slots and self._now() >= self._full_until:
            self._begin_some()

    def take_up(self, config: Config) -> None:
        """Go on with the cameras and groups of this configuration."""
        self._config = config
        self._today.take_up(config)
        self._schedule.take_up(config)

    @property
    def running(self) -> list[Due]:
        """The nights that this service has begun."""
        return list(self._running.values())

    def stop(self) -> None:
        """Interrupt running nights and put them back for the next service; this does not count as a
        try."""
        self._executor.stop()
        self._ended += [o for o in self._executor.finished() if o.error is None]
        try:
            self._write_down()
            for due_id in list(self._running):
                self._store.dues.put_back(due_id, "interrupted", after=timedelta(0), counts=False)
                del self._running[due_id]
        except StoreError as error:
            logger.warning("%s: the next service takes up the nights of this one", error)
        self._schedule.close()

    def _begin_some(self) -> None:
        opened = self._window.opened(self._now())
        if opened is None:
            return
        if self._config.groups:  # the night of one camera of a group was the night of them all
            self._close_made()
        waiting = {due.camera: due for due in self._store.dues.waiting()}
        self._fail_unknown([waiting.pop(c) for c in set(waiting) - set(self._config.cameras)])
        if not waiting:
            return
        plan = forecast(
            self._store,
            list(waiting),
            starve_nights=self._config.service.starve_nights,
            today_loss=self._today.mean_loss,
        )
        spent_s, refused = self._spent(opened, plan), False
        for prospect in plan.order:
            if len(self._running) >= self._executor.slots:
                return
            if not self._budget.allows(prospect.cost_s, spent_s=spent_s):
                refused = True
            elif self._begin(waiting[prospect.camera]):
                spent_s += prospect.cost_s
        if refused:  # what does not fit into the budget now will not fit a second later
            self._full_until = self._now() + LOOK_AROUND

    def _fail_unknown(self, dues: list[Due]) -> None:
        now = self._now()
        self._unknown = {due.id: self._unknown.get(due.id, now) for due in dues}
        for due in dues:
            if now - self._unknown[due.id] >= UNKNOWN_FOR:
                self._store.dues.fail(due.id, "not in the configuration", night_id=None)

    def _begin(self, due: Due) -> bool:
        if due.attempt >= self._config.service.tries:
            self._follow_up.give_up(due, due.error or "it was tried too often")
            return False
        self._in_doubt.add(due.id)  # if the answer is lost, the night may be ours or not
        claimed = self._store.dues.claim(due.id)
        self._in_doubt.discard(due.id)
        if not claimed:
            return False
        logger.info("%s: its night begins", due.camera)
        self._running[due.id] = due
        task = Task(due.id, due.camera, self._origin.config, dict(self._origin.overrides))
        try:
            self._executor.start(task)
        except OSError as error:  # no memory or no process for it: a try like others
            self._ended.append(Outcome(due.id, error=describe(error), exit_code=EXIT_NIGHT))
        return True

    def _write_down(self) -> None:
        """Note in the store how nights ended. Each is forgotten only then: writing it twice does no
        harm."""
        while self._ended:
            outcome = self._ended[0]
            self._follow_up.follow_up(self._running[outcome.due_id], outcome)
            del self._running[outcome.due_id], self._ended[0]
        for due_id in list(self._in_doubt):
            self._store.dues.put_back(due_id, None, after=timedelta(0), counts=False)
            self._in_doubt.discard(due_id)

    def _spent(self, opened: datetime, plan: Forecast) -> float:
        """Detector seconds of the nights that any service has begun in this window."""
        begun = self._store.dues.since(opened)
        return sum(plan.cost_of(due.camera) for due in begun)

    def _look_around(self) -> None:
        """Renew leases; requeue nights of dead services; close nights that were run some other
        way."""
        now = self._now()
        self._store.dues.renew(list(self._running))
        for due in self._store.dues.take_up_lost():
            logger.warning("%s: %s; its night is taken up", due.camera, due.error)
        self._close_made()
        self._looked_at = now

    def _close_made(self) -> None:
        for due in self._store.dues.made_by_others():
            logger.info("%s: its night was run by somebody else", due.camera)
