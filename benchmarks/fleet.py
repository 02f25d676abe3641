"""The benchmark's cameras: synthetic streets of different scenes, traffic, light and weather.

Each camera has a training day (day 0) and a later validation day (day 1), as the paper's videos
have a first and a later stretch (Dataset Culling, sec. 3). Half of the fleet is for tuning; the
other half is looked at once, at the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from culling_pipeline.confidence import frame_loss
from culling_pipeline.labels import load_detections, save_detections
from culling_pipeline.precision import clean_labels
from jobs.detectors import weights_path
from models.boxes import Detections
from models.student import load_detector
from streams.street.render import StreetRenderer
from streams.street.scene import make_scene

STUDENT = weights_path("builtin:street-student")
TEACHER = weights_path("builtin:street-teacher")
HEIGHT_PX, WIDTH_PX = 192, 320


@dataclass(frozen=True)
class Camera:
    """One synthetic camera of the fleet."""

    name: str
    seed: int
    tuning: bool


FLEET = (
    Camera("street-21", 21, tuning=True),
    Camera("street-22", 22, tuning=True),
    Camera("street-23", 23, tuning=True),
    Camera("street-31", 31, tuning=False),
    Camera("street-32", 32, tuning=False),
    Camera("street-33", 33, tuning=False),
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
        return np.array([frame_loss(d) for d in self.student])


def moments(day: int, count: int) -> NDArray[np.float64]:
    """Equally spaced moments of a day, seconds since midnight of day 0."""
    return day * 86_400 + (np.arange(count) + 0.5) * 86_400 / count


def images(camera: Camera, times_s: NDArray[np.float64]) -> Iterator[NDArray[np.uint8]]:
    """The pictures of these moments."""
    renderer = StreetRenderer(make_scene(camera.seed, width_px=WIDTH_PX, height_px=HEIGHT_PX))
    for time_s in times_s:
        yield renderer.render(float(time_s))[0]


def seen_day(camera: Camera, *, day: int, count: int, cache: Path) -> Day:
    """Student and teacher on every frame of a day; kept in `cache`, for it takes minutes."""
    torch.set_num_threads(1)
    times_s = moments(day, count)
    found = {}
    for role, weights in (("student", STUDENT), ("teacher", TEACHER)):
        path = cache / f"{camera.name}-day{day}-{count}-{role}.npz"
        if not path.exists():
            detector = load_detector(weights)
            seen = [d for i in images(camera, times_s) for d in detector.predict([i])]
            cache.mkdir(parents=True, exist_ok=True)
            save_detections(path, dict(enumerate(seen)))
        stored = load_detections(path)
        found[role] = [stored[i] for i in range(count)]
    labels = [clean_labels(d, height_px=HEIGHT_PX, width_px=WIDTH_PX) for d in found["teacher"]]
    return Day(camera, times_s, found["student"], labels)
