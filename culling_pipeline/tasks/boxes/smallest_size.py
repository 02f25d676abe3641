"""The smallest image size at which boxes are still large enough to be found (optResolution)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models.boxes.detections import Detections

SMALL_SHARE = 0.1
"""This share of each class's objects may be smaller than allowed: distant or half hidden ones."""


def smallest_scale_for(
    labels: Sequence[Detections], *, shrink: float, min_object_px: float
) -> float:
    """The scale, at most 1, at which nine in ten objects of every class still have a side (the root
    of a box's area) of `min_object_px`. `shrink` is full size over the labels' frame size.

    1 if nothing is labelled, because then nothing shows that a smaller picture is enough.
    """
    boxes = np.concatenate([d.boxes_xyxy for d in labels]) if labels else np.zeros((0, 4))
    if not len(boxes):
        return 1.0
    classes = np.concatenate([d.labels for d in labels])
    sides = shrink * np.sqrt(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1, dtype=np.float64))
    small = min(
        np.quantile(sides[classes == label], SMALL_SHARE, method="lower")
        for label in np.unique(classes)
    )
    return min(1.0, float(min_object_px / small))
