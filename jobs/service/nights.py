"""The nights of all cameras: asked for when they are due, begun while there is room, followed up.

    schedule ──► dues (in the store) ──► order, window, budget ──► executor ──► done, or tried again

Everything that must outlive the process is in the store; what is here can be lost at any moment.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from culling_pipeline.day.daybook import DayClock
from jobs.bucket.courier import give_away
from jobs.config.settings import Config
from jobs.config.wall_clock import WallClock, ticker, time_zone
from jobs.database.due_queries import Due
from jobs.database.nights import Night
from jobs.database.store import Store
from jobs.errors import EXIT_INTERRUPTED
from jobs.executors.base import Executor, Outcome, Task
from jobs.service.budget import Budget, Window
from jobs.service.forecast import Forecast, forecast
from jobs.service.notify import Tell
from jobs.service.today import Today

logger = logging.getLogger(__name__)

LOOK_AROUND = timedelta(seconds=15)
BUSY_AGAIN = timedelta(minutes=5)
"""When a camera whose night somebody else runs is asked about again."""
SLOWER_EACH_TIME = 4
EARLY = "drift"
"""Why a night before its time is asked for."""


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
        tell: Tell,
        *,
        now: Callable[[], datetime],
        after_night: Callable[[Night], None] = lambda _: None,
    ) -> None:
        self._config, self._origin, self._store = config, origin, store
        self._executor, self._tell, self._now = executor, tell, now
        self._after_night = after_night
        self._running: dict[int, Due] = {}
        self._looked_at = self._began_at = self._full_until = now()
        self._triggers = {
            name: WallClock(camera.schedule, time_zone(camera.time_zone))
            for name, camera in config.cameras.items()
            if camera.schedule is not None
        }
        settings = config.service
        self._window = Window(settings.window, time_zone(None))
        minutes = settings.budget_minutes
        self._budget = Budget(None if minutes is None else 60 * minutes)
        self._today = Today(config, store, now)
        self._ticker = ticker(self._ask, self._triggers)
        for name in self._triggers:
            self._ask(name)  # what was missed while nobody ran
        self._look_around()

    def tick(self) -> None:
        """Call this about once a second."""
        self._ticker.tick()
        self._look_at_today()
        for outcome in self._executor.finished():
            self._follow_up(outcome)
        if self._now() - self._looked_at >= LOOK_AROUND:
            self._look_around()
        if len(self._running) < self._executor.slots and self._now() >= self._full_until:
            self._begin_some()

    @property
    def running(self) -> list[Due]:
        """What this service has begun."""
        return list(self._running.values())

    def stop(self) -> None:
        """End what runs, for the next service to take up; however it ends, that was no try."""
        self._executor.stop()
        for outcome in self._executor.finished():
            if outcome.error is None:
                self._follow_up(outcome)
        for due_id in list(self._running):
            self._store.dues.put_back(due_id, "interrupted", after=timedelta(0), counts=False)
            del self._running[due_id]
        self._ticker.shutdown()

    # -- asking --------------------------------------------------------------------------------

    def _ask(self, camera: str) -> None:
        """Ask for the camera's latest night that is due; all that were missed come to one."""
        now = self._now()
        last = self._store.dues.last(camera)
        after = self._began_at - timedelta(seconds=1) if last is None else last.due_at
        due_at = self._triggers[camera].last_until(now, after=after)
        if due_at is not None and self._store.dues.ask(camera, due_at):
            logger.info("%s: its night of %s is due", camera, due_at.astimezone())

    def _look_at_today(self) -> None:
        """A live camera whose day has drifted may have a night before its time, once a day."""
        alarm = self._today.alarm()
        if alarm is None:
            return
        camera, drift = alarm
        now = self._now()
        dues, midnight = self._store.dues, DayClock.of(now).midnight
        if any(due.reason == EARLY and due.due_at >= midnight for due in dues.all(camera)):
            return
        self._drifted(camera, drift.reason)
        if not self._config.service.early_nights or camera not in self._triggers:
            return
        give_away(self._config, camera)
        # The hour, so that two services that both see it ask for one night.
        if dues.ask(camera, now.replace(minute=0, second=0, microsecond=0), reason=EARLY):
            logger.info("%s: an early night is due", camera)

    def _drifted(self, camera: str, reason: str) -> None:
        logger.warning("%s: drift: %s", camera, reason)
        self._tell("drift", camera, f"{camera}: its days have changed", reason)

    # -- beginning -----------------------------------------------------------------------------

    def _begin_some(self) -> None:
        opened = self._window.opened(self._now())
        if opened is None:
            return
        waiting = {due.camera: due for due in self._store.dues.waiting()}
        for camera in list(waiting):
            if camera not in self._config.cameras:
                due = waiting.pop(camera)
                self._store.dues.fail(due.id, "no longer in the configuration", night_id=None)
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
        if refused:  # what does not fit into the budget will not do so a second later
            self._full_until = self._now() + LOOK_AROUND

    def _begin(self, due: Due) -> bool:
        if due.attempt >= self._config.service.tries:
            self._give_up(due, due.error or "it was tried too often")
            return False
        if not self._store.dues.claim(due.id):
            return False
        logger.info("%s: its night begins", due.camera)
        self._running[due.id] = due
        task = Task(due.id, due.camera, self._origin.config, dict(self._origin.overrides))
        self._executor.start(task)
        return True

    def _spent(self, opened: datetime, plan: Forecast) -> float:
        """Detector seconds of what was begun in this window, by anybody."""
        begun = self._store.dues.since(opened)
        return sum(plan.cost_of(due.camera) for due in begun)

    # -- following up --------------------------------------------------------------------------

    def _follow_up(self, outcome: Outcome) -> None:
        due = self._running.pop(outcome.due_id)
        dues, settings = self._store.dues, self._config.service
        tries = due.attempt + 1
        if outcome.error is None:
            dues.finish(due.id, night_id=outcome.night_id)
            self._done(due, outcome)
        elif outcome.exit_code == EXIT_INTERRUPTED:
            dues.put_back(due.id, outcome.error, after=timedelta(0), counts=False)
        elif outcome.busy:
            logger.info("%s", outcome.error)
            dues.put_back(due.id, outcome.error, after=BUSY_AGAIN, counts=False)
        elif tries >= settings.tries:
            self._give_up(due, outcome.error, night_id=outcome.night_id)
        else:
            wait_s = settings.retry_after_s * SLOWER_EACH_TIME ** (tries - 1)
            logger.warning("%s: %s; tried again in %.0f s", due.camera, outcome.error, wait_s)
            dues.put_back(due.id, outcome.error, after=timedelta(seconds=wait_s))

    def _give_up(self, due: Due, error: str, *, night_id: int | None = None) -> None:
        self._store.dues.fail(due.id, error, night_id=night_id)
        logger.warning("%s: %s; not tried again before its next night", due.camera, error)
        self._tell("failed", due.camera, f"{due.camera}: its night failed", error)

    def _done(self, due: Due, outcome: Outcome) -> None:
        self._tell.is_over("failed", due.camera)
        if outcome.night_id is None:
            return
        night = self._store.night(outcome.night_id)
        figures = night.figures
        if night.unusable is not None:
            logger.warning("%s: not trained: %s", due.camera, night.unusable)
            title = f"{due.camera}: not trained, somebody has to look at the camera"
            self._tell("moved", due.camera, title, night.unusable, once=True)
        if figures is not None:
            words = f"{figures.metric} {figures.score_before:.3f} → {figures.score_after:.3f}"
            logger.info("%s: its night is done, %s", due.camera, words)
            self._tell.is_over("moved", due.camera)
            if figures.promoted:
                self._tell("promoted", due.camera, f"{due.camera}: a better student", words)
            if figures.drift is not None:
                self._drifted(due.camera, figures.drift)
        self._after_night(night)

    def _look_around(self) -> None:
        """Leases, nights of dead services, nights that somebody else has run."""
        self._looked_at = self._now()
        self._store.dues.renew(list(self._running))
        for due in self._store.dues.take_up_lost():
            logger.warning("%s: %s; its night is taken up", due.camera, due.error)
        for due in self._store.dues.made_by_others():
            logger.info("%s: its night was run by somebody else", due.camera)
