"""Ignore zones for boxes: detections whose centre lies in a zone are dropped.

Training takes neither objects nor background from there (`losses.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.base import Wrapping
from models.boxes.detections import Detections, Detector
from models.zones import Zones


def outside(zones: Zones, found: Detections, height_px: int, width_px: int) -> Detections:
    """The detections that count: those whose centre lies in no zone."""
    if not zones or not len(found):
        return found
    boxes = found.boxes_xyxy.astype(np.float64)
    x = (boxes[:, 0] + boxes[:, 2]) / (2 * width_px)
    y = (boxes[:, 1] + boxes[:, 3]) / (2 * height_px)
    return found.where(~zones.holds(x, y))


class IgnoringDetector(Wrapping):
    """A detector that says nothing of what lies in the zones."""

    def __init__(self, detector: Detector, zones: Zones) -> None:
        super().__init__(detector)
        self._zones = zones

    def predict(self, images: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        """See `models.base.Model`."""
        found = self.inner.predict(images)
        return [
            outside(self._zones, detections, *image.shape[:2])
            for detections, image in zip(found, images, strict=True)
        ]


@dataclass(frozen=True, slots=True)
class OpenIgnoring:
    """Opens a detector that ignores the zones, in whichever process it is called."""

    build: Callable[[], Detector]
    zones: Zones

    def __call__(self) -> Detector:
        detector = self.build()
        return IgnoringDetector(detector, self.zones) if self.zones else detector
