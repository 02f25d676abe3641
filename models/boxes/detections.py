"""Boxes and what a detector says about a frame: `Detections`, IoU and greedy matching."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.base import Model
from models.errors import ModelError


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """What one detector found in one frame, best first.

    `boxes_xyxy` is N×4 float32 in pixels of the frame (x1 < x2, y1 < y2); `scores` is N float32 in
    0…1; `labels` is N int64, index into the camera's class names, from 0 (no background). N may
    be 0. Anything else raises `ModelError` naming the first offending box.
    """

    boxes_xyxy: NDArray[np.float32]
    scores: NDArray[np.float32]
    labels: NDArray[np.int64]

    def __post_init__(self) -> None:
        boxes, scores, labels = self.boxes_xyxy, self.scores, self.labels
        if boxes.ndim != 2 or boxes.shape[1] != 4:
            message = f"boxes must be N×4, got shape {boxes.shape}"
            raise ModelError(message)
        if scores.shape != (len(boxes),) or labels.shape != (len(boxes),):
            message = (
                f"{len(boxes)} boxes need as many scores and labels, "
                f"got shapes {scores.shape} and {labels.shape}"
            )
            raise ModelError(message)
        if boxes.dtype != np.float32 or scores.dtype != np.float32 or labels.dtype != np.int64:
            message = (
                "boxes and scores must be float32 and labels int64, "
                f"got {boxes.dtype}, {scores.dtype} and {labels.dtype}"
            )
            raise ModelError(message)
        if len(boxes) == 0:
            return
        sane = np.isfinite(boxes).all(axis=1) & (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
        if not sane.all():
            index = int(np.flatnonzero(~sane)[0])
            message = (
                f"box {index} is degenerate: {boxes[index].tolist()} (must be x1 < x2, y1 < y2)"
            )
            raise ModelError(message)
        if not ((scores >= 0) & (scores <= 1)).all():
            message = f"scores must lie in 0…1, got {scores.min()}…{scores.max()}"
            raise ModelError(message)
        if labels.min() < 0:
            message = f"labels must be 0 or more, got {labels.min()}"
            raise ModelError(message)

    def __len__(self) -> int:
        return len(self.boxes_xyxy)

    @classmethod
    def empty(cls) -> Detections:
        """No detection at all."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))

    def where(self, mask: NDArray[np.bool_]) -> Detections:
        """Those detections for which `mask` (N bool) is true, order kept."""
        return Detections(self.boxes_xyxy[mask], self.scores[mask], self.labels[mask])

    def above(self, min_score: float) -> Detections:
        """Those detections with a score of `min_score` or more."""
        return self.where(self.scores >= min_score)


def iou_matrix(a_xyxy: NDArray[np.float32], b_xyxy: NDArray[np.float32]) -> NDArray[np.float32]:
    """Intersection over union of every box of a (N×4) with every box of b (M×4): N×M float32.

    Empty inputs give an empty matrix of the right shape.
    """
    low = np.maximum(a_xyxy[:, None, :2], b_xyxy[None, :, :2])
    high = np.minimum(a_xyxy[:, None, 2:], b_xyxy[None, :, 2:])
    inter = np.clip(high - low, 0, None).prod(axis=2)
    area_a = (a_xyxy[:, 2:] - a_xyxy[:, :2]).prod(axis=1)
    area_b = (b_xyxy[:, 2:] - b_xyxy[:, :2]).prod(axis=1)
    union = area_a[:, None] + area_b[None, :] - inter
    iou: NDArray[np.float32] = (inter / np.maximum(union, np.finfo(np.float32).tiny)).astype(
        np.float32
    )
    return iou


def match(found: Detections, truth: Detections, *, min_iou: float = 0.5) -> NDArray[np.int64]:
    """Greedy matching, as in COCO: each found box, best score first, takes the free true box of
    its own class that overlaps it most, if by `min_iou` or more.

    Returns N int64 (N = len(found)): the index of the true box, or -1 for a false one. No true
    box is taken twice.
    """
    taken = np.full(len(found), -1, np.int64)
    if len(found) == 0 or len(truth) == 0:
        return taken
    iou = iou_matrix(found.boxes_xyxy, truth.boxes_xyxy)
    iou[found.labels[:, None] != truth.labels[None, :]] = -1.0
    for index in np.argsort(-found.scores, kind="stable"):
        best = int(iou[index].argmax())
        if iou[index, best] >= min_iou:
            taken[index] = best
            iou[:, best] = -1.0
    return taken


class Detector(Model, Protocol):
    """Anything that finds boxes in frames: our own nets, torchvision's, OpenVINO's, ONNX's."""

    def predict(self, images: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        """What is in each image (H×W×3 uint8 RGB, all of one size), in pixels of that image.

        Detections come best first and are not cut at a working threshold: the caller does that.
        """
