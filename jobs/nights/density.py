"""`culling density train` and `evaluate`: a counting net on a data set of points."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from culling_pipeline.records.training import EpochPoint
from culling_pipeline.run.progress import Progress
from culling_pipeline.tasks.density.datasets import read_points
from culling_pipeline.tasks.density.datasets.base import PointsError
from culling_pipeline.tasks.density.gallery import Gallery
from culling_pipeline.tasks.density.metrics import DensityScores, need_extra
from culling_pipeline.training.density import (
    DensityPlan,
    losses_of,
    measure_density,
    train_density,
)
from culling_pipeline.training.loop import TrainingError
from jobs.cameras.detectors import bring_published, pick_device
from jobs.errors import NightError, UsageError
from jobs.program import code_version
from models.density.nets import NETS
from models.density.student import DensityStudent, load_density_student, new_density_student
from models.density.vgg import VGG, begin_with_vgg, takes_vgg
from models.errors import WeightsError
from models.files import TENSORS_SUFFIX, checkpoint_files, read_meta
from models.pretrained.catalogue import published
from models.pretrained.open import published_state

TRAIN, TEST = "train", "test"
COUNT = "count"
"""The scoring function that needs no trained model: how many there are."""
SCORED = ("curriculum", "clip", "clip-dap")
"""The schedules that sort the pictures by difficulty."""
TRAINING_META = "density_training"
"""Key of the weights' description: how they were trained, so that `evaluate` measures alike."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DensityWish:
    """What the operator asked for beside the plan: the data, the net, where to write.

    `difficulty` is CLIP's scoring function: `count`, or the weights of a trained net whose losses
    are taken. A front end that is VGG-16's begins with its published weights, or `from_scratch`.
    """

    data: Path
    out: Path
    net: str
    width: float
    class_name: str
    max_side_px: int
    difficulty: str
    from_scratch: bool
    device: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DensityTraining:
    """The result: the weights, the epochs trained now, and the figures on the test pictures."""

    weights: Path
    images: int
    epochs: tuple[EpochPoint, ...]
    test: DensityScores


def train(wish: DensityWish, plan: DensityPlan, progress: Progress) -> DensityTraining:
    """Train, measure and write the weights; the checkpoint beside them is then removed."""
    need_extra()
    _check(wish)
    gallery, test = (open_gallery(wish.data, s, wish.max_side_px, progress) for s in (TRAIN, TEST))
    _check_points(gallery, wish.data)
    student = _begin(wish, plan, progress)
    checkpoint = wish.out.with_suffix(".checkpoint")
    try:
        epochs = train_density(
            student,
            gallery,
            plan,
            difficulty=_difficulty(wish, gallery, plan),
            checkpoint=checkpoint,
            progress=progress,
            on_epoch=_told(progress),
        )
    except TrainingError as error:
        message = f"density train: {error}"
        raise NightError(message) from error
    _note_odd_points(gallery, wish.data, progress)
    found = measure_density(student, test, sigma_px=plan.sigma_px, progress=progress)
    training = {"sigma_px": plan.sigma_px, "max_side_px": wish.max_side_px}
    student.save(wish.out, **{TRAINING_META: training, "code": code_version()})
    checkpoint.unlink(missing_ok=True)
    return DensityTraining(
        weights=wish.out, images=sum(e.images for e in epochs), epochs=epochs, test=found
    )


def evaluate(
    data: Path, weights: Path, *, split: str, device: str, progress: Progress
) -> DensityScores:
    """The figures of trained weights on a split, at the size and the σ they were trained with."""
    need_extra()
    student = load_density_student(weights, pick_device(device))
    how = _training_of(weights)
    gallery = open_gallery(data, split, how["max_side_px"], progress)
    found = measure_density(student, gallery, sigma_px=how["sigma_px"], progress=progress)
    _note_odd_points(gallery, data, progress)
    return found


def open_gallery(data: Path, split: str, max_side_px: int, progress: Progress) -> Gallery:
    """The pictures of a split; each bad file is a line of its own."""
    try:
        found = read_points(data, split)
    except PointsError as error:
        raise UsageError(str(error)) from error
    for problem in found.problems:
        progress.note(problem)
    if found.problems:
        progress.note(f"{len(found.problems)} bad files of split {split!r} are left out")
    return Gallery(found.pictures, max_side_px=max_side_px)


def _check_points(gallery: Gallery, data: Path) -> None:
    """Refuse a data set in which nothing is counted, before hours of training on nothing."""
    there = np.flatnonzero(gallery.counts)
    if not len(there):
        message = (
            f"{data}: no picture of split {TRAIN!r} has a point: there is nothing to learn from"
        )
        raise UsageError(message)
    if any(len(gallery[int(number)].points) for number in there):  # the first, mostly
        return
    message = (
        f"{data}: not one point of split {TRAIN!r} lies in its picture: are x and y the other way "
        "round, or are they of pictures of another size?"
    )
    raise UsageError(message)


def _note_odd_points(gallery: Gallery, data: Path, progress: Progress) -> None:
    if gallery.outside:
        hint = f"; of {gallery.swapped} pictures x and y may be the other way round"
        progress.note(
            f"{data}: {gallery.outside} points outside of their pictures are left out"
            f"{hint if gallery.swapped else ''}"
        )
    if gallery.twice:
        progress.note(f"{data}: {gallery.twice} points stand where another stands: all count")


def _check(wish: DensityWish) -> None:
    if wish.out.suffix != TENSORS_SUFFIX:
        message = f"--out {wish.out}: must end in {TENSORS_SUFFIX}"
        raise UsageError(message)
    if wish.net not in NETS:
        message = f"--model {wish.net}: must be one of {', '.join(NETS)}"
        raise UsageError(message)


def _begin(wish: DensityWish, plan: DensityPlan, progress: Progress) -> DensityStudent:
    """The net before training. Without a network it begins with random numbers, and says so."""
    side = plan.crop_px or wish.max_side_px
    student = new_density_student(
        wish.net, wish.class_name, (side, side), width=wish.width, seed=plan.seed
    )
    if takes_vgg(wish.net, wish.width) and not wish.from_scratch:
        entry = published(VGG)
        assert entry is not None
        try:
            state = published_state(entry, bring_published(entry, progress))
            begin_with_vgg(student.model, state, source=VGG)
        except WeightsError as error:
            progress.note(f"begins with random numbers, which takes far longer: {error}")
    return DensityStudent(student.model, student.spec, device=pick_device(wish.device))


def _difficulty(
    wish: DensityWish, gallery: Gallery, plan: DensityPlan
) -> NDArray[np.float64] | None:
    """How difficult each picture is, where the schedule asks for it."""
    if plan.schedule not in SCORED:
        return None
    if wish.difficulty == COUNT:
        return gallery.counts
    scorer = load_density_student(Path(wish.difficulty), pick_device(wish.device))
    return losses_of(scorer, gallery, plan.sigma_px)


def _told(progress: Progress) -> Callable[[EpochPoint], None]:
    def tell(point: EpochPoint) -> None:
        progress.note(f"epoch {point.epoch}: {point.images} pictures, loss {point.loss:.4g}")

    return tell


def _training_of(weights: Path) -> dict[str, Any]:
    how = read_meta(checkpoint_files(weights)[1]).get(TRAINING_META)
    if not isinstance(how, dict) or not {"sigma_px", "max_side_px"} <= how.keys():
        message = f"{weights}: not trained by `culling density train`: its σ and size are not known"
        raise UsageError(message)
    return how
