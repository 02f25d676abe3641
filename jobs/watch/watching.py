"""Reads one camera in a thread of its own and hands its frames to the inbox."""

from __future__ import annotations

import logging
import queue
import threading
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from jobs.cameras.sources import open_camera
from jobs.config.settings import CameraConfig
from jobs.errors import describe
from streams.base import Frame, FrameSource
from streams.live.outlet import LiveCounts
from streams.live.source import LiveSource
from streams.mask import MaskedSource
from streams.sampler import Sampler

logger = logging.getLogger(__name__)

Inbox = queue.Queue["Frame"]


@dataclass(frozen=True, slots=True)
class Condition:
    """The state of a camera (of `streams.live.health`, or `jobs.watch.halted`), since when, why,
    and what it has counted."""

    state: str
    since: datetime
    reason: str
    counts: LiveCounts


class Watcher(threading.Thread):
    """Reads a camera until it ends, `limit` frames have come, or it is stopped.

    It waits while the inbox is full: a recording is read as fast as it is scored; a live source
    drops frames meanwhile and counts them.
    """

    def __init__(self, camera: CameraConfig, inbox: Inbox, *, limit: int | None) -> None:
        super().__init__(name=f"watch-{camera.name}", daemon=True)
        self.camera = camera
        self.error: Exception | None = None
        self.halted: Condition | None = None
        self.ended = False
        self._inbox, self._limit = inbox, limit
        self._stopping = threading.Event()
        self._source: FrameSource | None = None

    def run(self) -> None:
        try:
            live = self.camera.live.to_options(must_answer=False)
            with open_camera(self.camera, live=live) as source:
                self._source = source
                self._read(source)
        except Exception as error:  # the thread's boundary: one camera must not stop the others
            if not self._stopping.is_set():
                logger.warning("%s", describe(error))
                self.error = error
        finally:
            self.ended = True

    def _read(self, source: FrameSource) -> None:
        frames = source.frames(Sampler(self.camera.sample_interval_s))
        for frame in islice(frames, self._limit):
            if not self._hand_over(frame):
                return

    def _hand_over(self, frame: Frame) -> bool:
        while not self._stopping.is_set():
            try:
                self._inbox.put(frame, timeout=0.2)
            except queue.Full:
                continue
            return True
        return False

    def stop(self) -> None:
        """Stop soon; the threads of the source end with their reads."""
        self._stopping.set()
        live = self._live_source
        if live is not None:
            threading.Thread(target=live.close, daemon=True).start()

    @property
    def is_live(self) -> bool:
        """Whether this is a live camera; known once the source is open."""
        return self._live_source is not None

    @property
    def condition(self) -> Condition | None:
        """The state of a live camera; None for a recording, or before the source is open. Of one
        that is halted, or is being tried again, it is that."""
        if self.halted is not None:
            return self.halted
        live = self._live_source
        if live is None:
            return None
        health = live.health
        return Condition(health.state.value, health.since, health.reason, live.counts)

    @property
    def _live_source(self) -> LiveSource | None:
        source = self._source
        inner = source.source if isinstance(source, MaskedSource) else source
        return inner if isinstance(inner, LiveSource) else None
