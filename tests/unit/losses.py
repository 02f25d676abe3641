"""A whole day's L_conf at once, to compare the frame-by-frame computation with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from culling_pipeline.tasks.base import standardise
from culling_pipeline.tasks.boxes.confidence import class_losses
from models.boxes.detections import Detections


def standardised_losses(
    frames: Sequence[Detections],
    n_classes: int,
    *,
    min_score: float = 0.2,
    q: float = 3.0,
    b: float = 0.5,
) -> NDArray[np.float64]:
    """L_conf of all frames of a day (F float64), every class weighing the same.

    As the authors' code does: the losses are summed per frame and class (`class_losses`), brought
    to mean 0 and deviation 1 per class over the day, and then added (`standardise`). Without it,
    the class with the most objects decides alone. No frame gives an empty array. These figures
    compare frames of one day only.
    """
    rows = [class_losses(d, n_classes, min_score=min_score, q=q, b=b) for d in frames]
    return standardise(np.array(rows).reshape(len(rows), n_classes))
