"""One camera's part of `culling ingest`: from its frames to its day on disk."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from culling_pipeline.day.daybook import DayClock
from culling_pipeline.day.watched_day import DayInUseError, DayWriter
from culling_pipeline.gate.gate import Decision
from jobs.cameras.day_plan import ingest_plan
from jobs.cameras.detectors import ensure_incumbent, full_size, pick_device
from jobs.config.settings import CameraConfig, Config
from jobs.disk.budget import Floor
from jobs.errors import UsageError
from jobs.watch.gating import LAG_FRAMES, Gating
from jobs.watch.scoring import Scored, Student, Students
from jobs.watch.watching import Condition
from models.base import backend_of, device_of
from models.registry import ModelRegistry
from streams.base import Frame
from streams.one_size import fitted

logger = logging.getLogger(__name__)

STRAGGLING = timedelta(minutes=1)
"""A frame may reach its day so late: after midnight the day before is not taken up again for it."""


@dataclass(slots=True)
class Waiting:
    """A frame on its way: what the gate decided and, once it is known, what the student found."""

    frame: Frame
    decision: Decision
    student: Student
    scored: Scored[Waiting] | None = None
    feed: Feed | None = None


@dataclass(slots=True)
class Tally:
    """What has happened since `culling ingest` was started."""

    seen: int = 0
    scored: int = 0
    dropped: int = 0
    paused: int = 0


class Feed:
    """Frames come in by `arrive`, leave by `settle` in the same order, and lie in `day` then."""

    def __init__(
        self,
        config: Config,
        camera: CameraConfig,
        students: Students,
        floor: Floor,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.config, self.camera = config, camera
        self.plan = ingest_plan(camera)
        self.tally = Tally()
        self.day: DayWriter | None = None
        self.student: Student | None = None
        self._students, self._floor, self._now = students, floor, now
        self._registry = ModelRegistry(config.models_root)
        self._gating = Gating(config, camera, self.plan)
        self._waiting: deque[Waiting] = deque()
        self._last = self.plan.task.nothing
        self._unwritten_paused = 0
        self._condition: Condition | None = None
        self._means: tuple[DayWriter, str, str] | None = None

    # -- frames --------------------------------------------------------------------------------

    @property
    def is_full(self) -> bool:
        """Whether frames have to be settled before more may arrive."""
        return len(self._waiting) >= LAG_FRAMES

    def has_seen(self, frame: Frame) -> bool:
        """Whether a frame of a recording is in the daybook already, from a watching before."""
        if not self._floor.may_write:
            return False
        try:
            last = self._day_of(frame.wall_time).last
        except OSError as error:
            self._cannot_write(error)
            return False
        return last is not None and frame.wall_time <= last

    def arrive(self, frame: Frame) -> Waiting:
        """Take a frame in; whether it is to be scored is its `decision.score`."""
        frame = self._of_the_days_size(frame)
        if self.student is None:
            self.student = self._open_student(frame)
        decision = self._gating.decide(frame, self.student.version)
        waiting = Waiting(frame, decision, self.student, feed=self)
        self._waiting.append(waiting)
        return waiting

    def _of_the_days_size(self, frame: Frame) -> Frame:
        """A camera may change its size in mid-day (night mode): it is the same view, and goes on in
        the size the day began with. One that is too small for that is seen, but of no use."""
        shape = None if self.day is None else self.day.day.shape
        return frame if shape is None else fitted(frame, shape) or frame

    def settle(self) -> None:
        """Note all frames, in order, up to the first that is not scored yet."""
        while self._waiting:
            first = self._waiting[0]
            if first.decision.score and first.scored is None:
                return
            self._waiting.popleft()
            seconds, inherited = 0.0, self._last
            if first.scored is not None:
                shape = first.frame.image.shape[:2]
                self._last = self.plan.task.outside_zones(first.scored.found, *shape)
                seconds = first.scored.seconds
            self._gating.settle(
                first.frame, first.student.version, first.decision, self._last, inherited
            )
            self._store(first, seconds)

    def _store(self, done: Waiting, seconds: float) -> None:
        self.tally.seen += 1
        self.tally.scored += done.decision.score
        if not self._floor.may_write:
            self._pause()
            return
        try:
            day = self._day_of(done.frame.wall_time)
            self._note_paused(day, done.frame.wall_time)
            self._note_means(day, done)
            day.take(
                done.frame,
                self._last,
                scored=done.decision.score,
                model=done.student.version,
                seconds=seconds,
            )
            self._gating.count(done.decision, day.clock.day, day.folder)
        except OSError as error:
            self._cannot_write(error)
            self._pause()

    def _pause(self) -> None:
        self.tally.paused += 1
        self._unwritten_paused += 1

    def _note_means(self, day: DayWriter, done: Waiting) -> None:
        """What the student runs on and by, for the ledger: where it is new, or the day is."""
        detector = done.student.detector
        means = (day, device_of(detector), backend_of(detector))
        if means != self._means:
            day.note("student", done.frame.wall_time, device=means[1], backend=means[2])
            self._means = means

    def _note_paused(self, day: DayWriter, moment: datetime) -> None:
        if self._unwritten_paused:
            day.note("paused", moment, count=self._unwritten_paused)
            self._unwritten_paused = 0

    # -- the student ---------------------------------------------------------------------------

    def _open_student(self, frame: Frame) -> Student:
        camera = self.camera
        size = full_size(*frame.image.shape[:2], max_side_px=camera.student.max_side_px)
        device = pick_device(self.config.device)
        folder = ensure_incumbent(self._registry, camera, size=size, device=device)
        return self._students.open(folder, self.plan.task, self.camera.student.backend)

    def renew_student(self) -> None:
        """Go on with the incumbent, should a night have promoted another."""
        version = self._registry.incumbent(self.camera.name)
        if self.student is None or version in (None, self.student.version):
            return
        assert version is not None
        folder = self._registry.path(self.camera.name, version)
        self.student = self._students.open(folder, self.plan.task, self.camera.student.backend)
        logger.info("camera %s: scored by %s from now on", self.camera.name, version)

    # -- the day -------------------------------------------------------------------------------

    def _day_of(self, moment: datetime) -> DayWriter:
        """The day of this moment, begun or taken up again."""
        clock = DayClock.of(moment)
        if self.day is not None and self.day.clock.day != clock.day:
            if timedelta(0) < self.day.clock.midnight - moment < STRAGGLING:
                return self.day
            self._end_day(moment)
        if self.day is None:
            folder = self.config.day_dir(self.camera.name, clock.day)
            try:
                self.day = DayWriter(folder, self.plan, clock=clock)
            except DayInUseError as error:
                message = f"camera {self.camera.name!r}: {error}"
                raise UsageError(message) from error
            self.day.note("start", moment)
            self._condition = None  # to be noted in this day as well
        return self.day

    def _cannot_write(self, error: OSError) -> None:
        logger.warning("camera %s: its day could not be written: %s", self.camera.name, error)
        self._floor.hit()
        self._drop_day()

    def _drop_day(self) -> None:
        """Out of step with the disk: it is read again when there is room."""
        if self.day is not None:
            try:
                self.day.close()
            except OSError:
                logger.debug("camera %s: its day could not be closed", self.camera.name)
            self.day = None

    def _end_day(self, moment: datetime) -> None:
        if self.day is None:
            return
        try:
            self._note_paused(self.day, moment)
            self._note_gate(moment)
            self.day.note("stop", moment)
        except OSError:
            self._floor.hit()
        self._drop_day()

    def _note_gate(self, moment: datetime) -> None:
        done = self._gating.record
        if self.day is not None and done is not None:
            self.day.note("gate", moment, gate=done.model_dump())
            self._gating.save(self.day.folder)

    def tick(self, condition: Condition | None) -> None:
        """Write down how a live camera is, where that is new."""
        if condition is None or not self._floor.may_write:
            return
        now = self._now()
        try:
            # Just after midnight, frames of the day before may still be on their way.
            day = self.day
            if day is None or now - DayClock.of(now).midnight > STRAGGLING:
                day = self._day_of(now)
            self._note_condition(day, condition, now)
            self._note_paused(day, now)
        except OSError as error:
            self._cannot_write(error)

    def _note_condition(self, day: DayWriter, condition: Condition, now: datetime) -> None:
        known = self._condition
        if known is None or condition.state != known.state:
            since = now if known is None else condition.since
            day.note("state", since, state=condition.state, why=condition.reason)
        dropped = condition.counts.dropped - self.tally.dropped
        if dropped:
            day.note("dropped", now, count=dropped)
            self.tally.dropped = condition.counts.dropped
        self._condition = condition

    def close(self, moment: datetime) -> None:
        """Everything settled is on disk."""
        self._end_day(moment)
