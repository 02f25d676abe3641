"""Tiny detectors of every family, as ONNX files. Each finds one thing, by looking: its score is how
red the place is where the thing must lie in the net's input. A picture that is scaled, padded or
coloured in another way than the family's gives another score, or none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

onnx = pytest.importorskip("onnx", reason="the dev extra makes the tiny nets")

SIDE = 64
PICTURE = (120, 160)
"""Height and width; into 64×64 it goes at 2/5, as 48×64."""
THING = (40, 30, 80, 90)
"""x1 y1 x2 y2 in the picture."""
RED, BLUE = 229, 25
SCORE = (RED - BLUE) / 255
NAMES = ("car", "person")
STRETCHED, PADDED, CENTRED = (16, 16, 32, 48), (16, 12, 32, 36), (16, 20, 32, 44)
WITHIN = (17, 21, 32, 42)
SPARED = (17, 20.25, 32, 42.75)
"""`THING` in the input, by how the picture is made to fit; in the last there are 2 px to spare at
each side (`WITHIN`: its whole pixels)."""
CELLS = 84
"""Of the grids of 64×64 at strides of 8, 16 and 32."""
CELL = 27
IMAGENET = ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))


def picture() -> NDArray[np.uint8]:
    """RGB: the thing is red, what surrounds it is grey."""
    image = np.full((*PICTURE, 3), 120, np.uint8)
    x1, y1, x2, y2 = THING
    image[y1:y2, x1:x2] = (RED, 80, BLUE)
    return image


@dataclass
class Net:
    """A graph in the making."""

    box: Sequence[int]
    order: str = "rgb"
    mean: Sequence[float] = (0.0, 0.0, 0.0)
    scale: Sequence[float] = (255.0, 255.0, 255.0)
    shape: Sequence[int | str] = (1, 3, SIDE, SIDE)
    dtype: type = np.float32
    nhwc: bool = False
    nodes: list[Any] = field(default_factory=list)
    inputs: list[Any] = field(default_factory=list)
    outputs: list[Any] = field(default_factory=list)

    def add(self, kind: str, *names: str, to: str = "", **settings: Any) -> str:
        """A node with one output, whose name is given back."""
        to = to or f"n{len(self.nodes)}"
        self.nodes.append(onnx.helper.make_node(kind, list(names), [to], **settings))
        return to

    def constant(self, values: Any, dtype: type = np.float32) -> str:
        tensor = onnx.numpy_helper.from_array(np.array(values, dtype))
        return self.add("Constant", value=tensor)

    def shaped(self, name: str, *shape: int) -> str:
        return self.add("Reshape", name, self.constant(shape, np.int64))

    def score(self) -> str:
        """1×2: how red, and how blue, the place is where the thing must be; 0…1."""
        kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(self.dtype))
        self.inputs.append(onnx.helper.make_tensor_value_info("image", kind, self.shape))
        image = self._as_float("image")
        if len(self.shape) == 3:
            image = self.add("Unsqueeze", image, self.constant([0], np.int64))
        if self.nhwc:
            image = self.add("Transpose", image, perm=[0, 3, 1, 2])
        x1, y1, x2, y2 = self.box
        starts = self.constant([y1 + 3, x1 + 3], np.int64)
        ends = self.constant([y2 - 3, x2 - 3], np.int64)
        part = self.add("Slice", image, starts, ends, self.constant([2, 3], np.int64))
        seen = self.shaped(self.add("ReduceMean", part, axes=[2, 3]), 1, 3)
        bytes_ = self.add("Mul", seen, self.constant(self.scale))
        bytes_ = self.add("Add", bytes_, self.constant(self.mean))
        red = np.array([[1, -1], [0, 0], [-1, 1]]) / 255
        how = self.add("MatMul", bytes_, self.constant(red if self.order == "rgb" else red[::-1]))
        return self.add("Clip", how, self.constant(0.0), self.constant(1.0))

    def red(self) -> str:
        """How red alone, 1×1."""
        ends = self.constant([0], np.int64), self.constant([1], np.int64)
        return self.add("Slice", self.score(), *ends, self.constant([1], np.int64))

    def _as_float(self, name: str) -> str:
        node = onnx.helper.make_node("Cast", [name], ["as_float"], to=onnx.TensorProto.FLOAT)
        self.nodes.append(node)
        return "as_float"

    def output(self, name: str, value: str, shape: Sequence[int], dtype: type = np.float32) -> None:
        kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        self.nodes.append(onnx.helper.make_node("Cast", [value], [name], to=kind))
        self.outputs.append(onnx.helper.make_tensor_value_info(name, kind, shape))

    def save(self, path: Path, about: dict[str, str] | None = None) -> Path:
        graph = onnx.helper.make_graph(self.nodes, "tiny", self.inputs, self.outputs)
        opset = [onnx.helper.make_opsetid("", 13)]
        model = onnx.helper.make_model(graph, opset_imports=opset, ir_version=8)
        onnx.helper.set_model_props(model, about or {})
        onnx.save(model, path)
        return path


def ultralytics(**more: str) -> dict[str, str]:
    """What their exports say of themselves."""
    names = str(dict(enumerate(NAMES)))
    return {"names": names, "stride": "32", "task": "detect", "imgsz": "[64, 64]", **more}


def grid(boxes: Sequence[float], a_cell: int = 1) -> NDArray[np.float32]:
    """Decoded boxes (centre, sides) of all cells; one cell's are these."""
    rows = []
    for stride in (8, 16, 32):
        for y in range(SIDE // stride):
            for x in range(SIDE // stride):
                row = ((x + 0.5) * stride, (y + 0.5) * stride, stride, stride)
                rows += [row] * a_cell
    rows[CELL * a_cell] = tuple(boxes)
    return np.array(rows, np.float32)


def sides(box: Sequence[float]) -> tuple[float, float, float, float]:
    """x1 y1 x2 y2 → centre and sides."""
    x1, y1, x2, y2 = box
    return ((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1)


def shares(box: Sequence[float]) -> NDArray[np.float32]:
    return np.array(box, np.float32) / SIDE


def _spread(net: Net, score: str, count: int, at: int) -> str:
    """1×count×2: the scores in one row."""
    here = np.zeros((1, count, 1))
    here[0, at] = 1
    return net.add("Mul", net.shaped(score, 1, 1, 2), net.constant(here))


def _with_objectness(net: Net, boxes: NDArray[np.float32], at: int) -> str:
    count = len(boxes)
    here = np.zeros((1, count, 1))
    here[0, at] = 1
    parts = net.constant(boxes[None]), net.constant(here), _spread(net, net.score(), count, at)
    return net.add("Concat", *parts, axis=2)


def yolo(path: Path, *, extra: int = 0, pose: bool = False, **how: Any) -> Path:
    """v8 and later; `extra` channels of masks, with their prototypes, or of keypoints."""
    net = Net(CENTRED, **how)
    boxes = net.constant(grid(sides(CENTRED)).T[None])
    scores = net.add("Transpose", _spread(net, net.score(), CELLS, CELL), perm=[0, 2, 1])
    rest = [net.constant(np.full((1, extra, CELLS), -7.0))] if extra else []
    rows = net.add("Concat", boxes, scores, *rest, axis=1)
    out = np.float16 if how.get("dtype") is np.float16 else np.float32
    if extra and not pose:
        net.output("output1", net.constant(np.zeros((1, extra, 16, 16))), (1, extra, 16, 16))
    net.output("output0", rows, (1, 6 + extra, CELLS), out)
    task = "pose" if pose else "segment" if extra else "detect"
    return net.save(path, ultralytics(task=task))


def yolo_v5(path: Path) -> Path:
    net = Net(CENTRED)
    rows = _with_objectness(net, grid(sides(CENTRED), 3), 3 * CELL)
    net.output("output0", rows, (1, 3 * CELLS, 7))
    return net.save(path, {"names": str(dict(enumerate(NAMES))), "stride": "32"})


def yolo_end2end(path: Path, *, keypoints: int = 0) -> Path:
    net = Net(CENTRED)
    row = net.add(
        "Concat",
        net.constant([[[*CENTRED]]]),
        net.shaped(net.red(), 1, 1, 1),
        net.constant([[[0]]]),
        axis=2,
    )
    rows = net.add("Concat", row, net.constant(np.zeros((1, 299, 6))), axis=1)
    if keypoints:
        rows = net.add("Concat", rows, net.constant(np.full((1, 300, keypoints), 9.0)), axis=2)
    net.output("output0", rows, (1, 300, 6 + keypoints))
    return net.save(path, ultralytics(task="pose" if keypoints else "detect"))


def yolo_nas_flat(path: Path) -> Path:
    net = Net(WITHIN, dtype=np.uint8, scale=(1, 1, 1))
    row = [net.constant([[0, *SPARED]]), net.red(), net.constant([[0]])]
    net.output("graph2_flat_predictions", net.add("Concat", *row, axis=1), (1, 7))
    return net.save(path)


def yolo_nas_batch(path: Path) -> Path:
    net = Net(WITHIN, dtype=np.uint8, scale=(1, 1, 1))
    scores = net.add("Concat", net.red(), net.constant([[0, 0]]), axis=1)
    boxes = net.constant([[SPARED, (0, 0, 0, 0), (0, 0, 0, 0)]])
    net.output("num_predictions", net.constant([[1]]), (1, 1), np.int64)
    net.output("pred_classes", net.constant([[0, -1, -1]]), (1, 3), np.int64)
    net.output("pred_boxes", boxes, (1, 3, 4))
    net.output("pred_scores", scores, (1, 3))
    return net.save(path)


def yolox(path: Path) -> Path:
    net = Net(PADDED, order="bgr", scale=(1, 1, 1))
    decoded, rows, index = grid(sides(PADDED)), [], 0
    for stride in (8, 16, 32):
        for y in range(SIDE // stride):
            for x in range(SIDE // stride):
                cx, cy, wide, high = decoded[index]
                row = (cx / stride - x, cy / stride - y, np.log(wide / stride))
                rows.append((*row, np.log(high / stride)))
                index += 1
    net.output("output", _with_objectness(net, np.array(rows, np.float32), CELL), (1, CELLS, 7))
    return net.save(path)


def yolox_decoded(path: Path) -> Path:
    net = Net(PADDED, order="bgr", scale=(1, 1, 1))
    rows = _with_objectness(net, grid(sides(PADDED)), CELL)
    net.output("output", rows, (1, CELLS, 7))
    return net.save(path)


def _logits(net: Net) -> str:
    """1×5×2; the third query is the thing."""
    sure = net.add("Clip", net.score(), net.constant(1e-4), net.constant(1 - 1e-4))
    logit = net.add("Log", net.add("Div", sure, net.add("Sub", net.constant(1.0), sure)))
    rest = net.constant(np.full((1, 2, 2), -9.0))
    return net.add("Concat", rest, net.shaped(logit, 1, 1, 2), rest, axis=1)


def _queries() -> NDArray[np.float32]:
    return np.array([[(0.5, 0.5, 0.2, 0.2)] * 2 + [shares(sides(STRETCHED))] + [(0.5,) * 4] * 2])


def detr(path: Path) -> Path:
    net = Net(STRETCHED)
    net.output("logits", _logits(net), (1, 5, 2))
    net.output("pred_boxes", net.constant(_queries()), (1, 5, 4))
    return net.save(path)


def rf_detr(path: Path) -> Path:
    net = Net(STRETCHED, mean=IMAGENET[0], scale=IMAGENET[1])
    net.output("dets", net.constant(_queries()), (1, 5, 4))
    net.output("labels", _logits(net), (1, 5, 2))
    net.output("masks", net.constant(np.zeros((1, 5, 8, 8))), (1, 5, 8, 8))
    return net.save(path)


def detr_rows(path: Path, *, with_class: bool = False) -> Path:
    """Ultralytics', of before 2026 or since."""
    net = Net(STRETCHED)
    boxes, scores = net.constant(_queries()), _spread(net, net.score(), 5, 2)
    if with_class:
        ends = net.constant([0], np.int64), net.constant([1], np.int64)
        best = net.add("Slice", scores, *ends, net.constant([2], np.int64))
        scores = net.add("Concat", best, net.constant(np.zeros((1, 5, 1))), axis=2)
    net.output("output0", net.add("Concat", boxes, scores, axis=2), (1, 5, 6))
    return net.save(path, ultralytics())


def detr_decoded(path: Path) -> Path:
    net = Net(STRETCHED)
    scores = net.add("Concat", net.red(), net.constant([[0.01]]), axis=1)
    asked = onnx.helper.make_tensor_value_info("orig_target_sizes", onnx.TensorProto.INT64, (1, 2))
    net.inputs.append(asked)
    node = onnx.helper.make_node("Cast", ["orig_target_sizes"], ["wh"], to=1)
    net.nodes.append(node)
    whole = net.shaped(net.add("Concat", "wh", "wh", axis=1), 1, 1, 4)
    boxes = net.constant([[shares(STRETCHED), (0.1, 0.1, 0.2, 0.2)]])
    net.output("labels", net.constant([[0, 1]]), (1, 2), np.int64)
    net.output("boxes", net.add("Mul", boxes, whole), (1, 2, 4))
    net.output("scores", scores, (1, 2))
    return net.save(path)


def ssd(path: Path, *, in_pixels: bool = False) -> Path:
    """Caffe's kind, by way of OpenVINO: BGR 0…255, the background is class 0."""
    net = Net(STRETCHED, order="bgr", scale=(1, 1, 1))
    box = STRETCHED if in_pixels else shares(STRETCHED)
    first = [net.constant([[0, 1]]), net.red(), net.constant([box])]
    row = net.shaped(net.add("Concat", *first, axis=1), 1, 1, 1, 7)
    rest = net.constant([[[(-1, 0, 0, 0, 0, 0, 0), (0, 1, 0.9, 0, 0, 0.5, 0.5)]]])
    net.output("detection_out", net.add("Concat", row, rest, axis=2), (1, 1, 3, 7))
    return net.save(path)


def tf_ssd(path: Path) -> Path:
    shape = (1, SIDE, SIDE, 3)
    net = Net(STRETCHED, dtype=np.uint8, nhwc=True, shape=shape, scale=(1, 1, 1))
    x1, y1, x2, y2 = shares(STRETCHED)
    net.output("detection_classes", net.constant([[1.0]]), (1, 1))
    net.output("detection_boxes", net.constant([[(y1, x1, y2, x2)]]), (1, 1, 4))
    net.output("detection_scores", net.red(), (1, 1))
    net.output("num_detections", net.constant([1.0]), (1,))
    return net.save(path)


def torchvision(path: Path) -> Path:
    net = Net(PADDED, shape=(3, SIDE, SIDE))
    net.output("12", net.constant([PADDED, (0, 0, 4, 4)]), (2, 4))
    net.output("15", net.constant([1, 0]), (2,), np.int64)
    scores = net.add("Concat", net.shaped(net.red(), 1), net.constant([0.9]), axis=0)
    net.output("17", scores, (2,))
    net.output("masks", net.constant(np.zeros((2, 1, 8, 8))), (2, 1, 8, 8))
    return net.save(path)


def boxes_labels(path: Path) -> Path:
    net = Net(STRETCHED, order="bgr", scale=(1, 1, 1))
    row = net.add("Concat", net.constant([[*STRETCHED]]), net.red(), axis=1)
    net.output("labels", net.constant([0]), (1,), np.int64)
    net.output("boxes", row, (1, 5))
    return net.save(path)


BUILDERS: dict[str, Callable[[Path], Path]] = {
    "boxes-labels": boxes_labels,
    "boxes-scores-labels": torchvision,
    "yolox": yolox,
    "yolox-decoded": yolox_decoded,
    "yolo": yolo,
    "yolo-v5": yolo_v5,
    "yolo-end2end": yolo_end2end,
    "yolo-nas-flat": yolo_nas_flat,
    "yolo-nas-batch": yolo_nas_batch,
    "detr": detr,
    "rf-detr": rf_detr,
    "detr-rows": detr_rows,
    "detr-decoded": detr_decoded,
    "ssd": ssd,
    "tf-ssd": tf_ssd,
}
