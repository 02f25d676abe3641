"""Measures what detectors cost on this machine, on a few pictures before anything long begins."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice, pairwise
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from culling_pipeline.culling.strategies import STRATEGIES
from culling_pipeline.day.day import DAY_S
from culling_pipeline.day.even_sample import control_count, first_of_day
from culling_pipeline.report import words
from culling_pipeline.tasks.base import Sample, Task
from culling_pipeline.training.first_student import canvas_of, first_plan, on_canvas
from culling_pipeline.training.loop import fine_tune
from jobs.cameras.day_plan import ingest_plan
from jobs.cameras.detectors import configured_detector, full_size, pick_device
from jobs.cameras.sources import open_camera
from jobs.cameras.task import task_of
from jobs.config.settings import CameraConfig, Config
from jobs.nights.bootstrap_inputs import BootstrapInputs
from jobs.nights.plans import night_judging
from models.base import Model, Trainable
from models.boxes.backend import at_work
from models.boxes.classes import ClassMap
from models.boxes.student import fit_to_camera
from streams.sampler import Sampler

LOOKED_AT = 3
"""Pictures per measurement; the first only warms up."""
TIMED_EPOCHS = 2
"""How many epochs a measurement trains, after a first one that only warms up: a process's first
training loads torch's compiler, which takes ten times as long as the training."""

Images = Sequence[NDArray[np.uint8]]
Clock = Callable[[], float]


class Span(NamedTuple):
    """Seconds, from the fastest to the slowest measured."""

    fastest: float
    slowest: float

    def times(self, factor: float) -> Span:
        """This many times as long."""
        return Span(self.fastest * factor, self.slowest * factor)

    def plus(self, other: Span) -> Span:
        """Both, one after the other."""
        return Span(self.fastest + other.fastest, self.slowest + other.slowest)

    def said(self, as_words: Callable[[float], str]) -> str:
        """In words; a single figure if both ends read the same."""
        least, most = as_words(self.fastest), as_words(self.slowest)
        return least if least == most else f"{least} to {most}"


def seconds_per_image(model: Model, images: Images, clock: Clock = time.perf_counter) -> Span:
    """Seconds that a detector takes per picture (H×W×3 uint8), after a first one that does not
    count."""
    model.predict(images[:1])
    took = []
    for image in images[1:] or images:
        began = clock()
        model.predict([image])
        took.append(clock() - began)
    return Span(min(took), max(took))


def training_seconds_per_image(
    student: Trainable, task: Task, samples: Sequence[Sample], clock: Clock = time.perf_counter
) -> Span:
    """Seconds that one training step takes per picture. The student is changed: give one to throw
    away."""
    recipe = first_plan(epochs=1 + TIMED_EPOCHS, from_scratch=False, seed=0)
    plan = replace(recipe, batch_size=len(samples), learning_rate=1e-6)
    ends: list[float] = []
    fine_tune(student, task, samples, plan, on_epoch=lambda _: ends.append(clock()))
    took = [(end - began) / len(samples) for began, end in pairwise(ends)]
    return Span(min(took), max(took))


@dataclass(frozen=True, slots=True, kw_only=True)
class BootstrapCost:
    """The cost of a first student, in pictures and measured seconds per picture; `processes` run
    the teacher at the same time."""

    cameras: int
    frames: int
    control: int
    epochs: int
    teacher_s_per_image: Span
    training_s_per_image: Span
    device: str
    processes: int

    @property
    def teacher_s(self) -> Span:
        """Seconds of teacher work, summed over processes."""
        return self.teacher_s_per_image.times(self.frames + self.control)

    @property
    def training_s(self) -> Span:
        """Seconds of training, in one process."""
        return self.training_s_per_image.times(self.frames * self.epochs)

    @property
    def total_s(self) -> Span:
        """Estimated seconds in all."""
        return self.teacher_s.times(1 / self.processes).plus(self.training_s)

    def in_words(self) -> str:
        """The estimate in words, for the operator."""
        per_teacher = self.teacher_s_per_image.said(words.short_seconds)
        per_training = self.training_s_per_image.said(words.short_seconds)
        measured = f"{self.control:,} to measure on"
        return (
            f"a first student for {words.count(self.cameras, 'camera')} takes about "
            f"{self.total_s.said(words.duration)} on this machine ({self.device}): the teacher "
            f"labels {self.frames + self.control:,} frames ({self.frames:,} to train on, "
            f"{measured}) at {per_teacher} each, {self.teacher_s.said(words.duration)}; training "
            f"goes through {self.frames:,} frames {words.count(self.epochs, 'time')} at "
            f"{per_training} each, {self.training_s.said(words.duration)}"
        )


def bootstrap_cost(inputs: BootstrapInputs) -> BootstrapCost:
    """Measure on a few frames of the first camera. Raises what opening its source and the detectors
    raises."""
    torch.set_num_threads(1)  # as in `Bootstrap.run`
    camera = inputs.cameras[0]
    images = few_images(inputs, camera)
    shape = (images[0].shape[0], images[0].shape[1])
    size = full_size(*shape, max_side_px=camera.student.max_side_px)
    canvas = canvas_of([size])
    task = inputs.task
    samples = [on_canvas(Sample(image, task.nothing), task, size, canvas) for image in images]
    return BootstrapCost(
        cameras=len(inputs.cameras),
        frames=inputs.per_camera * len(inputs.cameras),
        control=sum(control_count(inputs.per_camera, ingest_plan(c)) for c in inputs.cameras),
        epochs=inputs.wish.epochs,
        teacher_s_per_image=seconds_per_image(inputs.teacher(camera, shape)(), images),
        training_s_per_image=training_seconds_per_image(
            inputs.start().at_size(*canvas), task, samples
        ),
        device=inputs.device,
        processes=inputs.processes,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """Seconds per picture: for the student, the teacher, one pass of training."""

    student_s: Span
    teacher_s: Span
    training_s: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class NightCost:
    """The cost of a camera's first night, in pictures and measured seconds per picture. `arms`
    students are trained, at the same time if there are `processes` for it."""

    seen: int
    labelled: int
    trained: int
    arms: int
    speed: Speed
    device: str
    processes: int

    @property
    def total_s(self) -> Span:
        """Estimated seconds."""
        speed, one_after_the_other = self.speed, -(-self.arms // self.processes)
        looking_s = speed.student_s.times(self.seen).plus(speed.teacher_s.times(self.labelled))
        training_s = speed.training_s.times(self.trained * one_after_the_other)
        return looking_s.times(1 / self.processes).plus(training_s)

    def in_words(self) -> str:
        """The estimate in words, for the operator."""
        student, teacher, training = (
            seconds.said(words.short_seconds)
            for seconds in (self.speed.student_s, self.speed.teacher_s, self.speed.training_s)
        )
        twice = " (and as many random ones beside it)" * (self.arms > 1)
        return (
            f"about {self.total_s.said(words.duration)} ({self.device}, "
            f"{words.count(self.processes, 'process', 'processes')}): the student looks at "
            f"{self.seen:,} frames at {student} each, the teacher at "
            f"{self.labelled:,} at {teacher}, training goes through "
            f"{self.trained:,} at {training}{twice}"
        )


def speed_of(camera: CameraConfig, shape: tuple[int, int], device: str) -> Speed:
    """Measure on noise of this height and width. Raises what opening the detectors raises."""
    torch.set_num_threads(1)  # as in a night
    rng = np.random.default_rng(0)
    images = [rng.integers(256, size=(*shape, 3), dtype=np.uint8) for _ in range(LOOKED_AT)]
    size = full_size(*shape, max_side_px=camera.student.max_side_px)
    known = configured_detector(camera.student, device=device).torch_detector()
    classes = ClassMap.from_config(camera.classes)
    student = fit_to_camera(known, classes, height_px=size[0], width_px=size[1])
    teacher_size = full_size(*shape, max_side_px=camera.teacher.max_side_px)
    teacher = configured_detector(camera.teacher, device=device, size=teacher_size)()
    task = task_of(camera)
    samples = [Sample(image, task.nothing) for image in images]
    return Speed(
        student_s=seconds_per_image(at_work(student, camera.student.backend), images),
        teacher_s=seconds_per_image(teacher, images),
        training_s=training_seconds_per_image(student, task, samples),
    )


def night_cost(
    config: Config,
    camera: CameraConfig,
    speed: Speed,
    *,
    duration_s: float | None,
    untrained: bool,
) -> NightCost:
    """The most that a first night costs on a recording of this length (None: a whole day of a live
    camera). Dropping and picking make training cheaper."""
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
    """The first few frames of a camera (H×W×3 uint8 RGB): of its last watched day if there is one,
    else of its recording."""
    days = inputs.days(camera)
    if not days:
        with open_camera(camera) as source:
            frames = source.frames(Sampler(camera.sample_interval_s))
            return [frame.image for frame in islice(frames, LOOKED_AT)]
    return first_of_day(days[-1], ingest_plan(camera), LOOKED_AT)
