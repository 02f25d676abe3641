"""What every detector has in common: the `Detector` protocol."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.boxes.detections import Detections


class Detector(Protocol):
    """Anything that finds boxes in frames: our own nets, torchvision's, OpenVINO's, ONNX's."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """What the labels mean: `Detections.labels` index this tuple."""

    def predict(self, images: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        """What is in each image (H×W×3 uint8 RGB, all of one size), in pixels of that image.

        Detections come best first and are not cut at a working threshold: the caller does that.
        """


def backend_of(detector: Detector) -> str:
    """How a detector is run (`models.boxes.backend`); empty for one that does not say."""
    return str(getattr(detector, "backend", ""))
