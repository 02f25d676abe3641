"""YOLO-NAS of Deci, in both layouts.

Exported near to its exporter's own threshold (0.25): the suppression in the file gives its boxes in
the order of their classes, and cuts them off at `max_predictions_per_image`. With a threshold of
0.01 and random weights, which find a little of everything, class 0 alone filled it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.foreign.case import Boxes, Case, shaken, warmed

CONFIDENCE, MOST = 0.3, 1000


def cases(folder: Path) -> Iterator[Case]:
    """One net, exported twice, with its suppression."""
    import torch
    from super_gradients.conversion import DetectionOutputFormatMode as Mode
    from super_gradients.training import models
    from super_gradients.training.processing.processing import (
        default_yolo_nas_coco_processing_params,
    )

    honest = torch.onnx.export
    torch.onnx.export = lambda *a, **k: honest(*a, **{**k, "dynamo": False})
    net = models.get("yolo_nas_s", num_classes=80).eval()
    net.set_dataset_processing_params(**default_yolo_nas_coco_processing_params())
    for number in (1, 2, 3):
        shaken(getattr(net.heads, f"head{number}").cls_pred, 0.01)
    warmed(net)
    names = (("class_names", tuple(f"class {number}" for number in range(80))),)
    for layout in (Mode.FLAT_FORMAT, Mode.BATCH_FORMAT):
        path = folder / f"nas-{layout.value}.onnx"
        net.export(
            str(path),
            output_predictions_format=layout,
            confidence_threshold=CONFIDENCE,
            nms_threshold=0.7,
            num_pre_nms_predictions=3000,
            max_predictions_per_image=MOST,
            onnx_simplify=False,
        )

        def ask(picture: NDArray[np.uint8], least: float) -> Boxes:
            found = net.predict(
                picture, conf=max(least, CONFIDENCE), iou=0.7, fuse_model=False,
                nms_top_k=3000, max_predictions=MOST,
            ).prediction  # fmt: skip
            return np.column_stack([found.bboxes_xyxy, found.confidence, found.labels])

        yield Case(
            family=f"yolo-nas, {layout.value}", exporter="super-gradients",
            package="super-gradients", path=path, ask=ask, options=names,
        )  # fmt: skip
