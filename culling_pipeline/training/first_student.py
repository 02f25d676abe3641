"""A first student: one net, trained on evenly drawn frames of several cameras that the teacher has
labelled. A night does the rest on each camera by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from culling_pipeline.day.even_sample import EvenSample
from culling_pipeline.day.frame_files import load_image
from culling_pipeline.records.training import TrainRecord
from culling_pipeline.tasks.answers import Truth
from culling_pipeline.tasks.base import Task
from culling_pipeline.tasks.samples import FLIPPED, Sample
from culling_pipeline.training.job import OnEpoch, train_to
from culling_pipeline.training.loop import TrainPlan
from culling_pipeline.training.options import EVERYTHING
from models.base import Trainable
from models.images import resize
from models.zones import NO_ZONES, Zones

SCRATCH_RATE, TRUNK_RATE = 2e-3, 5e-4
"""AdamW's rate for a net with random weights (docs/log/, in batches of 4) and for one with an
ImageNet backbone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraShare:
    """One camera's part: its frames in `folder`, the truth of each, the height and width the
    student works at there, and the ignore zones."""

    drawn: EvenSample
    folder: Path
    truths: Mapping[int, Truth]
    size: tuple[int, int]
    zones: Zones

    def samples(self, task: Task, canvas: tuple[int, int]) -> list[Sample]:
        """The frames to train on, on a canvas of that height and width."""
        zones = zones_on_canvas(self.zones, self.size, canvas)
        return [
            on_canvas(
                Sample(load_image(self.folder, f), self.truths[f.id]),
                task,
                self.size,
                canvas,
                zones,
            )
            for f in self.drawn.train
        ]


def first_plan(*, epochs: int, from_scratch: bool, seed: int) -> TrainPlan:
    """How a first student is trained: on all samples in every epoch, because nothing is known yet
    to choose by."""
    return TrainPlan(
        schedule="standard",
        epochs=epochs,
        batch_size=4,
        learning_rate=SCRATCH_RATE if from_scratch else TRUNK_RATE,
        weight_decay=1e-4,
        learning_rate_steps=tuple(sorted({round(epochs * 2 / 3), round(epochs * 11 / 12)} - {0})),
        learning_rate_drop=0.1,
        variation=FLIPPED,
        seed=seed,
        options=EVERYTHING,
    )


def canvas_of(sizes: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Height and width that hold pictures of all these sizes."""
    return max(height for height, _ in sizes), max(width for _, width in sizes)


def on_canvas(
    sample: Sample,
    task: Task,
    size: tuple[int, int],
    canvas: tuple[int, int],
    zones: Zones = NO_ZONES,
) -> Sample:
    """A sample at the size it is worked at, in the upper left of a black canvas, so that cameras of
    different shapes share batches and none is distorted."""
    (height_px, width_px), (height, width) = size, sample.image.shape[:2]
    picture = np.zeros((*canvas, 3), np.uint8)
    picture[:height_px, :width_px] = resize(sample.image, height_px, width_px)
    moved = task.resized(sample.truth, across=width_px / width, down=height_px / height)
    return Sample(picture, moved, zones.map() if zones else None, sample.scene)


def train_first_student(
    out: Path,
    start: Trainable,
    task: Task,
    shares: Sequence[CameraShare],
    plan: TrainPlan,
    *,
    on_epoch: OnEpoch | None = None,
) -> TrainRecord:
    """Train `start` in place on all cameras' frames and write it to `out`."""
    canvas = canvas_of([share.size for share in shares])
    samples = [sample for share in shares for sample in share.samples(task, canvas)]
    student = start.at_size(*canvas)
    return train_to(out, student, task, samples, plan, arm="first", on_epoch=on_epoch)


def zones_on_canvas(zones: Zones, size: tuple[int, int], canvas: tuple[int, int]) -> Zones:
    """Zones of pictures of this size, as shares of the canvas."""
    down, across = size[0] / canvas[0], size[1] / canvas[1]
    return Zones(tuple(tuple((x * across, y * down) for x, y in p) for p in zones.polygons))
