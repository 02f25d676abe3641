"""DetectionOutput of OpenVINO: a net of anchors, against what OpenVINO itself says for the same
picture."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.foreign.case import Boxes, Case

SIDE, CLASSES, STEP = 300, 4, 30
KINDS = {"in shares": (True, 1), "anchors in pixels": (False, 1), "in pixels": (True, SIDE)}
"""Whether the anchors are in shares of the picture, and by what the boxes are multiplied: the
operation itself always gives shares."""


def cases(folder: Path) -> Iterator[Case]:
    """The same net with anchors and boxes in shares of the picture, and in pixels."""
    import openvino

    names = (("class_names", tuple(f"class {number}" for number in range(1, CLASSES))),)
    for kind, (normalised, side) in KINDS.items():
        model = _made(normalised=normalised, side=side)
        path = folder / f"{kind}.xml"
        openvino.save_model(model, path, compress_to_fp16=False)
        compiled = openvino.Core().compile_model(
            path, "CPU", {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 2}
        )

        def ask(
            picture: NDArray[np.uint8],
            least: float,
            compiled: Any = compiled,
            side: int = side,
        ) -> Boxes:
            fed = cv2.resize(picture[:, :, ::-1], (SIDE, SIDE)).transpose(2, 0, 1)[None]
            rows = compiled([fed.astype(np.float32)])[0].reshape(-1, 7)
            rows = rows[rows[:, 0] == 0]
            boxes = rows[:, 3:] / side * np.tile(picture.shape[1::-1], 2)
            found = np.column_stack([boxes, rows[:, 2], rows[:, 1] - 1]).astype(np.float64)
            return found[rows[:, 2] >= least]

        yield Case(
            family=f"DetectionOutput, {kind}",
            exporter="openvino, save_model", package="openvino", path=path, ask=ask, options=names,
        )  # fmt: skip


def _made(*, normalised: bool, side: int) -> Any:
    """Anchors on a lattice; offsets and scores by a random convolution of the picture."""
    from openvino import Model, Type
    from openvino import opset8 as op

    random = np.random.default_rng(0)
    image = op.parameter([1, 3, SIDE, SIDE], Type.f32, name="image")

    def convolved(channels: int, spread: float) -> Any:
        kernel = random.normal(0, spread, (channels, 3, STEP, STEP)).astype(np.float32)
        said = op.convolution(image, op.constant(kernel), [STEP, STEP], [0, 0], [0, 0], [1, 1])
        return op.reshape(op.transpose(said, op.constant([0, 2, 3, 1])), op.constant([1, -1]), True)

    offsets = convolved(4, 3e-4)
    logits = op.reshape(convolved(CLASSES, 3e-4), op.constant([1, -1, CLASSES]), True)
    scores = op.reshape(op.softmax(logits, 2), op.constant([1, -1]), True)
    found = op.detection_output(
        offsets,
        scores,
        op.constant(_anchors(1.0 if normalised else SIDE)),
        _settings(normalised=normalised),
    )
    scaled = op.multiply(found, op.constant(np.array([1, 1, 1, *(side,) * 4], np.float32)))
    return Model([scaled], [image], "detection_output")


def _settings(*, normalised: bool) -> dict[str, Any]:
    side = 1 if normalised else SIDE
    return {
        "background_label_id": 0,
        "keep_top_k": [200],
        "top_k": 400,
        "nms_threshold": 0.45,
        "confidence_threshold": 0.01,
        "share_location": True,
        "variance_encoded_in_target": False,
        "code_type": "caffe.PriorBoxParameter.CENTER_SIZE",
        "normalized": normalised,
        "input_height": side,
        "input_width": side,
    }


def _anchors(whole: float) -> NDArray[np.float32]:
    """1×2×(4·N): corners of the anchors, and their variances; five numbers each in pixels, whose
    first is the picture's."""
    count = SIDE // STEP
    ys, xs = np.mgrid[:count, :count]
    centres = (np.stack([xs, ys], axis=-1).reshape(-1, 2) + 0.5) / count * whole
    half = 0.08 * whole
    corners = np.concatenate([centres - half, centres + half], axis=1)
    variances = np.tile([0.1, 0.1, 0.2, 0.2], (len(centres), 1))
    both = np.stack([corners, variances]).astype(np.float32)
    if whole > 1:
        both = np.concatenate([np.zeros_like(both[..., :1]), both], axis=-1)
    return both.reshape(1, 2, -1)
