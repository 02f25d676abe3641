"""YOLOX's output: a grid of cells, not decoded or decoded, as boxes in pixels of the input."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from models.boxes.foreign_layouts import SCORE_SLACK, check_cells, check_decoded, shown
from models.errors import ModelError

YOLOX = ("yolox", "yolox-decoded")
"""The kinds of `outputs` that are read here."""

YOLOX_STRIDES = (8, 16, 32)
"""Input pixels per cell of YOLOX's three grids, in the order of its output."""


class Found(NamedTuple):
    """Boxes N×4 in input pixels, scores N, labels N: not yet clipped, sorted or checked."""

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    labels: NDArray[np.int64]


class Options(Protocol):
    """What is needed here of `models.boxes.foreign.ForeignOptions`."""

    @property
    def class_names(self) -> tuple[str, ...]: ...
    @property
    def outputs(self) -> str: ...
    @property
    def box_units(self) -> str: ...
    @property
    def min_score(self) -> float: ...
    @property
    def nms_iou(self) -> float: ...


def check_yolox(raw: NDArray[Any], size: tuple[int, int], options: Options, path: Path) -> None:
    """Refuse a grid (1×A×(5 + classes)) of another shape, range or layout."""
    wanted = (1, len(_yolox_grid(size)[0]), 5 + len(options.class_names))
    if raw.shape != wanted:
        message = (
            f"{path}: YOLOX with {len(options.class_names)} classes at {size[0]}×{size[1]} gives "
            f"{shown(wanted)}, the model gives {shown(raw.shape)}: check class_names and size"
        )
        raise ModelError(message)
    if raw[..., 4:].min() < -SCORE_SLACK or raw[..., 4:].max() > 1 + SCORE_SLACK:
        message = f"{path}: YOLOX scores outside 0…1: export the model with its sigmoid"
        raise ModelError(message)
    boxes = raw[0, :, :4].astype(np.float32)
    if options.outputs == "yolox-decoded":
        check_decoded(boxes, path, in_shares=options.box_units == "shares")
    else:
        check_cells(boxes, _from_cells(boxes, *_yolox_grid(size)), size, path)


def decode_yolox(raw: NDArray[Any], size: tuple[int, int], options: Options) -> Found:
    """1×A×(5 + classes) → boxes, per-class non-maximum suppression applied; score = objectness ·
    class score."""
    import torch  # the trial of a file (`models.trial`) starts without it
    from torchvision.ops import batched_nms

    rows, cells, strides = raw[0].astype(np.float32), *_yolox_grid(size)
    labels = rows[:, 5:].argmax(axis=1)
    scores = rows[:, 4] * rows[:, 5:].max(axis=1)
    keep = scores >= options.min_score
    boxes = rows[keep, :4]
    if options.outputs == "yolox-decoded":
        boxes = in_pixels(boxes, size, options)
        half = boxes[:, 2:] / 2
        boxes = np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1)
    else:
        boxes = _from_cells(boxes, cells[keep], strides[keep])
    found = Found(boxes, scores[keep], labels[keep].astype(np.int64))
    best = batched_nms(*map(torch.from_numpy, found), options.nms_iou).numpy()
    return Found(found.boxes[best], found.scores[best], found.labels[best])


def _from_cells(
    rows: NDArray[np.float32], cells: NDArray[np.float32], strides: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Centre = (offset + cell) · stride, side = exp(raw) · stride → x1 y1 x2 y2."""
    centre = (rows[:, :2] + cells) * strides
    half = np.exp(np.minimum(rows[:, 2:4], 20.0)) * strides / 2  # exp(20): beyond any image
    return np.concatenate([centre - half, centre + half], axis=1, dtype=np.float32)


def in_pixels(
    boxes: NDArray[np.float32], size: tuple[int, int], options: Options
) -> NDArray[np.float32]:
    """Boxes (N×4) in the units of the options, in input pixels."""
    if options.box_units == "pixels":
        return boxes
    return boxes * np.array((size[1], size[0]) * 2, np.float32)


@lru_cache(maxsize=8)
def _yolox_grid(size: tuple[int, int]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Cell corners (A×2, x y, in cells) and strides (A×1) of all grids, row by row."""
    cells, strides = [], []
    for stride in YOLOX_STRIDES:
        high, wide = size[0] // stride, size[1] // stride
        ys, xs = np.mgrid[:high, :wide]
        cells.append(np.stack([xs.ravel(), ys.ravel()], axis=1))
        strides.append(np.full((high * wide, 1), stride))
    return np.concatenate(cells, dtype=np.float32), np.concatenate(strides, dtype=np.float32)
