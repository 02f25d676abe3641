"""YOLOX's output: a grid of cells, not decoded or decoded, as boxes in pixels of the input."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.boxes.families.base import (
    Arrays,
    Family,
    Fit,
    ForeignOptions,
    Found,
    Look,
    Settings,
    Size,
    Wanted,
    best_of_each,
    corners,
    in_pixels,
    units_of,
)
from models.boxes.families.ultralytics import described_names, names_for
from models.boxes.foreign_layouts import NEAR_PX, SCORE_SLACK, check_cells, check_decoded, shown
from models.errors import ModelError

YOLOX_STRIDES = (8, 16, 32)
"""Input pixels per cell of YOLOX's three grids, in the order of its output."""

_FIT = Fit(cuts=True, by_ratio=True)
"""Their program resizes to whole pixels below, and divides boxes by the ratio all the same."""
NEAR_CELLS = 1.5
"""Half of all decoded centres lie nearer to their cells than this."""


def _recognise_raw(look: Look) -> Settings | None:
    name = _grid_of(look)
    if name is None or _is_decoded(look.outputs[name], look.size):
        return None
    found: Settings = {"boxes_output": name, "keep_aspect": True}
    return found | names_for(look, look.outputs[name].shape[2] - 5)


def _recognise_decoded(look: Look) -> Settings | None:
    name = _grid_of(look)
    if name is None or not _is_decoded(look.outputs[name], look.size):
        return None
    units = units_of(look.outputs[name][0, :, :4], NEAR_PX)
    classes = look.outputs[name].shape[2] - 5
    found: Settings = {"boxes_output": name, "box_units": units, "keep_aspect": True}
    return found | names_for(look, classes)


def _grid_of(look: Look) -> str | None:
    """The output that can be YOLOX's. One whose objectness is always 1 is YOLOv6's."""
    names = look.class_names or described_names(look.about)
    fitting = look.of_shape(1, len(_yolox_grid(look.size)[0]), 5 + len(names) if names else None)
    return next((n for n in fitting if not (look.outputs[n][..., 4] == 1).all()), None)


def _is_decoded(raw: NDArray[Any], size: Size) -> bool:
    """Decoded centres lie near their cells, in pixels or in shares; offsets lie near 0."""
    cells, strides = _yolox_grid(size)
    middles, centres = (cells + 0.5) * strides, raw[0, :, :2].astype(np.float32)
    whole = np.array([size[1], size[0]], np.float32)
    far = (np.median(np.abs(seen - middles) / strides) for seen in (centres, centres * whole))
    return bool(min(far) < NEAR_CELLS)


def _check(found: Arrays, size: Size, options: ForeignOptions, path: Path) -> None:
    """Refuse a grid (1×A×(5 + classes)) of another shape, range or layout."""
    raw = found["boxes"]
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


def _read(found: Arrays, size: Size, options: ForeignOptions) -> Found:
    """1×A×(5 + classes) → boxes, per-class non-maximum suppression applied; score = objectness ·
    class score."""
    rows, cells, strides = found["boxes"][0].astype(np.float32), *_yolox_grid(size)
    labels = rows[:, 5:].argmax(axis=1)
    scores = rows[:, 4] * rows[:, 5:].max(axis=1)
    keep = scores >= options.min_score
    boxes = rows[keep, :4]
    if options.outputs == "yolox-decoded":
        boxes = corners(in_pixels(boxes, size, options))
    else:
        boxes = _from_cells(boxes, cells[keep], strides[keep])
    kept = Found(boxes, scores[keep], labels[keep].astype(np.int64))
    return best_of_each(kept, options.nms_iou)


def _from_cells(
    rows: NDArray[np.float32], cells: NDArray[np.float32], strides: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Centre = (offset + cell) · stride, side = exp(raw) · stride → x1 y1 x2 y2."""
    centre = (rows[:, :2] + cells) * strides
    half = np.exp(np.minimum(rows[:, 2:4], 20.0)) * strides / 2  # exp(20): beyond any image
    return np.concatenate([centre - half, centre + half], axis=1, dtype=np.float32)


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


RAW = Family(
    name="yolox",
    title="YOLOX, not decoded",
    roles={"boxes": Wanted((1, None, None))},
    recognise=_recognise_raw,
    check=_check,
    read=_read,
    fit=_FIT,
)
DECODED = Family(
    name="yolox-decoded",
    title="YOLOX, decoded",
    roles={"boxes": Wanted((1, None, None))},
    recognise=_recognise_decoded,
    check=_check,
    read=_read,
    fit=_FIT,
)
