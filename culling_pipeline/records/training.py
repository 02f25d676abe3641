"""The size of the pictures and the training runs."""

from __future__ import annotations

from typing import Literal

from culling_pipeline.records.base import Record
from culling_pipeline.records.costs import Cost


class ScalePoint(Record):
    """One tried scale: mean squared change of L_conf relative to full size (Dataset Culling,
    sec. 2.2), and the computation per image relative to full size."""

    scale: float
    relative_mse: float
    computation: float


class ResolutionRecord(Record):
    """The resolution curve, full size first, and the scale chosen from it. `height_px`,
    `width_px` is full size: what the student works at on this camera at scale 1. At less than
    `objects_allow` the objects would be too small (`smallest_scale_for`); None: not looked at.
    Without a `threshold` L_conf has no say, and there are no points."""

    scale: float
    height_px: int
    width_px: int
    threshold: float | None
    points: tuple[ScalePoint, ...]
    student_passes: int
    costs: tuple[Cost, ...]
    objects_allow: float | None = None


class EpochPoint(Record):
    """One epoch of training: images trained on, mean loss, learning rate at its end."""

    epoch: int
    images: int
    loss: float
    learning_rate: float


class TrainRecord(Record):
    """One training run. `computation` is images trained on, as a share of standard training's; of
    the `images`, `corrected` are earlier frames whose labels people have corrected and `replayed`
    others of earlier nights' kept sets. `givers` are further labelled frames, not trained on, whose
    objects were pasted into those."""

    arm: Literal["culled", "random", "first"]
    schedule: str
    images: int
    corrected: int = 0
    replayed: int = 0
    givers: int = 0
    epochs: tuple[EpochPoint, ...]
    computation: float
    seed: int
    costs: tuple[Cost, ...]


class ArmsRecord(Record):
    """The training runs of a night: the candidate's, and the one on random frames."""

    culled: TrainRecord
    random: TrainRecord | None
