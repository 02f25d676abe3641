"""The benchmark's cameras: synthetic streets of different scenes, traffic, light and weather, and
sports courts.

Each camera has a training day (day 0) and a later validation day (day 1), as the paper's videos
have a first and a later stretch (Dataset Culling, sec. 3); a court's day is one hour. Half of the
fleet is for tuning; the other half is looked at once, at the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from culling_pipeline.tasks.boxes.answer_files import load_detections, save_detections
from culling_pipeline.tasks.boxes.labels import clean_labels
from jobs.cameras.detectors import weights_path
from jobs.cameras.task import task_of
from jobs.config.night import ConfidenceSettings
from jobs.config.settings import CameraDefaults
from jobs.config.weights import TeacherSettings
from models.boxes.backend import at_work
from models.boxes.detections import Detections
from models.boxes.student import load_detector
from models.files import load_meta
from streams.synthetic.source import WORLDS
from streams.synthetic.truth import CLASS_NAMES

STUDENT = weights_path("builtin:street-student")
TEACHER = weights_path("builtin:street-teacher")
HEIGHT_PX, WIDTH_PX = 192, 320
LOSS = ConfidenceSettings().to_plan()
STREET = CameraDefaults(classes={name: [name] for name in CLASS_NAMES})
"""A camera that looks for all that there is, everything else as by default."""
TASK = task_of(STREET)
MIN_SIDE = 20 / 720
"""What was the smallest side of a label when the results were made; a night's is smaller now."""


def teacher_name() -> str:
    """The teacher's architecture: rows and caches of different teachers must not be mixed."""
    return str(load_meta(TEACHER)["spec"]["architecture"])


CACHE = Path("build/culling-benchmark") / teacher_name()
"""What both detectors said of the days."""


@dataclass(frozen=True)
class Camera:
    """One synthetic camera; `kind` is one of `WORLDS`."""

    name: str
    seed: int
    tuning: bool
    kind: str = "street"
    width_px: int = WIDTH_PX
    height_px: int = HEIGHT_PX


FLEET = (
    Camera("street-21", 21, tuning=True),
    Camera("street-22", 22, tuning=True),
    Camera("street-23", 23, tuning=True),
    Camera("street-31", 31, tuning=False),
    Camera("street-32", 32, tuning=False),
    Camera("street-33", 33, tuning=False),
    Camera("court-3", 3, tuning=True, kind="court"),
    Camera("court-5", 5, tuning=False, kind="court"),
)


@dataclass(frozen=True)
class Day:
    """A camera's day, seen by both detectors: frame i was taken at `times_s[i]`."""

    camera: Camera
    times_s: NDArray[np.float64]
    student: list[Detections]
    teacher: list[Detections]

    @property
    def losses(self) -> NDArray[np.float64]:
        """L_conf of every frame."""
        return np.array([LOSS.loss_of(d) for d in self.student])


def recorded_h(camera: Camera, day: int) -> tuple[float, float]:
    """First and last hour of a day's recording: all of it on a street; on a court one hour, as in
    the paper, and a later one on the days after the first."""
    if camera.kind == "street":
        return 0.0, 24.0
    return (15.0, 16.0) if day == 0 else (18.0, 19.0)


def moments(camera: Camera, day: int, count: int) -> NDArray[np.float64]:
    """Equally spaced moments of a day's recording, seconds since midnight of day 0."""
    first, last = (3600 * hour for hour in recorded_h(camera, day))
    return day * 86_400 + first + (np.arange(count) + 0.5) * (last - first) / count


def images(camera: Camera, times_s: NDArray[np.float64]) -> Iterator[NDArray[np.uint8]]:
    """The pictures of these moments."""
    renderer = WORLDS[camera.kind](camera.seed, camera.width_px, camera.height_px)
    for time_s in times_s:
        yield renderer.render(float(time_s))[0]


def of_camera(camera: Camera, found: Detections) -> Detections:
    """Detections of the camera's classes: a court is configured for people only."""
    if camera.kind == "street":
        return found
    return found.where(found.labels == CLASS_NAMES.index("person"))


def seen_day(camera: Camera, *, day: int, count: int, cache: Path) -> Day:
    """Student (at the camera's size) and teacher (at its own) on every frame of a day; kept in
    `cache`, for it takes minutes."""
    torch.set_num_threads(1)
    times_s = moments(camera, day, count)
    found = {}
    for role, weights in (("student", STUDENT), ("teacher", TEACHER)):
        path = cache / f"{camera.name}-day{day}-{count}-{role}.npz"
        if not path.exists():
            net = load_detector(weights)
            if role == "student":
                net = net.at_size(camera.height_px, camera.width_px)
            detector = at_work(net, "auto")
            seen = [d for i in images(camera, times_s) for d in detector.predict([i])]
            cache.mkdir(parents=True, exist_ok=True)
            save_detections(path, dict(enumerate(seen)))
        stored = load_detections(path)
        found[role] = [of_camera(camera, stored[i]) for i in range(count)]
    size = {"height_px": camera.height_px, "width_px": camera.width_px}
    trusted = {"min_score": TeacherSettings().min_score, "min_side": MIN_SIDE}
    labels = [clean_labels(d, **size, **trusted) for d in found["teacher"]]
    return Day(camera, times_s, found["student"], labels)
