"""What detectors cost on this machine, measured on a few pictures before anything long begins."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray

from culling_pipeline.culling.strategies import STRATEGIES
from culling_pipeline.day.day import DAY_S
from culling_pipeline.day.even_sample import control_count, first_of_day
from culling_pipeline.report import words
from culling_pipeline.training.first_student import canvas_of, on_canvas
from culling_pipeline.training.loop import Sample, TrainPlan, fine_tune
from jobs.cameras.day_plan import ingest_plan
from jobs.cameras.detectors import configured_detector, full_size
from jobs.cameras.sources import open_camera
from jobs.config.settings import CameraConfig, Config
from jobs.nights.bootstrap_inputs import BootstrapInputs
from jobs.nights.plans import night_judging, pick_device
from models.boxes.backend import at_work
from models.boxes.classes import ClassMap
from models.boxes.detections import Detections, Detector
from models.boxes.detector import TorchDetector
from models.boxes.student import fit_to_camera
from streams.sampler import Sampler

LOOKED_AT = 3
"""Pictures that a measurement takes; the first one only warms up."""

Images = Sequence[NDArray[np.uint8]]


def seconds_per_image(detector: Detector, images: Images) -> float:
    """What a detector takes for a picture (H×W×3 uint8), after a first one that does not count."""
    detector.predict(images[:1])
    began = time.perf_counter()
    counted = images[1:] or images
    for image in counted:
        detector.predict([image])
    return (time.perf_counter() - began) / len(counted)


def training_seconds_per_image(detector: TorchDetector, samples: Sequence[Sample]) -> float:
    """What training takes for a picture, once. The detector is changed: give one to throw away."""
    plan = TrainPlan(schedule="standard", epochs=2, batch_size=len(samples), learning_rate=1e-6)
    course = fine_tune(detector, samples, plan)
    return course.seconds / course.images


@dataclass(frozen=True, slots=True, kw_only=True)
class BootstrapCost:
    """What a first student costs: pictures, and seconds measured on one; `processes` ask the
    teacher at a time."""

    cameras: int
    frames: int
    control: int
    epochs: int
    teacher_s_per_image: float
    training_s_per_image: float
    device: str
    processes: int

    @property
    def teacher_s(self) -> float:
        """Seconds of teacher work, summed over processes."""
        return (self.frames + self.control) * self.teacher_s_per_image

    @property
    def training_s(self) -> float:
        """Seconds of training, in one process."""
        return self.frames * self.epochs * self.training_s_per_image

    @property
    def total_s(self) -> float:
        """About how long it takes in all."""
        return self.teacher_s / self.processes + self.training_s

    def in_words(self) -> str:
        """For the operator, before it begins."""
        per_teacher = words.short_seconds(self.teacher_s_per_image)
        per_training = words.short_seconds(self.training_s_per_image)
        measured = f"{self.control:,} to measure on"
        return (
            f"a first student for {words.count(self.cameras, 'camera')} takes about "
            f"{words.duration(self.total_s)} on this machine ({self.device}): the teacher labels "
            f"{self.frames + self.control:,} frames ({self.frames:,} to train on, {measured}) at "
            f"{per_teacher} each, {words.duration(self.teacher_s)}; training goes through "
            f"{self.frames:,} frames {words.count(self.epochs, 'time')} at {per_training} each, "
            f"{words.duration(self.training_s)}"
        )


def bootstrap_cost(inputs: BootstrapInputs) -> BootstrapCost:
    """Measured on a few frames of the first camera. Raises what opening its source and the
    detectors raises."""
    torch.set_num_threads(1)  # as in `Bootstrap.run`
    camera = inputs.cameras[0]
    images = few_images(inputs, camera)
    shape = (images[0].shape[0], images[0].shape[1])
    size = full_size(*shape, max_side_px=camera.student.max_side_px)
    canvas = canvas_of([size])
    empty = Detections.empty()
    samples = [on_canvas(image, empty, size, canvas) for image in images]
    return BootstrapCost(
        cameras=len(inputs.cameras),
        frames=inputs.per_camera * len(inputs.cameras),
        control=sum(control_count(inputs.per_camera, ingest_plan(c)) for c in inputs.cameras),
        epochs=inputs.wish.epochs,
        teacher_s_per_image=seconds_per_image(inputs.teacher(camera, shape)(), images),
        training_s_per_image=training_seconds_per_image(inputs.start().at_size(*canvas), samples),
        device=inputs.device,
        processes=inputs.processes,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """Seconds a picture takes: the student's look, the teacher's, training once."""

    student_s: float
    teacher_s: float
    training_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NightCost:
    """What a camera's first night costs: pictures, and seconds measured on one. `arms` students
    are trained, one beside the other where there are `processes` for it."""

    seen: int
    labelled: int
    trained: int
    arms: int
    speed: Speed
    device: str
    processes: int

    @property
    def total_s(self) -> float:
        """About how long it takes."""
        looking_s = self.seen * self.speed.student_s + self.labelled * self.speed.teacher_s
        one_after_the_other = -(-self.arms // self.processes)
        training_s = self.trained * self.speed.training_s * one_after_the_other
        return looking_s / self.processes + training_s

    def in_words(self) -> str:
        """For the operator."""
        speed, twice = self.speed, " (and as many random ones beside it)" * (self.arms > 1)
        return (
            f"about {words.duration(self.total_s)} ({self.device}, "
            f"{words.count(self.processes, 'process', 'processes')}): the student looks at "
            f"{self.seen:,} frames at {words.short_seconds(speed.student_s)} each, the teacher at "
            f"{self.labelled:,} at {words.short_seconds(speed.teacher_s)}, training goes through "
            f"{self.trained:,} at {words.short_seconds(speed.training_s)}{twice}"
        )


def speed_of(camera: CameraConfig, shape: tuple[int, int], device: str) -> Speed:
    """Measured on noise of this height and width. Raises what opening the detectors raises."""
    torch.set_num_threads(1)  # as in a night
    rng = np.random.default_rng(0)
    images = [rng.integers(256, size=(*shape, 3), dtype=np.uint8) for _ in range(2)]
    size = full_size(*shape, max_side_px=camera.student.max_side_px)
    known = configured_detector(camera.student, device=device).torch_detector()
    classes = ClassMap.from_config(camera.classes)
    student = fit_to_camera(known, classes, height_px=size[0], width_px=size[1])
    teacher_size = full_size(*shape, max_side_px=camera.teacher.max_side_px)
    teacher = configured_detector(camera.teacher, device=device, size=teacher_size)()
    samples = [Sample(image, Detections.empty()) for image in images]
    return Speed(
        student_s=seconds_per_image(at_work(student, camera.student.backend), images),
        teacher_s=seconds_per_image(teacher, images),
        training_s=training_seconds_per_image(student, samples),
    )


def night_cost(
    config: Config,
    camera: CameraConfig,
    speed: Speed,
    *,
    duration_s: float | None,
    untrained: bool,
) -> NightCost:
    """A first night on a recording of this length (None: a live camera, a whole day of it), at
    most: dropping and picking make training cheaper."""
    culling = camera.culling
    seen = max(1, round((duration_s or DAY_S) / camera.sample_interval_s))
    compares = night_judging(camera).compare_random
    uses_teacher = STRATEGIES[culling.strategy].uses_teacher and not untrained
    labelled = culling.survivors if uses_teacher else culling.keep
    labelled += culling.control.frames + culling.keep * compares
    device = pick_device(config.device)
    return NightCost(
        seen=-(-seen // culling.gate.every),
        labelled=min(labelled, seen),
        trained=min(culling.keep, seen) * camera.training.for_kept(culling.keep).full_epochs,
        arms=2 if compares else 1,
        speed=speed,
        device=device,
        processes=1 if device == "cuda" else config.workers,
    )


def few_images(inputs: BootstrapInputs, camera: CameraConfig) -> list[NDArray[np.uint8]]:
    """The first few frames of a camera (H×W×3 uint8 RGB): of its last watched day, if there is
    one, else of its recording."""
    days = inputs.days(camera)
    if not days:
        with open_camera(camera) as source:
            frames = source.frames(Sampler(camera.sample_interval_s))
            return [frame.image for frame in islice(frames, LOOKED_AT)]
    return first_of_day(days[-1], ingest_plan(camera), LOOKED_AT, n_classes=len(camera.classes))
