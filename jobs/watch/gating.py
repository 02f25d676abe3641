"""One camera's change gate: it learns with a fixed lag, and keeps its lessons from day to day."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from culling_pipeline.day.day import IngestPlan
from culling_pipeline.day.daybook import DayClock
from culling_pipeline.day.recording import gate_record
from culling_pipeline.gate.gate import Decision, Gate, GatePlan
from culling_pipeline.gate.memory import GateTally, key_of, load_memory, save_memory
from culling_pipeline.records import GateRecord
from culling_pipeline.tasks.base import Answer
from jobs.cameras.watched_days import watched_days
from jobs.config.settings import CameraConfig, Config
from streams.base import Frame, redact_url

LAG_FRAMES = 128
"""The gate learns what the student found so many frames later, however busy the machine is, so that
its decisions on a recording are always the same. No more frames than that wait to be scored."""

MEMORY = timedelta(days=7)
"""Memories of earlier days are not looked for: they count for next to nothing."""

UPDATE_EVERY = 16
SAVE_EVERY = 600
"""Frames between two writings of what was learned: no more is lost if ingest is killed."""

_Subject = tuple[str, tuple[int, ...]]
"""What lessons are about: a version of the student, and the shape of the pictures."""


@dataclass(frozen=True, slots=True)
class _Lesson:
    number: int
    about: _Subject
    decision: Decision
    found: Answer
    inherited: Answer
    at_s: float


class Gating:
    """Frames come by `decide` and, in the same order, by `settle` once it is known what is in them;
    then by `count`, if they are noted in a day."""

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
        """What was learned of another student or size of picture does not hold: the gate goes on
        from what is on disk for these, if there is something."""
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
        """What was found in a frame (if it was scored), and in the scored one before."""
        if decision.score:
            about, at_s = (version, frame.image.shape), frame.wall_time.timestamp()
            self._lessons.append(_Lesson(self._settled, about, decision, found, last, at_s))
        self._settled += 1

    def count(self, decision: Decision, day: date, folder: Path) -> None:
        """A frame was noted in this day, which lies in `folder`."""
        if day != self._day:
            self._gate.tally, self._day = GateTally(), day
        self._gate.count(decision)
        if self._settled % SAVE_EVERY == 0:
            self.save(folder)

    def save(self, folder: Path) -> None:
        """Write what was learned into a day's folder."""
        if self._gate.plan.enabled and self._about is not None:
            save_memory(folder, self._gate.memory, self._key)

    @property
    def record(self) -> GateRecord | None:
        """What the gate did in the day; None where every frame was to be scored."""
        return gate_record(self._gate)


def _key(camera: CameraConfig, plan: GatePlan, about: _Subject) -> str:
    """All that lessons depend on, but for the scene itself."""
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
