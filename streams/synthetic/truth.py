"""True boxes and labels of a synthetic picture, read from who owns which pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

CLASS_NAMES = ("person", "car", "bicycle")
"""What the labels of a synthetic camera mean, in order."""

MIN_VISIBLE = 0.35
"""An object counts as a true box when at least this share of it is in view and not hidden …"""
MIN_SIDE = 0.03
"""… and its visible box is at least this share of the frame's height on its shorter side."""


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """True boxes of a moment: N×4 float32 x1 y1 x2 y2 in pixels of what can be seen of each
    object, and N int64 labels, index into `CLASS_NAMES`."""

    boxes_xyxy: NDArray[np.float32]
    labels: NDArray[np.int64]

    @property
    def points(self) -> NDArray[np.float32]:
        """The middle of each box: N×2 float32, x and y in pixels."""
        return np.asarray((self.boxes_xyxy[:, :2] + self.boxes_xyxy[:, 2:]) / 2, np.float32)


@dataclass(frozen=True, slots=True)
class Painted:
    """An object that was painted: its number on the owner map (1…254), its class and its whole
    area in pixels, hidden and out of the frame parts included."""

    owner: int
    kind: str
    area: int


def true_boxes(owners: NDArray[np.uint8], painted: Sequence[Painted]) -> Truth:
    """The boxes of those objects of which enough can be seen. `owners` (H×W) holds the number of
    what was painted last on each pixel."""
    boxes, labels = [], []
    least = MIN_SIDE * owners.shape[0]
    for thing in painted:
        mask = (owners == thing.owner).astype(np.uint8)
        x, y, w, h = cv2.boundingRect(mask)
        seen = int(cv2.countNonZero(mask))
        if seen >= MIN_VISIBLE * thing.area and min(w, h) >= least:
            boxes.append((x, y, x + w, y + h))
            labels.append(CLASS_NAMES.index(thing.kind))
    return Truth(np.array(boxes, np.float32).reshape(-1, 4), np.array(labels, np.int64).reshape(-1))
