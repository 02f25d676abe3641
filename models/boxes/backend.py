"""How a torchvision detector is run: as it is, or arranged for the CPU (`models.boxes.lean`).

What is arranged has to say the same. That is seen each time a detector is opened, on pictures that
are always the same, so that all processes of a night decide alike.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.ops import MultiScaleRoIAlign

from models.base import Backend
from models.boxes.detector import TorchDetector, set_image_size
from models.boxes.exported import agreement
from models.boxes.lean.detector import LeanDetector, why_not
from models.boxes.lean.packed import table
from models.boxes.lean.regions import SmallTable, apart, margin
from models.images import scaled, to_tensor

logger = logging.getLogger(__name__)

TORCH = "torch"

MIN_SCORE = 0.05
"""Boxes of this score or more are compared."""
CLOSE_LEVELS = 1e-3
"""The pyramid's numbers may differ by this share of the largest."""
TRIAL_SIDE_PX = 320
"""The trial picture's longer side at most: it costs a second then for the largest nets."""


def at_work(plain: TorchDetector, backend: Backend) -> TorchDetector | LeanDetector:
    """The detector as it is to be run. `auto` and `lean` fall back to torchvision's own way where
    the net cannot be arranged or then says something else; the log says why, once."""
    if backend == TORCH:
        return plain
    reason = why_not(plain)
    if reason is None:
        lean = LeanDetector(plain)
        reason = disagreement(plain, lean)
        if reason is None:
            return lean
        _tell(logging.WARNING, plain.spec.architecture, reason)
    else:
        _tell(
            logging.WARNING if backend == "lean" else logging.INFO, plain.spec.architecture, reason
        )
    return plain


@cache
def _tell(level: int, architecture: str, reason: str) -> None:
    logger.log(level, "%s is run by torchvision as it is: %s", architecture, reason)


def disagreement(plain: TorchDetector, lean: LeanDetector) -> str | None:
    """What an arranged detector says otherwise, in words; None if nothing. Where only its first
    look is too rough, it is made to do without."""
    spec = plain.spec
    size = scaled(
        spec.height_px,
        spec.width_px,
        min(1.0, TRIAL_SIDE_PX / max(spec.height_px, spec.width_px)),
    )
    image = trial_picture(*size)
    with _pooling_unset(plain.model):
        theirs, ours = plain.at_size(*size), lean.at_size(*size)
        share = _levels_apart(theirs, ours, image)
        if not share <= CLOSE_LEVELS:
            return f"arranged, its features differ by {share:.2g} of the largest"
        if lean.regions.looks_twice:
            error = first_look_error(ours, image)
            lean.regions.looks_twice = error <= margin(lean.regions.least_score) / 2
        near = agreement(theirs.predict([image]), ours.predict([image]), min_score=MIN_SCORE)
    if near.unmatched:
        return f"arranged, it has {near.unmatched} of {near.boxes} boxes that are not the same"
    if not near.is_close:
        return f"arranged, it differs by {near.max_box_px:.2g} px and {near.max_score:.2g} of score"
    return None


@contextmanager
def _pooling_unset(model: Any) -> Iterator[None]:
    """torchvision's pooling keeps the scales of the first size it sees: that is not to be ours."""
    pool = model.roi_heads.box_roi_pool
    kept = getattr(pool, "scales", None), getattr(pool, "map_levels", None)
    if isinstance(pool, MultiScaleRoIAlign):
        pool.scales = pool.map_levels = None
    try:
        yield
    finally:
        if isinstance(pool, MultiScaleRoIAlign):
            pool.scales, pool.map_levels = kept


def _levels_apart(plain: TorchDetector, lean: LeanDetector, image: NDArray[np.uint8]) -> float:
    """How far the pyramids differ, as a share of the largest number; not finite if either is."""
    model: Any = plain.model
    set_image_size(model, plain.spec.height_px, plain.spec.width_px)
    with torch.inference_mode():
        padded = model.eval().transform([to_tensor(image)])[0].tensors
        theirs: list[Tensor] = list(model.backbone(padded).values())
        ours = lean.levels(lean.placed(image))
    largest = max(float(level.abs().max()) for level in theirs)
    apart_by = [float((a - b).abs().max()) for a, b in zip(ours, theirs, strict=True)]
    return max(apart_by) / max(largest, torch.finfo(torch.float32).tiny)


def first_look_error(lean: LeanDetector, image: NDArray[np.uint8]) -> float:
    """By how much the first look is off at most, in log-odds, over all regions of an image."""
    regions, size = lean.regions, (image.shape[0], image.shape[1])
    with torch.inference_mode():
        placed = lean.placed(image)
        levels = lean.levels(placed)
        boxes, pooling = lean.proposals(levels, placed, size), lean.pooling(levels)
        tables, level_of = [table(level) for level in levels[:-1]], pooling.levels(boxes)
        bags = pooling.bags(boxes, level_of)
        rough = regions.at_first_look(SmallTable(tables), bags, level_of, pooling.side)
        exact = regions.in_full(torch.cat(tables), bags, pooling.side)[0]
    return apart(rough, exact)


def trial_picture(height_px: int, width_px: int) -> NDArray[np.uint8]:
    """A picture with soft ground and things of all sizes on it, H×W×3 uint8: always the same for
    the same size."""
    rng = np.random.default_rng(0)
    ground = rng.integers(40, 200, (6, 8, 3)).astype(np.float32)
    picture = cv2.resize(ground, (width_px, height_px), interpolation=cv2.INTER_CUBIC)
    for _ in range(24):
        wide = int(width_px * rng.uniform(0.01, 0.2)) + 2
        high = int(wide * rng.uniform(0.4, 2.5)) + 2
        x, y = (int(v) for v in rng.integers((0, 0), (width_px, height_px)))
        colour = tuple(int(v) for v in rng.integers(0, 256, 3))
        cv2.rectangle(picture, (x, y), (x + wide, y + high), colour, -1)
        cv2.circle(picture, (x + wide // 2, y), max(1, wide // 3), colour[::-1], -1)
    noisy = picture + rng.normal(0, 6, picture.shape)
    return np.asarray(np.clip(noisy, 0, 255), np.uint8)
