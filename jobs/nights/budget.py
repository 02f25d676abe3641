"""A camera's budget for a night: what an image costs on this machine, and what that pays for."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from culling_pipeline.culling.budget import (
    DAY_FRAMES,
    Wishes,
    cost_s,
    divide,
    full_training_s,
)
from culling_pipeline.culling.strategies import STRATEGIES
from culling_pipeline.records.costs import (
    Activity,
    BudgetRecord,
    Portions,
    SecondsPerImage,
    mean_seconds,
)
from culling_pipeline.records.night import NightRecord
from jobs.config.night import MOST_HELD, TrainingSettings
from jobs.config.settings import CameraConfig
from jobs.nights.plans import images_of, night_judging
from streams.base import DAY_S

BY_HAND, LAST_NIGHT, TRIAL = "the configuration", "the last night", "a short trial"
_ACTIVITIES: tuple[Activity, ...] = ("look", "label", "train")
_LEAST_IMAGES = 32
"""A ledger that saw fewer images says little of what one costs."""


def budget_of(
    camera: CameraConfig,
    seconds: SecondsPerImage,
    known_from: str,
    *,
    frames: int | None,
    looks_free: bool,
    drawn: str = "",
    earlier: int = 0,
) -> BudgetRecord:
    """The budget of a night on so many frames (None: a whole day's) at these seconds an image.

    `looks_free`: the day was watched as it went by, so that the looks are paid for already.
    `drawn`: why frames will be drawn at random, so that looks serve the day's course only.
    `earlier`: how many frames of earlier nights can be trained on again.
    """
    culling = camera.culling
    full_s = full_seconds(camera.training, seconds)
    total_s = culling.budget_s or float(culling.budget) * full_s
    wishes = replace(_wishes(camera, frames=frames, watched=looks_free), earlier=earlier)
    if looks_free:
        wishes, seconds = replace(wishes, looks=None), seconds.changed(look=0.0)
    if drawn:
        wishes = replace(wishes, labels_per_kept=1.0, looks=camera.culling.control.frames)
    own = _with_the_rest(
        divide(total_s, seconds, wishes, _images_of(camera)),
        wishes,
        seconds=seconds,
        budget_s=total_s,
    )
    lottery = None
    if night_judging(camera).compare_random and not drawn:
        blind = replace(wishes, keep=None, labels_per_kept=1.0, looks=0)
        lottery = divide(cost_s(own, seconds), seconds, blind, _images_of(camera))
    return BudgetRecord(
        total_s=total_s,
        share=None if culling.budget_s else float(culling.budget),
        seconds=seconds,
        known_from=known_from,
        own=own,
        lottery=lottery,
        looks_free=looks_free,
        drawn=drawn,
    )


def full_seconds(training: TrainingSettings, seconds: SecondsPerImage) -> float:
    """What full training on a whole day costs."""
    shown = images_of(training, DAY_FRAMES, training.full_epochs)
    return full_training_s(seconds, frames=DAY_FRAMES, images=shown)


def seconds_of_night(record: NightRecord) -> SecondsPerImage | None:
    """What an image cost in this night; None where its ledger says too little."""
    found = {of: mean_seconds(record.ledger, of, least_images=_LEAST_IMAGES) for of in _ACTIVITIES}
    if not all(found.values()):
        return None
    return SecondsPerImage.model_validate(found)


def _wishes(camera: CameraConfig, *, frames: int | None, watched: bool) -> Wishes:
    culling, training = camera.culling, camera.training
    frames = max(1, frames or math.ceil(DAY_S / camera.sample_interval_s))
    two_steps = STRATEGIES[culling.strategy].uses_teacher
    looks: int | None = frames if culling.looks == "all" else culling.looks
    if culling.gate.enabled or culling.gate.every > 1:
        looks = max(1, round(frames / culling.gate.every))
    return Wishes(
        frames=frames,
        most=culling.held if watched else max(culling.held, MOST_HELD),
        labels_per_kept=culling.survivors_ratio if two_steps else 1.0,
        keep=culling.keep,
        epochs=training.epochs,
        looks=0 if culling.strategy in ("random", "uniform") else looks,
        replay=training.replay,
    )


def _images_of(camera: CameraConfig) -> Callable[[int, int], int]:
    return lambda frames, epochs: images_of(camera.training, frames, epochs)


def _with_the_rest(
    portions: Portions, wishes: Wishes, *, seconds: SecondsPerImage, budget_s: float
) -> Portions:
    """Where frames and epochs are fixed, what is left of the budget goes into looks."""
    if wishes.looks is not None or wishes.keep is None or not seconds.look:
        return portions
    left = int((budget_s - cost_s(portions, seconds)) / seconds.look)
    return portions.changed(looks=min(wishes.frames, portions.looks + max(0, left)))
