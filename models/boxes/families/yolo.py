"""Ultralytics YOLO (v8, v9, v11, v12): 1×(4 + classes)×cells, centre and sides in pixels, no
objectness. Masks and keypoints after the classes are left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from models.boxes.families.base import (
    Arrays,
    Family,
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
from models.boxes.families.ultralytics import (
    LETTERBOX,
    WITH_BOXES,
    best_class,
    cells,
    check_scores,
    extra_channels,
    names_for,
    of_task,
)
from models.boxes.foreign_layouts import NEAR_PX, check_decoded, shown
from models.errors import ModelError


def _recognise(look: Look) -> Settings | None:
    if not of_task(look.about, *WITH_BOXES):
        return None
    for name in look.grids:
        channels, length = look.outputs[name].shape[1:]
        if length not in cells(look.size) or channels < 5:
            continue
        extra = extra_channels(look, channels - 4)
        if extra is not None:
            boxes = look.outputs[name][0, :4]
            found: Settings = {"boxes_output": name, "box_units": units_of(boxes, NEAR_PX)}
            return found | names_for(look, channels - 4 - extra)
    return None


def _check(found: Arrays, size: Size, options: ForeignOptions, path: Path) -> None:
    raw, classes = found["boxes"][0], len(options.class_names)
    if raw.shape[1] not in cells(size) or raw.shape[0] < 4 + classes:
        message = (
            f"{path}: YOLO with {classes} classes at {size[0]}×{size[1]} gives "
            f"{shown((1, 4 + classes, cells(size)[0]))}, the model gives "
            f"{shown(found['boxes'].shape)}: check class_names, size and outputs"
        )
        raise ModelError(message)
    check_decoded(raw[:4].T.astype(np.float32), path, in_shares=options.box_units == "shares")
    check_scores(raw[4 : 4 + classes], path)


def _read(found: Arrays, size: Size, options: ForeignOptions) -> Found:
    rows = found["boxes"][0].T.astype(np.float32)
    scores, labels = best_class(rows[:, 4 : 4 + len(options.class_names)])
    keep = scores >= options.min_score
    boxes = in_pixels(corners(rows[keep, :4]), size, options)
    return best_of_each(Found(boxes, scores[keep], labels[keep]), options.nms_iou)


FAMILY = Family(
    name="yolo",
    title="Ultralytics YOLO (v8 and later)",
    roles={"boxes": Wanted((1, None, None))},
    recognise=_recognise,
    check=_check,
    read=_read,
    usual=LETTERBOX,
)
