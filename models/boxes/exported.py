"""An exported student, opened again as a detector, and how far two detectors agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models.boxes.detections import Detections, Detector, match
from models.boxes.export import SUFFIXES, ExportError, open_script, read_about
from models.boxes.families.base import ForeignOptions, with_usual
from models.boxes.foreign import ForeignDetector
from models.images import resize

CLOSE_PX, CLOSE_SCORE = 0.5, 0.01
"""Two detectors agree on an object where their boxes, and their scores, lie no further apart."""
SMALLEST_SCORE = 1e-3
"""Rows without an object have score 0."""


class ExportedDetector:
    """A file of `culling export`. It is fed as the student is: resized by area, then asked."""

    def __init__(self, path: Path, *, threads: int = 1) -> None:
        self.about = read_about(path)
        self._size: tuple[int, int] = (self.about["height_px"], self.about["width_px"])
        self._net: Detector
        if path.suffix == SUFFIXES["torchscript"]:
            self._net = _Script(path, self.class_names)
        else:
            self._net = ForeignDetector(path, foreign_options(self.about), threads=threads)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the labels."""
        return tuple(self.about["class_names"])

    def predict(self, images: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        """See `models.base.Detector.predict`; the images need not be of one size."""
        return [self._predict_one(image) for image in images]

    def _predict_one(self, image: NDArray[np.uint8]) -> Detections:
        height, width = self._size
        found = self._net.predict([resize(image, height, width)])[0]
        down, across = image.shape[0] / height, image.shape[1] / width
        boxes = found.boxes_xyxy * np.array([across, down, across, down], np.float32)
        return Detections(boxes, found.scores, found.labels)


def foreign_options(about: dict[str, Any]) -> ForeignOptions:
    """How `models.boxes.foreign` reads an exported ONNX or OpenVINO file."""
    layout = about.get("layout", "ours")
    return with_usual(
        class_names=tuple(about["class_names"]),
        outputs="boxes-scores-labels" if layout == "ours" else layout,
        box_units="shares" if layout == "ssd" else "pixels",
        channel_order="rgb",
        min_score=SMALLEST_SCORE,
    )


class _Script:
    """A TorchScript file at its own size."""

    def __init__(self, path: Path, class_names: tuple[str, ...]) -> None:
        self._net = open_script(path)
        self.class_names = class_names

    def predict(self, images: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        try:
            with torch.inference_mode():
                raw = [self._net(torch.from_numpy(i).permute(2, 0, 1).float()) for i in images]
        except RuntimeError as exc:
            last = str(exc).strip().splitlines()[-1]
            message = f"the TorchScript file does not run: {last}"
            raise ExportError(message) from exc
        return [_rows(*(part.numpy() for part in parts)) for parts in raw]


def _rows(
    boxes: NDArray[np.float32], scores: NDArray[np.float32], labels: NDArray[np.int64]
) -> Detections:
    keep = (scores >= SMALLEST_SCORE) & (labels >= 0) & (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    return Detections(boxes[keep], np.minimum(scores[keep], 1), labels[keep])


# --- agreement -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far two detectors say the same of `frames` frames: of `boxes` boxes with a working score
    in either, `unmatched` have none in the other; the others differ by at most so much."""

    frames: int
    boxes: int
    unmatched: int
    max_box_px: float
    max_score: float

    @property
    def is_close(self) -> bool:
        """Whether those that have a partner are as good as the same."""
        return self.max_box_px <= CLOSE_PX and self.max_score <= CLOSE_SCORE


def agreement(
    ours: Sequence[Detections], theirs: Sequence[Detections], *, min_score: float
) -> Agreement:
    """Compare frame by frame, both ways: a box of `min_score` or more in one is looked for among
    all boxes of the other, since one at the threshold may lie a hair above it here and below it
    there. No frame and no box agree."""
    boxes = unmatched = 0
    box_px = score = 0.0
    for a, b in zip(ours, theirs, strict=True):
        for one, other in ((a, b), (b, a)):
            clear = one.above(min_score)
            partner = match(clear, other)
            there = partner >= 0
            boxes += len(clear)
            unmatched += int((~there).sum())
            if there.any():
                apart = clear.boxes_xyxy[there] - other.boxes_xyxy[partner[there]]
                box_px = max(box_px, float(np.abs(apart).max()))
                gap = clear.scores[there] - other.scores[partner[there]]
                score = max(score, float(np.abs(gap).max()))
    return Agreement(len(ours), boxes, unmatched, box_px, score)
