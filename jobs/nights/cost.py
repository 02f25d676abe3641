"""Measures what detectors cost on this machine, on a few pictures before anything long begins."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice, pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from culling_pipeline.day.even_sample import control_count, first_of_day
from culling_pipeline.records.costs import BudgetRecord, SecondsPerImage
from culling_pipeline.report import words
from culling_pipeline.report.money import share_words
from culling_pipeline.tasks.base import Task
from culling_pipeline.tasks.samples import Sample
from culling_pipeline.training.first_student import canvas_of, first_plan, on_canvas
from culling_pipeline.training.loop import fine_tune
from jobs.cameras.day_plan import ingest_plan
from jobs.cameras.detectors import full_size, pick_device
from jobs.cameras.nets import nets_of
from jobs.cameras.sources import open_camera
from jobs.cameras.task import task_of
from jobs.config.settings import CameraConfig, Config
from jobs.nights.beside import NOTHING_BESIDE, Beside
from jobs.nights.bootstrap_inputs import BootstrapInputs
from jobs.nights.budget import TRIAL, budget_of
from jobs.nights.span import Span
from models.base import Model, Trainable
from streams.base import DAY_S
from streams.sampler import Sampler

LOOKED_AT = 3
"""Pictures per measurement; the first only warms up."""
TIMED_EPOCHS = 2
"""How many epochs a measurement trains, after a first one that only warms up: a process's first
training loads torch's compiler, which takes ten times as long as the training."""
BEFORE_TRAINING = 1 / 3
"""What each frame costs before the first epoch, when its loss is computed without a gradient, as a
share of a training step."""

Images = Sequence[NDArray[np.uint8]]
Clock = Callable[[], float]


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
        shown = f"{self.frames:,} to train on, {self.control:,} to measure on"
        return (
            f"a first student for {words.count(self.cameras, 'camera')} takes about "
            f"{self.total_s.said(words.duration)} on this machine ({self.device}): the teacher "
            f"labels {self.frames + self.control:,} frames ({shown}) at "
            f"{per_teacher} each, {self.teacher_s.said(words.duration)}; training goes through "
            f"{self.frames:,} frames {words.count(self.epochs, 'time')} at {per_training} each, "
            f"{self.training_s.said(words.duration)}"
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
    trial_s: float = 0.0
    """What measuring these took; a first night measures anew."""

    @property
    def per_image(self) -> SecondsPerImage:
        """The middle of each."""
        look, label, train = (
            (span.fastest + span.slowest) / 2
            for span in (self.student_s, self.teacher_s, self.training_s)
        )
        return SecondsPerImage(look=look, label=label, train=train)


@dataclass(frozen=True, slots=True, kw_only=True)
class NightCost:
    """The cost of a camera's first night at measured seconds per picture: its budget, and `control`
    frames to measure with. The camera gives `a_day` frames a day. With a lottery two students are
    trained, at the same time if there are `processes` for it. `beside` is what a night does besides
    the detectors' work."""

    budget: BudgetRecord
    control: int
    a_day: int
    speed: Speed
    device: str
    processes: int
    beside: Beside = NOTHING_BESIDE

    @property
    def total_s(self) -> Span:
        """Estimated seconds on the clock."""
        speed, own, lottery = self.speed, self.budget.own, self.budget.lottery
        shown = own.images + own.keep * BEFORE_TRAINING
        labels = own.labels + self.control
        if lottery is not None:
            labels += lottery.labels
            others = lottery.images + lottery.keep * BEFORE_TRAINING
            shown = max(shown, others) if self.processes > 1 else shown + others
        measuring = self.control * (3 if lottery else 2)
        looking = speed.student_s.times(own.looks).times(1 / self.processes)
        detecting = speed.student_s.times(measuring).plus(speed.teacher_s.times(labels))
        return (
            self.beside.reading(looking, processes=self.processes)
            .plus(detecting.times(1 / self.processes))
            .plus(speed.training_s.times(shown))
            .plus(Span(*[speed.trial_s + self.beside.starting_s] * 2))
        )

    def in_words(self) -> str:
        """The estimate in words, for the operator."""
        own, lottery = self.budget.own, self.budget.lottery
        student, teacher, training = (
            seconds.said(words.short_seconds)
            for seconds in (self.speed.student_s, self.speed.teacher_s, self.speed.training_s)
        )
        share = f" ({said})" if (said := share_words(self.budget)) else ""
        looks = f"the student looks at {own.looks:,} frames at {student} each"
        if self.budget.looks_free:
            looks = "the student looks at every frame as the day goes by, which is not counted"
        beside = (
            ""
            if lottery is None
            else (f"; a second student of {lottery.keep:,} random frames costs as much again")
        )
        return (
            f"about {self.total_s.said(words.duration)} ({self.device}, "
            f"{words.count(self.processes, 'process', 'processes')}). Of its budget of "
            f"{words.duration(self.budget.total_s)}{share} {looks}, the "
            f"teacher labels {own.labels:,} at {teacher}, training goes through {own.images:,} "
            f"images at {training}. {self.control:,} more are labelled to measure with{beside}. "
            f"{self.beside.in_words()}{self.in_place_words()}"
        )

    def in_place_words(self) -> str:
        """What the teacher would cost in the student's place, on every frame of a day."""
        teacher, student = (
            seconds.times(self.a_day).said(words.duration)
            for seconds in (self.speed.teacher_s, self.speed.student_s)
        )
        return (
            f"On all {self.a_day:,} frames of a day the teacher would take {teacher}, the student "
            f"takes {student}"
        )


def speed_of(camera: CameraConfig, shape: tuple[int, int], device: str, processes: int) -> Speed:
    """Measure on noise of this height and width, as often at the same time as a night has
    processes: where these share cores, each is slower. Raises what opening the detectors raises."""
    torch.set_num_threads(1)  # as in a night
    began = time.perf_counter()
    if device == "cuda" or processes == 1:
        found = [_speed_of(camera, shape, device)]
    else:
        with ThreadPoolExecutor(processes) as pool:
            trials = [pool.submit(_speed_of, camera, shape, device) for _ in range(processes)]
            found = [trial.result() for trial in trials]
    return Speed(
        student_s=joined(speed.student_s for speed in found),
        teacher_s=joined(speed.teacher_s for speed in found),
        training_s=joined(speed.training_s for speed in found),
        trial_s=time.perf_counter() - began,
    )


def joined(spans: Iterable[Span]) -> Span:
    """From the fastest of all to the slowest."""
    fastest, slowest = zip(*spans, strict=True)
    return Span(min(fastest), max(slowest))


def _speed_of(camera: CameraConfig, shape: tuple[int, int], device: str) -> Speed:
    rng = np.random.default_rng(0)
    images = [rng.integers(256, size=(*shape, 3), dtype=np.uint8) for _ in range(LOOKED_AT)]
    size = full_size(*shape, max_side_px=camera.student.max_side_px)
    nets, task = nets_of(camera), task_of(camera)
    student, teacher = (
        nets.first(size, device=device).student,
        nets.open_teacher(shape, device=device)(),
    )
    samples = [Sample(image, task.nothing) for image in images]
    return Speed(
        student_s=seconds_per_image(task.at_work(student), images),
        teacher_s=seconds_per_image(teacher, images),
        training_s=training_seconds_per_image(student, task, samples),
    )


def night_cost(
    config: Config,
    camera: CameraConfig,
    speed: Speed,
    *,
    frames: int | None,
    watched: bool,
) -> NightCost:
    """The cost of a first night on a recording of so many frames (None: a whole day's), or on a
    live camera's day that is `watched` as it goes by."""
    device = pick_device(config.device)
    budget = budget_of(camera, speed.per_image, TRIAL, frames=frames, looks_free=watched)
    return NightCost(
        budget=budget,
        control=_control(camera, frames),
        a_day=round(DAY_S / camera.sample_interval_s),
        speed=speed,
        device=device,
        processes=1 if device == "cuda" else config.workers,
    )


def _control(camera: CameraConfig, frames: int | None) -> int:
    """How many frames measure: no more than the control slice's share of those that there are."""
    control = camera.culling.control
    if frames is None:
        return control.frames
    return min(control.frames, max(1, round(frames * control.share)))


def few_images(inputs: BootstrapInputs, camera: CameraConfig) -> list[NDArray[np.uint8]]:
    """The first few frames of a camera (H×W×3 uint8 RGB): of its last watched day if there is one,
    else of its recording."""
    days = inputs.days(camera)
    if not days:
        with open_camera(camera) as source:
            frames = source.frames(Sampler(camera.sample_interval_s))
            return [frame.image for frame in islice(frames, LOOKED_AT)]
    return first_of_day(days[-1], ingest_plan(camera), LOOKED_AT)
