"""The day of one camera that is being written: begun with its first frame, ended at midnight."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from culling_pipeline.day.daybook import DayClock
from culling_pipeline.day.watched_day import DayInUseError, DayWriter
from jobs.cameras.day_plan import ingest_plan
from jobs.config.settings import CameraConfig, Config
from jobs.disk.budget import FreeSpace
from jobs.errors import UsageError
from jobs.watch.gating import Gating
from jobs.watch.watching import Condition
from models.base import Model, backend_of, device_of

logger = logging.getLogger(__name__)

STRAGGLING = timedelta(minutes=1)
"""How late a frame may reach its day. After midnight, the day before is not opened again for it."""


@dataclass(slots=True)
class Tally:
    """What has happened since `culling ingest` was started."""

    seen: int = 0
    scored: int = 0
    dropped: int = 0
    paused: int = 0


class CurrentDay:
    """Opens the day that a frame belongs to, and notes in its daybook what happens beside frames.
    `writer` is None before the first frame, and while the disk cannot be written."""

    def __init__(
        self,
        config: Config,
        camera: CameraConfig,
        gating: Gating,
        free_space: FreeSpace,
        tally: Tally,
    ) -> None:
        self._config, self._camera, self._plan = config, camera, ingest_plan(camera)
        self._gating, self._free_space, self._tally = gating, free_space, tally
        self.writer: DayWriter | None = None
        self._unwritten_paused = 0
        self._condition: Condition | None = None
        self._means: tuple[DayWriter, str, str] | None = None

    def of(self, moment: datetime) -> DayWriter:
        """The day of this moment, begun or taken up again."""
        clock = DayClock.of(moment)
        if self.writer is not None and self.writer.clock.day != clock.day:
            if timedelta(0) < self.writer.clock.midnight - moment < STRAGGLING:
                return self.writer
            self.end(moment)
        if self.writer is None:
            folder = self._config.day_dir(self._camera.name, clock.day)
            try:
                self.writer = DayWriter(folder, self._plan, clock=clock)
            except DayInUseError as error:
                message = f"camera {self._camera.name!r}: {error}"
                raise UsageError(message) from error
            self.writer.note("start", moment)
            self._condition = None  # so that it is noted in this day as well
        return self.writer

    def fail(self, error: OSError) -> None:
        """The disk could not be written or read: store nothing until it can."""
        logger.warning("camera %s: its day could not be written: %s", self._camera.name, error)
        self._free_space.hit()
        self._drop()

    def _drop(self) -> None:
        """Forget a day that may differ from the disk: it is read again when there is space."""
        if self.writer is not None:
            try:
                self.writer.close()
            except OSError:
                logger.debug("camera %s: its day could not be closed", self._camera.name)
            self.writer = None

    def end(self, moment: datetime) -> None:
        """Close the day; everything settled is on disk."""
        if self.writer is None:
            return
        try:
            self.note_paused(self.writer, moment)
            self._note_gate(moment)
            self.writer.note("stop", moment)
        except OSError:
            self._free_space.hit()
        finally:  # whatever happens: an open day is locked
            self._drop()

    def _note_gate(self, moment: datetime) -> None:
        done = self._gating.record
        if self.writer is not None and done is not None:
            self.writer.note("gate", moment, gate=done.model_dump())
            self._gating.save(self.writer.folder)

    def note_condition(self, condition: Condition, now: datetime) -> None:
        """Note the state of a live camera if it has changed."""
        if not self._free_space.may_write:
            return
        try:
            # Just after midnight, frames of the day before may still be on their way.
            day = self.writer
            if day is None or now - DayClock.of(now).midnight > STRAGGLING:
                day = self.of(now)
            self._note_condition(day, condition, now)
            self.note_paused(day, now)
        except OSError as error:
            self.fail(error)

    def _note_condition(self, day: DayWriter, condition: Condition, now: datetime) -> None:
        known = self._condition
        if known is None or condition.state != known.state:
            since = now if known is None else condition.since
            day.note("state", since, state=condition.state, why=condition.reason)
        dropped = condition.counts.dropped - self._tally.dropped
        if dropped:
            day.note("dropped", now, count=dropped)
            self._tally.dropped = condition.counts.dropped
        self._condition = condition

    def pause(self) -> None:
        """Count a frame that cannot be stored."""
        self._tally.paused += 1
        self._unwritten_paused += 1

    def note_paused(self, day: DayWriter, moment: datetime) -> None:
        """Note the frames that were not stored before this moment."""
        if self._unwritten_paused:
            day.note("paused", moment, count=self._unwritten_paused)
            self._unwritten_paused = 0

    def note_student(self, day: DayWriter, detector: Model, moment: datetime) -> None:
        """Note the student's device and backend, for the ledger, if they or the day have
        changed."""
        means = (day, device_of(detector), backend_of(detector))
        if means != self._means:
            day.note("student", moment, device=means[1], backend=means[2])
            self._means = means
