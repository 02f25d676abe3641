"""Runs one camera's night, or its group's, in the process that an executor started for it."""

from __future__ import annotations

import errno
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from culling_pipeline.run.progress import Advance
from jobs.config.load import load_config
from jobs.database.claims import BusyError
from jobs.database.connection import StoreError
from jobs.database.store import open_store
from jobs.errors import UsageError, describe, disk_cause, exit_code, is_expected
from jobs.executors.base import Outcome, Task
from jobs.logs import log_to_stderr
from jobs.nights.night_of import night_of
from jobs.private import write_for_user_only

logger = logging.getLogger(__name__)

DISK_AWAY = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
"""The disk is full, or read-only."""


class LogProgress:
    """Logs a line when a stage ends."""

    def __init__(self, camera: str) -> None:
        self._camera = camera

    @contextmanager
    def stage(self, name: str, total: int | None = None) -> Iterator[Advance]:
        """Time one stage."""
        began_s = time.monotonic()
        yield lambda _: None
        logger.info("%s: %s: %.0f s", self._camera, name, time.monotonic() - began_s)

    def note(self, text: str) -> None:
        """Log one line."""
        logger.info("%s: %s", self._camera, text)


def log_nights(*, as_json: bool = False) -> None:
    """Set up a process that runs nights like the service's: its log is on stderr, without
    passwords, and its files are for its user only."""
    write_for_user_only()
    log_to_stderr(as_json=as_json, times=True)
    logging.getLogger("jobs").setLevel(logging.INFO)


def run_task(task: Task) -> Outcome:
    """Run the night and return how it ended; only an interruption is raised."""
    night = None
    try:
        config = load_config(task.config, overrides=task.overrides)
        if task.camera not in config.cameras:
            message = f"{task.config}: camera {task.camera!r} is no longer in it"
            raise UsageError(message)
        with open_store(config) as store:
            try:
                night_of(config, task.camera).run(store=store, progress=LogProgress(task.camera))
            finally:
                night = store.latest_night(task.camera)
    except Exception as error:  # the boundary: the service goes on
        if not is_expected(error):
            logger.warning("%s: its night failed", task.camera, exc_info=error)
        ours = night is not None and night.pid == os.getpid()
        return Outcome(
            task.due_id,
            night_id=night.id if night is not None and ours else None,
            error=describe(error),
            exit_code=exit_code(error),
            busy=isinstance(error, BusyError),
            away=_is_away(error),
        )
    return Outcome(task.due_id, night_id=None if night is None else night.id)


def _is_away(error: BaseException) -> bool:
    """Whether the night could not be run, or not go on, through no fault of its own."""
    return isinstance(error, StoreError) or disk_cause(error, *DISK_AWAY) is not None
