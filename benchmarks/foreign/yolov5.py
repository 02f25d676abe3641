"""YOLOv5 with objectness, as its own exporter writes it (the package `yolov5`, 7.0)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.foreign.case import Boxes, Case, shaken, warmed


def cases(folder: Path) -> Iterator[Case]:
    """The smallest; its names and stride are in the file."""
    import torch
    import yolov5
    from yolov5.export import export_onnx
    from yolov5.models.yolo import DetectionModel
    from yolov5.utils.augmentations import letterbox
    from yolov5.utils.general import non_max_suppression, scale_boxes

    net = DetectionModel(str(Path(yolov5.__file__).parent / "models" / "yolov5n.yaml")).eval()
    for layer in net.model[-1].m:
        shaken(layer, 0.08)
    warmed(net)
    honest = torch.onnx.export
    torch.onnx.export = lambda *a, **k: honest(*a, **{**k, "dynamo": False})
    net.model[-1].export = True
    picture = torch.zeros(1, 3, 640, 640)
    net(picture)
    path, _ = export_onnx(net, picture, folder / "yolov5n.pt", 17, False, False)
    torch.onnx.export, net.model[-1].export = honest, False

    def ask(picture: NDArray[np.uint8], least: float) -> Boxes:
        """As its `detect.py` asks an ONNX file, but of the net itself."""
        image = letterbox(picture, (640, 640), auto=False)[0].transpose(2, 0, 1)
        with torch.no_grad():
            raw = net(torch.from_numpy(image[None].copy()).float() / 255)[0]
        (rows,) = non_max_suppression(raw, max(least, 1e-4), 0.45, max_det=3000)
        rows[:, :4] = scale_boxes((640, 640), rows[:, :4], picture.shape)
        found: Boxes = rows.numpy().astype(np.float64)
        return found

    yield Case(
        family="yolov5n, with objectness", exporter="yolov5, onnx", package="yolov5",
        path=Path(path), ask=ask,
    )  # fmt: skip
