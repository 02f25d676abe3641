"""One cell of `benchmarks/equal_cost.py`: divide a budget, choose, train, measure the next day."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.book import Row
from benchmarks.culling import PARTS, RECIPES, TEST_FRAMES, TRAIN_FRAMES, samples
from benchmarks.fleet import FLEET, STUDENT, TASK, Camera, Day, images, recorded_h, seen_day
from benchmarks.tried import TRIED
from benchmarks.tried.regions import fewer_regions
from culling_pipeline.culling.budget import DAY_FRAMES, Wishes, cost_s, divide
from culling_pipeline.culling.candidates import Candidates, parts_of_day
from culling_pipeline.culling.strategies import STRATEGIES, Strategy
from culling_pipeline.records.costs import Portions, SecondsPerImage
from culling_pipeline.records.training import EpochPoint
from culling_pipeline.tasks.boxes.average_precision import coco_map
from culling_pipeline.tasks.boxes.disagreement import disagreement
from culling_pipeline.training.loop import fine_tune
from jobs.config.night import CullingSettings, TrainingSettings
from jobs.config.weights import StudentSettings
from jobs.nights.budget import full_seconds
from jobs.nights.plans import images_of
from models.boxes.backend import at_work
from models.boxes.detector import TorchDetector
from models.boxes.student import load_detector

RESULTS = Path(__file__).parent / "results"
LOTTERY, FULL = "random", "full"
KNOWN: dict[str, Strategy] = {**STRATEGIES, **TRIED}
MOST = TRAIN_FRAMES
NEW = (Camera("street-41", 41, tuning=False), Camera("street-42", 42, tuning=False))
"""Streets that no choice of a default has seen."""
CAMERAS = (*FLEET, *NEW)

LOWER_FROM = 2 / 3
"""The share of the epochs after which a night's learning rate falls."""


@dataclass(frozen=True)
class Run:
    """One cell. `epochs` None and `looks_per_label` None: as the budget divides by itself; `rate`,
    `schedule` and `regions` (of a picture, for the second stage) None: the night's. `average`: with
    the mean of the weights after the last epochs."""

    camera: str
    strategy: str
    budget: float
    looks_free: bool
    seed: int
    epochs: int | None = None
    looks_per_label: float | None = None
    rate: float | None = None
    schedule: str | None = None
    regions: int | None = None
    average: bool = False


def slim_seconds() -> SecondsPerImage:
    """Seconds an image of the demo's nets, CPU, one core."""
    found = json.loads((RESULTS / "first_pass.json").read_text())["seconds"]["slim"]
    return SecondsPerImage(
        look=found["student, arranged"], label=found["teacher, arranged"], train=found["training"]
    )


def seconds_of(run: Run) -> SecondsPerImage:
    """What an image costs in this run."""
    slim = slim_seconds()
    if run.regions is None:
        return slim
    ways = json.loads((RESULTS / "training_step.json").read_text())
    share = next(way["ratio"] for way in ways if way["way"] == f"{run.regions} regions")
    return slim.changed(train=share * slim.train)


def recipe_of(run: Run) -> TrainingSettings:
    """How this run trains, but for its length."""
    recipe = RECIPES["mirrored" if run.strategy == FULL else "varied"]
    asked = {"learning_rate": run.rate, "schedule": run.schedule}
    return recipe.changed(**{name: value for name, value in asked.items() if value is not None})


def portions_of(run: Run, seconds: SecondsPerImage) -> Portions:
    """How this run spends its budget."""
    looks = run.strategy != LOTTERY
    ratio = CullingSettings().survivors_ratio if KNOWN[run.strategy].uses_teacher else 1.0
    wishes = Wishes(
        frames=TRAIN_FRAMES,
        most=MOST,
        labels_per_kept=ratio,
        epochs=run.epochs,
        looks=None if looks and not run.looks_free else (TRAIN_FRAMES if looks else 0),
    )
    if run.looks_per_label is not None:
        wishes = replace(wishes, looks_per_label=run.looks_per_label)
    if run.looks_free:
        seconds = seconds.changed(look=0.0)
    return divide(
        full_seconds(RECIPES["mirrored"], slim_seconds()) / run.budget,
        seconds,
        wishes,
        partial(images_of, recipe_of(run)),
    )


def choose(day: Day, run: Run, portions: Portions) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """What is trained on, and what is labelled."""
    rng = np.random.default_rng([run.seed, 61])
    strategy = KNOWN[run.strategy]
    candidates = _looked_at(day, portions.looks) if portions.looks else _candidates(day, None)
    for name, said in (("answers", day.student), ("truths", day.teacher)):
        if hasattr(strategy, name):
            strategy = replace(strategy, **{name: said})  # type: ignore[type-var]
    survivors = strategy.survivors(candidates, portions.labels, rng)
    least = StudentSettings().min_score
    differences = [
        disagreement(i, day.student[i], day.teacher[i], n_classes=3, student_min_score=least)
        for i in survivors
    ]
    return strategy.kept_set(candidates, differences, portions.keep, rng), survivors


def _looked_at(day: Day, looks: int) -> Candidates:
    """Frames evenly in time; nothing is known of the others, which can be drawn all the same."""
    rows = np.unique(np.round(np.linspace(0, TRAIN_FRAMES - 1, looks)).astype(np.int64))
    return _candidates(day, rows)


def _candidates(day: Day, looked: NDArray[np.int64] | None) -> Candidates:
    first, last = (3600 * hour for hour in recorded_h(day.camera, 0))
    rows = np.arange(TRAIN_FRAMES) if looked is None else looked
    times_s = day.times_s[rows]
    return Candidates(
        ids=rows,
        losses=day.losses[rows],
        parts=parts_of_day(times_s, start_s=first, end_s=last, parts=PARTS),
        times_s=times_s,
        n_parts=PARTS,
    )


def execute(run: Run, cache: Path, device: str) -> list[Row]:
    """Divide, choose, train, measure on the next day against the teacher: the net as it is at the
    end, and with the mean of its weights after the last epochs."""
    torch.set_num_threads(1)
    camera = next(c for c in CAMERAS if c.name == run.camera)
    day = seen_day(camera, day=0, count=TRAIN_FRAMES, cache=cache)
    later = seen_day(camera, day=1, count=TEST_FRAMES, cache=cache)
    spent, kept, others = _full() if run.strategy == FULL else _chosen(day, run)
    settings = recipe_of(run).changed(seed=run.seed, epochs=spent.epochs)
    student = load_detector(STUDENT, device=device)
    if run.regions is not None:
        fewer_regions(student, run.regions)
    mean = _MeanWeights(student.model, LOWER_FROM * spent.epochs)
    began = time.process_time()
    course = fine_tune(
        student,
        TASK,
        list(samples(day, kept)),
        settings.to_plan(),
        others=samples(day, others),
        on_epoch=mean.after,
    )
    took_s = time.process_time() - began
    if run.strategy != FULL:
        spent = spent.changed(images=course.images)
    pictures = list(images(camera, later.times_s))
    rows = [_row(run, spent, took_s) | _measured(student, pictures, later, device)]
    mean.put_in()
    own = _row(replace(run, average=True), spent, took_s)
    return [*rows, own | _measured(student, pictures, later, device)]


def _full() -> tuple[Portions, tuple[int, ...], list[int]]:
    """Full training: every frame of the day, a dozen epochs; what it costs is of a whole day."""
    epochs = RECIPES["mirrored"].full_epochs
    images = images_of(RECIPES["mirrored"], DAY_FRAMES, epochs)
    whole = Portions(looks=0, labels=DAY_FRAMES, keep=DAY_FRAMES, epochs=epochs, images=images)
    return whole, tuple(range(TRAIN_FRAMES)), []


def _chosen(day: Day, run: Run) -> tuple[Portions, tuple[int, ...], list[int]]:
    """What the budget pays for, the frames to train on, and those that are labelled only."""
    portions = portions_of(run, seconds_of(run))
    kept, labelled = choose(day, run, portions)
    spent = portions.changed(labels=len(labelled), keep=len(kept))
    return spent, kept, sorted(set(labelled) - set(kept))


def _row(run: Run, spent: Portions, took_s: float) -> Row:
    paid = spent.changed(looks=0) if run.looks_free else spent
    return {
        **asdict(run),
        "kind": "synthetic",
        **spent.model_dump(exclude={"epochs"}),
        "shown": spent.epochs,
        "cost_s": cost_s(paid, seconds_of(run)),
        "train_cpu_s": took_s,
        "default": run.strategy == CullingSettings().strategy,
    }


def _measured(
    student: TorchDetector, pictures: Sequence[NDArray[np.uint8]], later: Day, device: str
) -> Row:
    """The student on the pictures of the next day."""
    watching = at_work(student, "auto")
    found = [d for picture in pictures for d in watching.predict([picture])]
    accuracy = coco_map(found, later.teacher, student.class_names)
    return {
        "map50": accuracy.score.value,
        "map": accuracy.further[0].value,
        "per_class": accuracy.per_class,
        "device": device_name(device),
    }


def device_name(device: str) -> str:
    """The device as a row names it."""
    return torch.cuda.get_device_name() if device == "cuda" else "cpu"


class _MeanWeights:
    """The mean of a net's weights after each epoch from `begin` on (Izmailov et al., 2018)."""

    def __init__(self, model: nn.Module, begin: float) -> None:
        self._model, self._begin = model, begin
        self._sums: dict[str, Tensor] = {}
        self._count = 0

    def after(self, point: EpochPoint) -> None:
        """Count this epoch's weights in."""
        if point.epoch <= self._begin:
            return
        self._count += 1
        for name, value in self._model.state_dict().items():
            own = value.detach().double()
            self._sums[name] = self._sums.get(name, torch.zeros_like(own)) + own

    def put_in(self) -> None:
        """Give the net the mean."""
        state = self._model.state_dict()
        self._model.load_state_dict(
            {name: (s / self._count).to(state[name].dtype) for name, s in self._sums.items()}
        )
