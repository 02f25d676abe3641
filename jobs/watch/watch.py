"""`culling ingest`: watch cameras, score their frames, keep what a night may need.

    cameras, a thread each ──► inbox ──► gate ──► batches over all cameras ──► each camera's day

Only reading and scoring have other threads; one thread does all the rest, so nothing needs a lock.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime

import torch

from jobs.bucket.courier import Courier
from jobs.cameras.detectors import pick_device
from jobs.config.settings import CameraConfig, Config
from jobs.database.connection import StoreError
from jobs.database.store import Store
from jobs.disk.budget import DiskBudget, FreeSpace
from jobs.disk.use import GB
from jobs.errors import describe
from jobs.watch.feed import Feed, Waiting
from jobs.watch.intake import Intake
from jobs.watch.lineup import Lineup
from jobs.watch.scoring import Scorer, Students
from jobs.watch.watching import Inbox, Watcher

logger = logging.getLogger(__name__)

TICK_S = 1.0
RENEW_S = 30.0
DISK_S = 60.0


class CameraWatch:
    """Watches these cameras until all have ended, `for_s` is over or it is interrupted. Others may
    be taken up on the way."""

    def __init__(
        self,
        config: Config,
        cameras: Sequence[CameraConfig],
        store: Store,
        *,
        for_s: float | None = None,
        frames: int | None = None,
    ) -> None:
        self._for_s = for_s
        device = pick_device(config.device)
        self._students = Students(device)
        self._scorer: Scorer[Waiting] = Scorer(1 if device == "cuda" else config.workers)
        self._free_space = FreeSpace(config.data_dir, config.disk.min_free_gb * GB)
        self._store = store
        self._disk_budget = DiskBudget(config, store, self._free_space)
        self._inbox: Inbox = queue.Queue(maxsize=_room(cameras))
        self._config = config
        self._lineup = Lineup(self._make_feed, lambda c: Watcher(c, self._inbox, limit=frames))
        self._lineup.begin(cameras)
        self._intake = Intake(self._inbox, self._lineup, self._scorer)
        self._wanted: tuple[Config, Sequence[CameraConfig]] | None = None
        self._courier = Courier(config, [c.name for c in cameras], store)
        self._due_s: dict[str, float] = {}
        self._told = False
        self._stopped_at = datetime.now(UTC)
        self._stop = threading.Event()

    @property
    def feeds(self) -> Mapping[str, Feed]:
        """By the names of the cameras that are watched now."""
        return self._lineup.feeds

    @property
    def watchers(self) -> Mapping[str, Watcher]:
        """The same."""
        return self._lineup.watchers

    def take_up(self, config: Config, cameras: Sequence[CameraConfig]) -> None:
        """Watch these cameras from now on, from another thread. Those that have not changed are
        watched on."""
        self._wanted = config, cameras

    def stop(self) -> None:
        """End `run` soon, from another thread."""
        self._stop.set()

    def run(self, *, ends: bool = True) -> None:
        """Watch; every frame seen is on disk when this returns, also after Ctrl-C. Unless it
        `ends`, it goes on when all cameras are halted, until they can be watched again."""
        torch.set_num_threads(1)
        self._courier.start()
        with ExitStack() as at_the_end:
            at_the_end.callback(self._courier.close)
            at_the_end.callback(self._close_days)
            at_the_end.callback(self._intake.settle_all)
            at_the_end.callback(self._stop_watchers)
            self._lineup.start()
            began_s = time.monotonic()
            while self._goes_on(began_s, ends=ends):
                self._intake.take_some()
                self._intake.hand_out()
                self._look_around()

    def _goes_on(self, began_s: float, *, ends: bool) -> bool:
        if self._stop.is_set():
            return False
        if self._for_s is not None and time.monotonic() - began_s >= self._for_s:
            return False
        if not ends and self._lineup.has_halted:
            return True
        return not (self._lineup.is_over and self._intake.is_empty and self._wanted is None)

    def _look_around(self) -> None:
        """Do what is due now and then."""
        if self._is_due("tick", TICK_S):
            self._change()
            self._lineup.tick()
        if self._is_due("renew", RENEW_S):
            for feed in self.feeds.values():
                feed.renew_student()
            in_use = {feed.student.kind for feed in self.feeds.values() if feed.student}
            self._students.keep_only(in_use)
        if self._is_due("disk", DISK_S):
            self._make_room()

    def _change(self) -> None:
        """Take up other cameras, if there are any, and end those that are to go."""
        wanted, self._wanted = self._wanted, None
        if wanted is not None:
            self._config, cameras = wanted
            self._inbox.maxsize = _room(cameras)
            self._disk_budget = DiskBudget(self._config, self._store, self._free_space)
            self._courier.visit(self._config, [camera.name for camera in cameras])
            self._lineup.change_to(cameras)
        self._lineup.let_go(self._intake.settle_arrived)

    def _make_feed(self, camera: CameraConfig) -> Feed:
        return Feed(self._config, camera, self._students, self._free_space)

    def _make_room(self) -> None:
        open_days = {n: f.day for n, f in self.feeds.items() if f.day is not None}
        try:
            self._store.database.make_ready()
            self._disk_budget.enforce(open_days)
        except (StoreError, OSError) as error:  # which days are done is not known now
            if not self._told:
                logger.warning("%s: nothing is deleted to make room now", describe(error))
            self._told = True
        else:
            self._told = False

    def _is_due(self, what: str, every_s: float) -> bool:
        now_s = time.monotonic()
        if now_s < self._due_s.get(what, float("-inf")):
            return False
        self._due_s[what] = now_s + every_s
        return True

    def _stop_watchers(self) -> None:
        self._stopped_at = datetime.now(UTC)
        self._lineup.stop()

    def _close_days(self) -> None:
        self._scorer.close()
        self._lineup.close(self._stopped_at)


def _room(cameras: Sequence[CameraConfig]) -> int:
    """How many frames may wait."""
    return max(8, 2 * len(cameras))
