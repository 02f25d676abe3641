"""Which of the teacher's boxes are used: those certain and large enough to learn from."""

from __future__ import annotations

import numpy as np

from models.boxes.detections import Detections


def clean_labels(
    teacher: Detections,
    *,
    height_px: int,
    width_px: int,
    min_score: float,
    min_side: float,
) -> Detections:
    """The teacher's boxes that are good enough to learn from, cut to the frame; may be empty.

    Kept are those with a score of `min_score` or more and both sides, after cutting, at least
    `min_side` of the frame's shorter side. The authors' code asks for 20 px, whatever the frame;
    relative to the frame it means the same at every resolution (20 px at 720p, 10 px at 360p).
    """
    if not 0 <= min_side < 1:
        message = f"min_side: got {min_side}, must lie in 0…1 (a share of the frame's shorter side)"
        raise ValueError(message)
    found = teacher.above(min_score)
    limit = np.array([width_px, height_px, width_px, height_px], np.float32)
    boxes = np.clip(found.boxes_xyxy, np.float32(0), limit)
    sides = boxes[:, 2:] - boxes[:, :2]  # [N,2]
    shortest = min(height_px, width_px) * min_side
    large = (sides > 0).all(axis=1) & (sides >= shortest - 1e-4).all(axis=1)
    return Detections(boxes[large], found.scores[large], found.labels[large])
