"""`culling ingest`: watch cameras, score their frames, keep what a night may need.

    cameras, a thread each ──► inbox ──► gate ──► batches over all cameras ──► each camera's day

Only reading and scoring have other threads; one thread does all the rest, so nothing needs a lock.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

import torch

from jobs.bucket.courier import Courier
from jobs.cameras.detectors import pick_device
from jobs.config.settings import CameraConfig, Config
from jobs.database.connection import StoreError
from jobs.database.store import Store
from jobs.disk.budget import GB, DiskBudget, FreeSpace
from jobs.errors import describe
from jobs.watch.feed import Feed, Waiting
from jobs.watch.scoring import Scorer, Students
from jobs.watch.watching import Inbox, Watcher
from streams.base import Frame

logger = logging.getLogger(__name__)

TICK_S = 1.0
RENEW_S = 30.0
DISK_S = 60.0
STOP_S = 5.0
"""How long to wait for the cameras' threads at the end."""


class CameraWatch:
    """Watches these cameras until all have ended, `for_s` is over or it is interrupted."""

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
        self._inbox: Inbox = queue.Queue(maxsize=max(8, 2 * len(cameras)))
        self.feeds = {c.name: Feed(config, c, self._students, self._free_space) for c in cameras}
        self.watchers = {c.name: Watcher(c, self._inbox, limit=frames) for c in cameras}
        self._courier = Courier(config, [c.name for c in cameras], store)
        self._due_s: dict[str, float] = {}
        self._told = False
        self._stopped_at = datetime.now(UTC)
        self._stop = threading.Event()

    def stop(self) -> None:
        """End `run` soon, from another thread."""
        self._stop.set()

    def run(self) -> None:
        """Watch; every frame seen is on disk when this returns, also after Ctrl-C."""
        torch.set_num_threads(1)
        self._courier.start()
        with ExitStack() as at_the_end:
            at_the_end.callback(self._courier.close)
            at_the_end.callback(self._close_days)
            at_the_end.callback(self._settle_all)
            at_the_end.callback(self._stop_watchers)
            for watcher in self.watchers.values():
                watcher.start()
            began_s = time.monotonic()
            while self._goes_on(began_s):
                self._take_some()
                self._hand_out(self._scorer.collect())
                self._look_around()

    def _goes_on(self, began_s: float) -> bool:
        if self._stop.is_set():
            return False
        if self._for_s is not None and time.monotonic() - began_s >= self._for_s:
            return False
        ended = all(watcher.ended for watcher in self.watchers.values())
        return not ended or not self._inbox.empty()

    def _take_some(self) -> None:
        """Take the frames that have arrived, as many as can be scored soon; wait briefly for the
        first."""
        wait_s: float | None = 0.1
        while not self._scorer.is_full:
            try:
                frame = self._inbox.get(timeout=wait_s) if wait_s else self._inbox.get_nowait()
            except queue.Empty:
                return
            wait_s = None
            self._take(frame)
        self._scorer.wait()

    def _take(self, frame: Frame) -> None:
        feed = self.feeds[frame.camera]
        if not self.watchers[frame.camera].is_live and feed.has_seen(frame):
            return
        while feed.is_full:
            self._scorer.wait()
            self._hand_out(self._scorer.collect(flush=True))
        waiting = feed.arrive(frame)
        if waiting.decision.score:
            self._scorer.add(waiting.student, frame.image, waiting)
        else:
            feed.settle()

    def _hand_out(self, results: Sequence[Any]) -> None:
        for scored in results:
            scored.ticket.scored = scored
        for feed in {id(s.ticket.feed): s.ticket.feed for s in results}.values():
            feed.settle()

    def _look_around(self) -> None:
        """Do what is due now and then."""
        if self._is_due("tick", TICK_S):
            for name, feed in self.feeds.items():
                feed.tick(self.watchers[name].condition)
        if self._is_due("renew", RENEW_S):
            for feed in self.feeds.values():
                feed.renew_student()
            in_use = {feed.student.kind for feed in self.feeds.values() if feed.student}
            self._students.keep_only(in_use)
        if self._is_due("disk", DISK_S):
            self._make_room()

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
        for name, feed in self.feeds.items():  # before stopping changes their conditions
            feed.tick(self.watchers[name].condition)
        for watcher in self.watchers.values():
            watcher.stop()
        deadline_s = time.monotonic() + STOP_S
        for watcher in self.watchers.values():
            watcher.join(max(0.0, deadline_s - time.monotonic()))

    def _settle_all(self) -> None:
        while not self._inbox.empty():
            self._take(self._inbox.get_nowait())
        self._hand_out(self._scorer.collect(flush=True))

    def _close_days(self) -> None:
        self._scorer.close()
        for feed in self.feeds.values():
            feed.close(self._stopped_at)
