"""A Faster R-CNN with its parts arranged for a CPU, as a `models.base.Detector`."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.rpn import RPNHead
from torchvision.ops import MultiScaleRoIAlign
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from models.boxes.detections import Detections
from models.boxes.detector import DetectorSpec, TorchDetector, read_output
from models.boxes.layout import AlignedPooling
from models.boxes.lean.packed import packing_works, table
from models.boxes.lean.pooling import RegionPooling
from models.boxes.lean.proposals import Proposals, Pyramid
from models.boxes.lean.regions import Regions
from models.boxes.lean.trunk import LeanTrunk
from models.images import resize


def why_not(plain: TorchDetector) -> str | None:
    """Why this detector cannot be arranged, in words; None where it can."""
    if plain.device.type != "cpu":
        return f"it runs on {plain.device.type}"
    if not packing_works():
        return "this CPU or this torch is not one it was made for (x86-64 with AVX2, oneDNN)"
    model: Any = plain.model
    if type(model) is not FasterRCNN or not isinstance(model.backbone, BackboneWithFPN):
        return f"{plain.spec.architecture} is no Faster R-CNN with a feature pyramid"
    fpn, heads = model.backbone.fpn, model.roi_heads
    usual = (
        isinstance(fpn.extra_blocks, LastLevelMaxPool)
        and all(len(block) == 1 for block in [*fpn.inner_blocks, *fpn.layer_blocks])
        and isinstance(model.rpn.head, RPNHead)
        and all(_is_conv_and_relu(part) for part in model.rpn.head.conv)
        and isinstance(heads.box_head, TwoMLPHead)
        and isinstance(heads.box_predictor, FastRCNNPredictor)
        and isinstance(heads.box_roi_pool, MultiScaleRoIAlign | AlignedPooling)
    )
    return None if usual else f"{plain.spec.architecture} has parts of another kind"


def _is_conv_and_relu(part: nn.Module) -> bool:
    return [type(p) for p in part.children()] == [nn.Conv2d, nn.ReLU]


class LeanDetector:
    """The net of a `TorchDetector` at its size; `why_not` must have nothing against it. Its weights
    are copied. One image at a time: larger batches do not fit in a CPU's cache."""

    backend = "lean"

    def __init__(self, plain: TorchDetector) -> None:
        model: Any = plain.model.eval()
        self.spec: DetectorSpec = plain.spec
        with torch.no_grad():
            self._trunk = LeanTrunk(model.backbone.body)
            self._pyramid = Pyramid(copy.deepcopy(model.backbone.fpn))
            self.proposals = Proposals(copy.deepcopy(model.rpn))
            self.regions = Regions(copy.deepcopy(model.roi_heads))
        self._pool, self._step = model.roi_heads.box_roi_pool, model.transform.size_divisible
        self._pooling: RegionPooling | None = None
        mean, std = (
            torch.tensor(model.transform.image_mean),
            torch.tensor(model.transform.image_std),
        )
        self._gain, self._shift = 1 / (255 * std), -mean / std

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the labels."""
        return self.spec.class_names

    def at_size(self, height_px: int, width_px: int) -> LeanDetector:
        """The same net working at another size; the two can be used side by side."""
        other = copy.copy(self)
        other.spec = replace(self.spec, height_px=height_px, width_px=width_px)
        other._pooling = None
        return other

    def predict(self, images: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        """See `models.base.Detector.predict`."""
        height, width = self.spec.height_px, self.spec.width_px
        found = []
        for image in images:
            with torch.inference_mode():
                output = self._found(resize(image, height, width))
            found.append(read_output(output, image.shape[0] / height, image.shape[1] / width))
        return found

    def _found(self, image: NDArray[np.uint8]) -> dict[str, Tensor]:
        size = image.shape[0], image.shape[1]
        placed = self.placed(image)
        levels = self.levels(placed)
        boxes = self.proposals(levels, placed, size)
        tables = [table(level) for level in levels[:-1]]
        return self.regions(tables, boxes, self.pooling(levels), size)

    def placed(self, image: NDArray[np.uint8]) -> Tensor:
        """The net's input: 1×3×H×W in channels-last order, padded with 0 at the right and below."""
        height, width = (-(-side // self._step) * self._step for side in image.shape[:2])
        canvas = torch.zeros(1, height, width, 3)
        pixels = torch.from_numpy(np.ascontiguousarray(image)).float()
        canvas[0, : image.shape[0], : image.shape[1]] = pixels.mul_(self._gain).add_(self._shift)
        return canvas.permute(0, 3, 1, 2)

    def levels(self, placed: Tensor) -> list[Tensor]:
        """The feature pyramid, the finest level first; regions are not looked up on the last."""
        return self._pyramid(list(self._trunk(placed).values()))

    def pooling(self, levels: Sequence[Tensor]) -> RegionPooling:
        """How regions are looked up on these levels."""
        if self._pooling is None:
            sizes = [(level.shape[2], level.shape[3]) for level in levels[:-1]]
            size = self.spec.height_px, self.spec.width_px
            self._pooling = RegionPooling(self._pool, sizes, size)
        return self._pooling
