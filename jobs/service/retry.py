"""What follows when a camera's night has ended: it is done, tried again later, or given up."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta

from jobs.config.service import ServiceSettings
from jobs.database.due_queries import Due
from jobs.database.nights import Night
from jobs.database.store import Store
from jobs.errors import EXIT_INTERRUPTED
from jobs.executors.base import Outcome
from jobs.service.due_nights import report_drift
from jobs.service.notify import Notifier

logger = logging.getLogger(__name__)

BUSY_AGAIN = timedelta(minutes=5)
"""How long until a camera is tried again whose night another process runs."""
AWAY_AGAIN = timedelta(minutes=1)
"""How long until a night is tried again that lost its database or its disk."""
SLOWER_EACH_TIME = 4
"""The wait before a retry grows by this factor each time."""


class FollowUp:
    """Notes how nights ended in the store, and sends the notices."""

    def __init__(
        self,
        settings: ServiceSettings,
        store: Store,
        notify: Notifier,
        after_night: Callable[[Night], None],
    ) -> None:
        self._settings, self._store, self._notify = settings, store, notify
        self._after_night = after_night

    def follow_up(self, due: Due, outcome: Outcome) -> None:
        """Close a night that has ended, or put it back to be tried again."""
        dues, settings = self._store.dues, self._settings
        tries = due.attempt + 1
        if outcome.error is None:
            dues.finish(due.id, night_id=outcome.night_id)
            self._done(due, outcome)
        elif outcome.exit_code == EXIT_INTERRUPTED:
            dues.put_back(due.id, outcome.error, after=timedelta(0), counts=False)
        elif outcome.busy:
            dues.put_back(due.id, outcome.error, after=BUSY_AGAIN, counts=False)
            logger.info("%s", outcome.error)
        elif outcome.away:
            self._wait(due, outcome.error)
        elif tries >= settings.tries:
            self.give_up(due, outcome.error, night_id=outcome.night_id)
        else:
            wait_s = settings.retry_after_s * SLOWER_EACH_TIME ** (tries - 1)
            dues.put_back(due.id, outcome.error, after=timedelta(seconds=wait_s))
            logger.warning("%s: %s; tried again in %.0f s", due.camera, outcome.error, wait_s)

    def _wait(self, due: Due, error: str) -> None:
        """The night waits for its database or its disk, however long: this is no try. People are
        told when it waits again."""
        self._store.dues.put_back(due.id, error, after=AWAY_AGAIN, counts=False)
        logger.warning("%s: %s; its night waits for it", due.camera, error)
        if due.error is not None:
            self._notify("failed", due.camera, f"{due.camera}: its night waits", error)

    def give_up(self, due: Due, error: str, *, night_id: int | None = None) -> None:
        """Close a night as failed: it is not tried again."""
        self._store.dues.fail(due.id, error, night_id=night_id)
        logger.warning("%s: %s; not tried again before its next night", due.camera, error)
        self._notify("failed", due.camera, f"{due.camera}: its night failed", error)

    def _done(self, due: Due, outcome: Outcome) -> None:
        self._notify.is_over("failed", due.camera)
        if outcome.night_id is None:
            return
        night = self._store.night(outcome.night_id)
        figures = night.figures
        if night.unusable is not None:
            logger.warning("%s: not trained: %s", due.camera, night.unusable)
            title = f"{due.camera}: not trained, somebody has to look at the camera"
            self._notify("moved", due.camera, title, night.unusable, once=True)
        if figures is not None:
            words = f"{figures.metric} {figures.score_before:.3f} → {figures.score_after:.3f}"
            logger.info("%s: its night is done, %s", due.camera, words)
            self._notify.is_over("moved", due.camera)
            if figures.promoted:
                self._notify("promoted", due.camera, f"{due.camera}: a better student", words)
            if figures.drift is not None:
                report_drift(self._notify, due.camera, figures.drift)
        self._after_night(night)
