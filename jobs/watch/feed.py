"""One camera's frames in `culling ingest`: gated, scored and written to its day."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from culling_pipeline.day.watched_day import DayWriter
from culling_pipeline.gate.gate import Decision
from jobs.cameras.day_plan import ingest_plan
from jobs.cameras.detectors import full_size, pick_device
from jobs.cameras.incumbent import ensure_incumbent
from jobs.config.settings import CameraConfig, Config
from jobs.disk.budget import FreeSpace
from jobs.errors import describe
from jobs.watch.current_day import CurrentDay, Tally
from jobs.watch.gating import LAG_FRAMES, Gating
from jobs.watch.scoring import Scored, Student, Students
from jobs.watch.watching import Condition
from models.registry import ModelRegistry
from streams.base import Frame
from streams.one_size import fitted

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Waiting:
    """A frame on its way: the decision of the gate and, once it is scored, what the student
    found."""

    frame: Frame
    decision: Decision
    student: Student
    scored: Scored[Waiting] | None = None
    feed: Feed | None = None


class Feed:
    """Takes frames in by `arrive`, and writes them to `day` in the same order by `settle`."""

    def __init__(
        self,
        config: Config,
        camera: CameraConfig,
        students: Students,
        free_space: FreeSpace,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.config, self.camera = config, camera
        self.plan = ingest_plan(camera)
        self.tally = Tally()
        self.student: Student | None = None
        self.is_halted = False
        self._refused = ""
        self._students, self._free_space, self._now = students, free_space, now
        self._registry = ModelRegistry(config.models_root)
        self._gating = Gating(config, camera, self.plan)
        self._current = CurrentDay(config, camera, self._gating, free_space, self.tally)
        self._waiting: deque[Waiting] = deque()
        self._last = self.plan.task.nothing

    @property
    def is_full(self) -> bool:
        """Whether frames must be settled before more may arrive."""
        return len(self._waiting) >= LAG_FRAMES

    def has_seen(self, frame: Frame) -> bool:
        """Whether a frame of a recording is in the daybook already, from an earlier run."""
        if not self._free_space.may_write:
            return False
        try:
            last = self._current.of(frame.wall_time).last
        except OSError as error:
            self._current.fail(error)
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

    @property
    def amount(self) -> float | None:
        """The latest count of a camera that counts; None for others."""
        return self.plan.task.amount(self._last) if self.tally.seen else None

    def settle(self) -> None:
        """Write all frames to the day, in order, up to the first that is not scored yet."""
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
        if not self._free_space.may_write:
            self._current.pause()
            return
        try:
            day = self._current.of(done.frame.wall_time)
            self._current.note_paused(day, done.frame.wall_time)
            self._current.note_student(day, done.student.detector, done.frame.wall_time)
            day.take(
                done.frame,
                self._last,
                scored=done.decision.score,
                model=done.student.version,
                seconds=seconds,
            )
            self._gating.count(done.decision, day.clock.day, day.folder)
        except OSError as error:
            self._current.fail(error)
            self._current.pause()

    # -- the student ---------------------------------------------------------------------------

    def _open_student(self, frame: Frame) -> Student:
        camera = self.camera
        size = full_size(*frame.image.shape[:2], max_side_px=camera.student.max_side_px)
        device = pick_device(self.config.device)
        folder = ensure_incumbent(self._registry, camera, size=size, device=device)
        return self._students.open(folder, self.plan.task)

    def renew_student(self) -> None:
        """Switch to the incumbent if a night has promoted another. While that one cannot be opened,
        the old one goes on."""
        if self.student is None:
            return
        try:
            self._switch(self.student.version)
        except Exception as error:  # whatever it is: one camera must not stop the others
            said = describe(error)
            if said != self._refused:
                logger.warning("camera %s: its old student goes on: %s", self.camera.name, said)
            self._refused = said

    def _switch(self, current: str) -> None:
        version = self._registry.incumbent(self.camera.name)
        if version is None or version == current:
            return
        folder = self._registry.path(self.camera.name, version)
        self.student, self._refused = self._students.open(folder, self.plan.task), ""
        logger.info("camera %s: scored by %s from now on", self.camera.name, version)

    @property
    def day(self) -> DayWriter | None:
        """The day being written, if there is one."""
        return self._current.writer

    def tick(self, condition: Condition | None) -> None:
        """Note the state of a live camera if it has changed."""
        if condition is not None:
            self._current.note_condition(condition, self._now())

    def halt(self, moment: datetime) -> None:
        """Take no more frames; those that are not settled are lost."""
        self.is_halted, self.student = True, None
        self._waiting.clear()
        self.close(moment)

    def close(self, moment: datetime) -> None:
        """Everything settled is on disk when this returns."""
        self._current.end(moment)
