"""YOLO of every kind that Ultralytics make, and their RT-DETR."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.foreign.case import Boxes, Case, shaken, warmed

KINDS: dict[str, dict[str, Any]] = {
    "yolov5n": {},
    "yolov8n": {},
    "yolo11n": {},
    "yolo12n": {},
    "yolov8n-seg": {},
    "yolov8n-pose": {},
    "yolov10n": {"nms": False},
    "yolo26n": {"nms": False},
    "rtdetr-resnet50": {},
}
IN_OPENVINO = ("yolov8n", "yolov8n-seg")


def cases(folder: Path) -> Iterator[Case]:
    """One file for each kind; of two also an OpenVINO IR."""
    for name, more in KINDS.items():
        net = _made(name)
        for form in ("onnx", "openvino") if name in IN_OPENVINO else ("onnx",):
            made = Path(net.export(format=form, imgsz=640, verbose=False, **more))
            path = next(made.glob("*.xml")) if form == "openvino" else made

            def ask(
                picture: NDArray[np.uint8],
                least: float,
                net: Any = net,
                more: dict[str, Any] = more,
            ) -> Boxes:
                (result,) = net.predict(
                    picture[:, :, ::-1],
                    conf=max(least, 1e-4),
                    iou=0.7,
                    imgsz=640,
                    rect=False,
                    max_det=3000,
                    verbose=False,
                    **more,
                )
                rows: Boxes = result.boxes.data.numpy().astype(np.float64)
                return rows[:, :6]

            yield Case(
                family=name,
                exporter=f"ultralytics, {form}",
                package="ultralytics",
                path=folder / path,
                ask=ask,
            )


def _made(name: str) -> Any:
    from ultralytics import RTDETR, YOLO

    net = (RTDETR if "rtdetr" in name else YOLO)(f"{name}.yaml")
    head = net.model.model[-1]
    for key in ("cv3", "one2one_cv3"):
        for branch in getattr(head, key, None) or ():
            shaken(branch[-1], 0.08)
    for layer in getattr(head, "dec_score_head", ()):
        shaken(layer, 0.05)
    if getattr(head, "reg_max", 16) == 1:  # v26's sides are the net's own numbers: above 0, as
        for branch in (*head.cv2, *head.one2one_cv2):  # a trained net's are
            branch[-1].weight.data *= 0.1
            branch[-1].bias.data[:] = 4.0
    if "rtdetr" not in name:
        warmed(net.model)
    return net
