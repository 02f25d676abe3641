"""Student and teacher as torchvision detectors: how one is built, sized, fed and read.

The image size belongs to the camera. torchvision resizes every input to its own `min_size` (800
by default), so a down-sampled frame would be blown up again and nothing saved; here the size is
set on the model, and `Detector.predict` brings frames to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
import torchvision
from numpy.typing import NDArray
from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.transform import GeneralizedRCNNTransform

from models.boxes.detections import Detections
from models.boxes.layout import LAYOUTS, lay_out
from models.boxes.resnet import LAYERS, ResNetTrunk
from models.checkpoint import check_fits, load_into
from models.errors import ModelError
from models.images import resize, to_tensor
from models.shapes import shapes_only


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorSpec:
    """All that is needed to build a detector again; stored beside its weights.

    `architecture` is one of ours (`resnet18`, `resnet34`, `resnet50`, `resnet101`: Faster R-CNN
    with FPN) or the name of a torchvision detection builder, such as
    `fasterrcnn_mobilenet_v3_large_fpn`; `width` multiplies the channels of ours. `anchor_px` are
    the anchor sides of the five FPN levels, `proposals` the regions the second stage looks at:
    both only for ours. `height_px`, `width_px` is the size the net sees. `layout` says whose way
    the net works (`models.boxes.layout.LAYOUTS`): converted weights need their own framework's.
    """

    architecture: str
    class_names: tuple[str, ...]
    height_px: int
    width_px: int
    width: float = 1.0
    anchor_px: tuple[int, int, int, int, int] = (32, 64, 128, 256, 512)
    proposals: int = 1000
    layout: str = "torchvision"


SLIM_ANCHOR_PX = (8, 16, 32, 64, 128)
"""Anchors for small frames (about 320×192), where a person far off is ten pixels tall."""


def build_model(spec: DetectorSpec) -> nn.Module:
    """A torchvision detection model with random weights, ready for `spec`'s classes and size."""
    if not spec.class_names:
        message = "a detector needs at least one class name"
        raise ModelError(message)
    ours = spec.architecture in LAYERS
    if spec.layout not in LAYOUTS or (not ours and spec.layout != "torchvision"):
        allowed = ", ".join(LAYOUTS) if ours else "torchvision"
        message = f"layout {spec.layout!r} of {spec.architecture}: allowed: {allowed}"
        raise ModelError(message)
    model: nn.Module = _build_ours(spec) if ours else _build_torchvision(spec)
    set_image_size(model, spec.height_px, spec.width_px)
    return model


def _build_ours(spec: DetectorSpec) -> nn.Module:
    trunk = ResNetTrunk(spec.architecture, width=spec.width)
    channels = max(64, round(256 * spec.width))
    backbone = BackboneWithFPN(
        trunk,
        return_layers={f"layer{k + 1}": str(k) for k in range(4)},
        in_channels_list=trunk.stage_channels,
        out_channels=channels,
    )
    hidden = max(256, round(1024 * spec.width))
    model = FasterRCNN(
        backbone,
        rpn_anchor_generator=AnchorGenerator(
            tuple((side,) for side in spec.anchor_px), ((0.5, 1.0, 2.0),) * 5
        ),
        box_head=TwoMLPHead(channels * 7 * 7, hidden),
        box_predictor=FastRCNNPredictor(hidden, len(spec.class_names) + 1),
        rpn_pre_nms_top_n_train=2 * spec.proposals,
        rpn_post_nms_top_n_train=2 * spec.proposals,
        rpn_pre_nms_top_n_test=spec.proposals,
        rpn_post_nms_top_n_test=spec.proposals,
        rpn_batch_size_per_image=256 if spec.proposals >= 1000 else 128,
        box_batch_size_per_image=512 if spec.proposals >= 1000 else 128,
    )
    lay_out(model, LAYOUTS[spec.layout])
    ours: nn.Module = model
    return ours


def _build_torchvision(spec: DetectorSpec) -> nn.Module:
    known = torchvision.models.list_models(module=torchvision.models.detection)
    if spec.architecture not in known:
        message = (
            f"unknown detector architecture {spec.architecture!r}; "
            f"allowed: {', '.join([*LAYERS, *known])}"
        )
        raise ModelError(message)
    model: nn.Module = torchvision.models.get_model(
        spec.architecture,
        weights=None,
        weights_backbone=None,
        num_classes=len(spec.class_names) + 1,
    )
    return model


def set_image_size(model: nn.Module, height_px: int, width_px: int) -> None:
    """Make the model work at this size and no other (a model of fixed size, as SSD, keeps it)."""
    transform = model.transform
    if not isinstance(transform, GeneralizedRCNNTransform):
        message = f"{type(model).__name__} has no torchvision transform: its size can't be set"
        raise ModelError(message)
    transform.min_size = (min(height_px, width_px),)
    transform.max_size = max(height_px, width_px)


class TorchDetector:
    """A torchvision model at a fixed size, as a `models.base.Trainable`."""

    backend = "torch"

    def __init__(self, model: nn.Module, spec: DetectorSpec, *, device: str = "cpu") -> None:
        self.spec = spec
        self.device = torch.device(device)
        self.model = model.to(self.device).eval()

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the labels."""
        return self.spec.class_names

    @property
    def size(self) -> tuple[int, int]:
        """See `models.base.Trainable.size`."""
        return self.spec.height_px, self.spec.width_px

    def meta(self, **more: Any) -> dict[str, Any]:
        """What is stored beside its weights: its spec, and whatever else is known."""
        return {"spec": asdict(self.spec), **more}

    def at_size(self, height_px: int, width_px: int) -> TorchDetector:
        """The same weights working at another size. The two share the model: use one at a time."""
        spec = replace(self.spec, height_px=height_px, width_px=width_px)
        return TorchDetector(self.model, spec, device=str(self.device))

    def predict(self, images: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        """See `models.boxes.detections.Detector.predict`."""
        if not images:
            return []
        height, width = self.spec.height_px, self.spec.width_px
        set_image_size(self.model, height, width)
        batch = [to_tensor(resize(image, height, width)).to(self.device) for image in images]
        with torch.inference_mode():
            outputs = self.model.eval()(batch)
        return [
            read_output(output, image.shape[0] / height, image.shape[1] / width)
            for output, image in zip(outputs, images, strict=True)
        ]


def with_weights(
    spec: DetectorSpec, state: Mapping[str, Tensor], *, source: object, device: str = "cpu"
) -> TorchDetector:
    """The detector of this spec with these tensors. What a spec claims takes no memory before its
    tensors are known to be there: its shapes alone are built first."""
    with shapes_only():
        check_fits(build_model(spec), state, source=source)
    model = build_model(spec)
    load_into(model, state, source=source)
    return TorchDetector(model, spec, device=device)


def read_output(output: dict[str, Any], down: float, across: float) -> Detections:
    """torchvision's dictionary (labels from 1) as `Detections` (labels from 0) in frame pixels."""
    boxes = output["boxes"].float().cpu().numpy()
    boxes *= np.array([across, down, across, down], np.float32)
    found = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    scores = output["scores"].float().cpu().numpy()
    labels = output["labels"].cpu().numpy().astype(np.int64) - 1
    order = np.argsort(-scores, kind="stable")
    order = order[found[order]]
    return Detections(boxes[order], np.clip(scores[order], 0, 1), labels[order])
