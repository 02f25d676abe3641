"""What a student's answer to a frame looks like as numbers: what it found, and where."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.fleet import HEIGHT_PX, WIDTH_PX
from models.boxes.detections import Detections

COLUMNS, ROWS, CLASSES = 16, 9, 3


def layout(answers: Sequence[Detections]) -> NDArray[np.float64]:
    """Where which class was found, weighted by its score: N×(16·9·3) float64."""
    table = np.zeros((len(answers), ROWS, COLUMNS, CLASSES))
    for row, answer in zip(table, answers, strict=True):
        centres = (answer.boxes_xyxy[:, :2] + answer.boxes_xyxy[:, 2:]) / 2
        x = np.clip(centres[:, 0] / WIDTH_PX * COLUMNS, 0, COLUMNS - 1).astype(int)
        y = np.clip(centres[:, 1] / HEIGHT_PX * ROWS, 0, ROWS - 1).astype(int)
        np.add.at(row, (y, x, answer.labels), answer.scores)
    return table.reshape(len(answers), -1)


def spread(features: NDArray[np.float64], count: int, first: int) -> list[int]:
    """Rows far from each other: each time the one farthest from those taken (k-centre, greedy)."""
    taken = [first]
    apart = np.linalg.norm(features - features[first], axis=1)
    while len(taken) < min(count, len(features)):
        row = int(apart.argmax())
        taken.append(row)
        apart = np.minimum(apart, np.linalg.norm(features - features[row], axis=1))
        apart[taken] = -1.0
    return taken
