"""One camera's change gate: it learns with a fixed lag, and remembers from day to day."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from culling_pipeline.day.day import IngestPlan
from culling_pipeline.day.daybook import DayClock
from culling_pipeline.gate.gate import Decision, Gate, GatePlan
from culling_pipeline.gate.memory import GateTally, key_of, load_memory, save_memory
from culling_pipeline.records.day import GateRecord
from culling_pipeline.tasks.answers import Answer
from jobs.cameras.watched_days import watched_days
from jobs.config.settings import CameraConfig, Config
from streams.base import Frame, redact_url

LAG_FRAMES = 128
"""The gate learns what the student found this many frames later, however busy the machine is, so
that its decisions on a recording are always the same. No more frames than this wait to be
scored."""

MEMORY = timedelta(days=7)
"""Older memories are not loaded: they count for next to nothing."""

UPDATE_EVERY = 16
SAVE_EVERY = 600
"""Frames between two saves of the memory: no more is lost if ingest is killed."""

_Subject = tuple[str, tuple[int, ...]]
"""What a lesson is about: a version of the student, and the shape of the pictures."""


@dataclass(frozen=True, slots=True)
class _Lesson:
    number: int
    about: _Subject
    decision: Decision
    found: Answer
    inherited: Answer
    at_s: float


class Gating:
    """Frames come through `decide` and, once it is known what they show, through `settle` in the
    same order; then through `count`, if they are written to a day."""

    def __init__(self, config: Config, camera: CameraConfig, plan: IngestPlan) -> None:
        self._config, self._camera = config, camera
        self._gate = Gate(plan.gate, plan.task, np.random.default_rng([plan.seed, 22]))
        self._lessons: deque[_Lesson] = deque()
        self._arrived = self._settled = 0
        self._about: _Subject | None = None
        self._key = ""
        self._day: date | None = None

    def decide(self, frame: Frame, version: str) -> Decision:
        """Whether this version of the student is to score the next frame."""
        about = (version, frame.image.shape)
        if about != self._about:
            self._change_to(about, DayClock.of(frame.wall_time).day)
        while self._lessons and self._lessons[0].number <= self._arrived - LAG_FRAMES:
            self._learn(self._lessons.popleft())
        if self._arrived % UPDATE_EVERY == 0:
            self._gate.update()
        self._arrived += 1
        return self._gate.decide(frame.image, frame.wall_time.timestamp())

    def _change_to(self, about: _Subject, today: date) -> None:
        """Lessons about another student or picture size no longer hold: load what is on disk for
        the new ones, if there is any."""
        if self._about is not None:
            self._gate.forget()
        self._about = about
        self._key = _key(self._camera, self._gate.plan, about)
        if not self._gate.plan.enabled:
            return
        for day in reversed(watched_days(self._config, self._camera.name)):
            if timedelta(0) <= today - day <= MEMORY:
                lessons = load_memory(self._config.day_dir(self._camera.name, day), self._key)
                if lessons is not None:
                    self._gate.take_up(lessons, same_day=day == today and self._day is None)
                    break
        self._day = self._day or today

    def _learn(self, lesson: _Lesson) -> None:
        if lesson.about == self._about:
            self._gate.learn(lesson.decision, lesson.found, lesson.inherited, lesson.at_s)

    def settle(
        self, frame: Frame, version: str, decision: Decision, found: Answer, last: Answer
    ) -> None:
        """Learn from what was found in a frame (if it was scored) and in the last scored one
        before."""
        if decision.score:
            about, at_s = (version, frame.image.shape), frame.wall_time.timestamp()
            self._lessons.append(_Lesson(self._settled, about, decision, found, last, at_s))
        self._settled += 1

    def count(self, decision: Decision, day: date, folder: Path) -> None:
        """Count a frame that was written to this day, which lies in `folder`."""
        if day != self._day:
            self._gate.tally, self._day = GateTally(), day
        self._gate.count(decision)
        if self._settled % SAVE_EVERY == 0:
            self.save(folder)

    def save(self, folder: Path) -> None:
        """Save the memory in a day's folder."""
        if self._gate.plan.enabled and self._about is not None:
            save_memory(folder, self._gate.memory, self._key)

    @property
    def record(self) -> GateRecord | None:
        """The gate's record of the day; None if every frame was to be scored."""
        return self._gate.record


def _key(camera: CameraConfig, plan: GatePlan, about: _Subject) -> str:
    """A key of everything that lessons depend on, except the scene itself."""
    version, shape = about
    settings = camera.model_dump(mode="json", include={"classes", "mask", "ignore_zones"})
    return key_of(
        {
            **settings,
            "source": redact_url(camera.source),
            "interval_s": camera.sample_interval_s,
            "every": plan.every,
            "min_score": camera.student.min_score,
            "student": version,
            "shape": shape,
        }
    )
