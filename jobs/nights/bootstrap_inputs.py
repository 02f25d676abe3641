"""What a first student is made from: cameras, their days, and detectors to begin with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from culling_pipeline.day.watched_day import WatchedDay
from culling_pipeline.run.progress import Progress
from culling_pipeline.tasks.base import Task
from jobs.cameras.detectors import (
    OpenDetector,
    bring_weights,
    configured_detector,
    full_size,
    pick_device,
)
from jobs.cameras.task import task_of
from jobs.cameras.watched_days import watched_day, watched_days
from jobs.config.settings import CameraConfig, Config
from jobs.config.weights import UNTRAINED, StudentSettings
from jobs.nights.alike import check_alike, shared_classes
from models.boxes.classes import ClassMap
from models.boxes.detector import TorchDetector
from models.boxes.student import fit_to_camera

BACKBONE = "pretrained:resnet18-imagenet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the operator asked for: `frames` to train on, of all cameras together."""

    frames: int
    epochs: int
    from_scratch: bool


class BootstrapInputs:
    """The cameras of one first student, and what it is trained from. Raises `UsageError` for
    cameras that cannot share one."""

    def __init__(self, config: Config, names: Sequence[str], wish: Wish) -> None:
        self.config, self.wish = config, wish
        self.cameras = [config.cameras[name] for name in names]
        check_alike(self.cameras)
        self.device = pick_device(config.device)

    @property
    def key(self) -> str:
        """Names this wish for these cameras with these settings."""
        asked = [sorted(c.fingerprint for c in self.cameras), repr(self.wish)]
        return hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:12]

    @property
    def per_camera(self) -> int:
        """Frames of each camera to train on."""
        return -(-self.wish.frames // len(self.cameras))

    @property
    def student(self) -> StudentSettings:
        """The net to begin with: a backbone, or random weights with `--from-scratch`."""
        settings = self.cameras[0].student
        if self.wish.from_scratch:
            return settings.changed(weights=UNTRAINED)
        if settings.published is not None and settings.published.is_backbone:
            return settings
        return settings.changed(weights=BACKBONE)

    @property
    def processes(self) -> int:
        """How many processes run the teacher at a time."""
        return 1 if self.device == "cuda" else self.config.workers

    def bring(self, progress: Progress) -> None:
        """Download the weights that are not on this disk yet."""
        bring_weights(self.cameras[0].teacher, progress)
        bring_weights(self.student, progress)

    @cached_property
    def classes(self) -> ClassMap:
        """The classes of the first student."""
        names = configured_detector(self.cameras[0].teacher, device=self.device)().class_names
        return shared_classes(self.cameras, names)

    @cached_property
    def task(self) -> Task:
        """The first student's task: that of the first camera, in the classes of them all."""
        return task_of(self.cameras[0], self.classes)

    def start(self) -> TorchDetector:
        """The untrained net."""
        opener = configured_detector(self.student, device=self.device)
        known = opener.torch_detector()
        side_px = self.student.max_side_px
        return fit_to_camera(known, self.classes, height_px=side_px, width_px=side_px)

    def teacher(self, camera: CameraConfig, shape: tuple[int, int]) -> OpenDetector:
        """How to open the teacher for pictures of this height and width."""
        size = full_size(*shape, max_side_px=camera.teacher.max_side_px)
        return configured_detector(camera.teacher, device=self.device, size=size)

    def days(self, camera: CameraConfig) -> list[WatchedDay]:
        """The days that `culling ingest` has watched of this camera; none for a recording."""
        dates = watched_days(self.config, camera.name)
        days = [watched_day(self.config, camera.name, date) for date in dates]
        return [day for day in days if day is not None]
