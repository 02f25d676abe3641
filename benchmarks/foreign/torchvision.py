"""Faster R-CNN, RetinaNet and SSD of torchvision, exported at the size of the first picture."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.foreign.case import SIZES, Boxes, Case, shaken

NAMES = (
    "fasterrcnn_mobilenet_v3_large_320_fpn",
    "retinanet_resnet50_fpn",
    "ssdlite320_mobilenet_v3_large",
)


def cases(folder: Path) -> Iterator[Case]:
    """One file each; they shrink and normalise by themselves."""
    import torch

    for name in NAMES:
        net = _made(name)
        path = folder / f"{name}.onnx"
        torch.onnx.export(
            net, ([torch.rand(3, *SIZES[0])],), str(path), dynamo=False, opset_version=17
        )
        classes = tuple(f"class {number}" for number in range(90))

        def ask(picture: NDArray[np.uint8], least: float, net: Any = net) -> Boxes:
            padded, (wide, high) = _padded(picture)
            with torch.no_grad():
                (found,) = net([torch.from_numpy(padded.transpose(2, 0, 1) / 255).float()])
            labels, scores = found["labels"].numpy() - 1, found["scores"].numpy()
            boxes = found["boxes"].numpy() / np.tile([wide, high], 2)
            boxes = boxes * np.tile(picture.shape[1::-1], 2)
            rows = np.column_stack([boxes, scores, labels]).astype(np.float64)
            return rows[(scores >= least) & (labels >= 0)]

        yield Case(
            family=name, exporter="torch.onnx", package="torchvision", path=path, ask=ask,
            options=(("class_names", classes),),
        )  # fmt: skip


def _made(name: str) -> Any:
    """With random scores that differ: random nets say 1/91 of everything."""
    from torchvision.models import detection

    net = getattr(detection, name)(weights=None, weights_backbone=None).eval()
    if name.startswith("faster"):
        shaken(net.roi_heads.box_predictor.cls_score, 0.05)
        net.roi_heads.score_thresh = 0.005
    elif name.startswith("retina"):
        shaken(net.head.classification_head.cls_logits, 0.02)
    else:
        for block in net.head.classification_head.module_list:
            shaken(block[-1], 0.5)
    return net


def _padded(picture: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """The picture in the size of the export, and the width and height that it has there."""
    scale = min(SIZES[0][0] / picture.shape[0], SIZES[0][1] / picture.shape[1])
    wide, high = (round(side * scale) for side in picture.shape[1::-1])
    padded = np.zeros((*SIZES[0], 3), np.uint8)
    padded[:high, :wide] = cv2.resize(picture, (wide, high), interpolation=cv2.INTER_LINEAR)
    return padded, (wide, high)
