"""The students of `benchmarks/real_days.py`: made, trained, kept from night to night."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.fleet import STUDENT
from benchmarks.real_days_arms import Arm, Budget, View
from benchmarks.real_days_places import CACHE, Scene
from culling_pipeline.tasks.samples import Sample
from culling_pipeline.training.loop import TrainPlan, fine_tune
from culling_pipeline.training.options import show
from jobs.config.night import TrainingSettings
from models.boxes.backend import at_work
from models.boxes.classes import ClassMap
from models.boxes.detections import Detections
from models.boxes.detector import TorchDetector
from models.boxes.student import fit_to_camera, load_detector, meta_of
from models.checkpoint import save_checkpoint


def plan(n: int, images: int, seed: int) -> TrainPlan:
    """The program's recipe for n frames: as many epochs as show so many images."""
    for epochs in range(1, images + 1):
        settings = TrainingSettings(epochs=epochs, seed=seed)
        course = show(settings.schedule, n, epochs, settings.to_options())
        if sum(course.per_epoch) >= images:
            break
    return settings.to_plan()


@dataclass(frozen=True)
class Students:
    """One place's students under one seed."""

    scene: Scene
    seed: int

    def start(self) -> TorchDetector:
        """The built-in student in the camera's classes and size."""
        high, wide = self.scene.place.size
        classes = ClassMap.from_config(self.scene.place.classes)
        return fit_to_camera(load_detector(STUDENT), classes, height_px=high, width_px=wide)

    def once(self) -> TorchDetector:
        """The student as set up: trained on all pictures of the first days."""
        first = self.scene.place.start_days
        stored = self.stored("once", first)
        if stored is not None:
            return stored
        student = self.start()
        rows = self.scene.rows_of(self.scene.days[:first])
        self.fit(student, rows.tolist(), self.scene.place.start_images)
        self.keep("once", first, student)
        return student

    def fit(self, student: TorchDetector, rows: Sequence[int], images: int) -> int:
        """Train in place until about so many images were shown; how many it were."""
        labels = self.scene.labels(rows)
        samples = [Sample(self.scene.pictures[i], t) for i, t in zip(rows, labels, strict=True)]
        done = fine_tune(student, self.scene.task, samples, plan(len(rows), images, self.seed))
        return done.images

    def choose(
        self,
        arm: Arm,
        pool: NDArray[np.int64],
        *,
        said: list[Detections],
        share: Budget,
        known: Sequence[int] = (),
    ) -> list[int]:
        """Which pictures of the pool the arm trains on; `said` are a student's answers to them,
        `known` the pictures that it was trained on before."""
        scene = self.scene
        view = View(
            times_s=scene.times_s[pool],
            student=said,
            looks=scene.looks[pool],
            known=scene.looks[list(known)],
            labels=scene.labels(pool.tolist()) if arm.labels_all else [],
            n_classes=len(scene.place.classes),
        )
        rng = np.random.default_rng([self.seed, 61, int(pool[0])])
        rows = range(len(pool)) if arm.trains_all else arm.choose(view, share.labels, rng)
        return [int(pool[i]) for i in rows]

    def answers(self, student: TorchDetector, rows: NDArray[np.int64]) -> list[Detections]:
        """The student's answers to these pictures."""
        watching = at_work(student, "auto")
        return [watching.predict([self.scene.pictures[i]])[0] for i in rows]

    def stored(self, name: str, number: int) -> TorchDetector | None:
        """The arm's student that is to be measured on day `number`, if it is kept."""
        path = self._path(name, number)
        return load_detector(path) if path.exists() else None

    def keep(self, name: str, number: int, student: TorchDetector) -> None:
        """Keep it, and of the arm's others only the last."""
        path = self._path(name, number)
        save_checkpoint(path, student.model.state_dict(), meta_of(student))
        for suffix in (".safetensors", ".json"):
            self._path(name, number - 2).with_suffix(suffix).unlink(missing_ok=True)

    def _path(self, name: str, number: int) -> Path:
        return CACHE / self.scene.place.name / f"{name}-{self.seed}-{number}.safetensors"
