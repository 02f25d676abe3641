"""The student's uncertainty on a frame: the confidence loss of Dataset Culling, sec. 2.1.

It needs no label, only the student's scores, so it can be computed on every frame of the day.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from culling_pipeline.ranges import Flag, Positive, Real, Share, check
from models.boxes.detections import Detections

Reduce = Literal["sum", "mean", "max"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfidencePlan:
    """How L_conf is computed (Dataset Culling, sec. 2.1).

    Detections below `min_score` do not count, as in the authors' code: a detector's hundreds of
    near-zero boxes would each add f(0) and drown the rest.
    """

    q: Positive
    b: Real
    min_score: Share
    reduce: Reduce
    standardise: Flag

    def __post_init__(self) -> None:
        check(self)

    def loss_of(self, detections: Detections) -> float:
        """L_conf of one frame (`standardise` needs the whole day and is not applied here)."""
        return frame_loss(
            detections, min_score=self.min_score, reduce=self.reduce, q=self.q, b=self.b
        )

    def class_losses_of(self, detections: Detections, n_classes: int) -> NDArray[np.float64]:
        """One frame's row of what `standardise` is about: C float64."""
        return class_losses(detections, n_classes, min_score=self.min_score, q=self.q, b=self.b)


def confidence_loss(
    scores: NDArray[np.float32] | NDArray[np.float64], *, q: float, b: float
) -> NDArray[np.float64]:
    """f(x) = −x·ln x·q + (1 − x)·eˣ/(eˣ + 1) + b of each score, as printed in sec. 2.1.

    Any shape in, the same shape out (float64), empty included. f(0) is the limit, 0.5 + b;
    f(1) = b; the top is 1.988, at x ≈ 0.32, so an uncertain box counts about four times as
    much as a certain one.

    The paper contradicts itself: "b is a constant to set the intercept to zero", and "b = 0.5".
    As f(0) = 0.5 + b, a zero intercept asks for b = −0.5; with the printed +0.5 it is 1. We
    follow the number (so do the authors in their code, with log10 and q = 4): a certain box then
    still counts a little, so that of two equally uncertain frames the fuller one comes first.
    """
    x = np.asarray(scores, dtype=np.float64)
    outside = ~((x >= 0) & (x <= 1))
    if outside.any():
        message = f"scores must lie in 0…1, got {x[outside].flat[0]}: pass class probabilities"
        raise ValueError(message)
    entropy = -x * np.log(np.where(x > 0, x, 1.0))  # x·ln x → 0 for x → 0
    loss: NDArray[np.float64] = entropy * q + (1 - x) / (1 + np.exp(-x)) + b
    return loss


def frame_loss(
    detections: Detections, *, min_score: float, reduce: Reduce, q: float, b: float
) -> float:
    """L_conf of a whole frame: the losses of its detections of `min_score` or more, reduced.

    The paper's is the sum, which makes it "also a function of the total number of objects in
    the image": it favours crowded frames. `mean` and `max` do not. No detection gives 0.0, so an
    empty street at midnight is not taken for a difficult one.
    """
    losses = confidence_loss(detections.above(min_score).scores, q=q, b=b)
    if reduce not in ("sum", "mean", "max"):
        message = f"reduce: got {reduce!r}, must be 'sum', 'mean' or 'max'"
        raise ValueError(message)
    if losses.size == 0:
        return 0.0
    return float(getattr(losses, reduce)())


def class_losses(
    detections: Detections, n_classes: int, *, min_score: float, q: float, b: float
) -> NDArray[np.float64]:
    """The losses of one frame's detections of `min_score` or more, summed by class: C float64. With
    `standardise` over a day, every class weighs the same, as in the authors' code: without it, the
    class with the most objects decides alone."""
    kept = detections.above(min_score)
    if len(kept) and kept.labels.max() >= n_classes:
        message = f"labels: got {kept.labels.max()}, must be below n_classes = {n_classes}"
        raise ValueError(message)
    row = np.zeros(n_classes)
    np.add.at(row, kept.labels, confidence_loss(kept.scores, q=q, b=b))
    return row
