"""YOLOv5 and v7: 1×cells×(5 + classes), centre and sides in pixels, objectness, three boxes a
cell. YOLOv6, which writes 1 as objectness and has one box a cell, is read the same way."""

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

BOXES_A_CELL = 3


def _recognise(look: Look) -> Settings | None:
    if not of_task(look.about, *WITH_BOXES):
        return None
    for name in look.grids:
        length, channels = look.outputs[name].shape[1:]
        of_v6 = length in cells(look.size) and bool((look.outputs[name][..., 4] == 1).all())
        if channels < 6 or not (of_v6 or length in cells(look.size, BOXES_A_CELL)):
            continue
        extra = extra_channels(look, channels - 5)
        if extra is not None:
            boxes = look.outputs[name][0, :, :4]
            found: Settings = {"boxes_output": name, "box_units": units_of(boxes, NEAR_PX)}
            return found | names_for(look, channels - 5 - extra)
    return None


def _check(found: Arrays, size: Size, options: ForeignOptions, path: Path) -> None:
    raw, classes = found["boxes"][0], len(options.class_names)
    lengths = cells(size) + cells(size, BOXES_A_CELL)
    if raw.shape[0] not in lengths or raw.shape[1] < 5 + classes:
        wanted = (1, cells(size, BOXES_A_CELL)[0], 5 + classes)
        message = (
            f"{path}: YOLOv5 with {classes} classes at {size[0]}×{size[1]} gives {shown(wanted)}, "
            f"the model gives {shown(found['boxes'].shape)}: check class_names, size and outputs"
        )
        raise ModelError(message)
    check_decoded(raw[:, :4].astype(np.float32), path, in_shares=options.box_units == "shares")
    check_scores(raw[:, 4 : 5 + classes], path)


def _read(found: Arrays, size: Size, options: ForeignOptions) -> Found:
    rows = found["boxes"][0].astype(np.float32)
    scores, labels = best_class(rows[:, 4:5] * rows[:, 5 : 5 + len(options.class_names)])
    keep = scores >= options.min_score
    boxes = in_pixels(corners(rows[keep, :4]), size, options)
    return best_of_each(Found(boxes, scores[keep], labels[keep]), options.nms_iou)


FAMILY = Family(
    name="yolo-v5",
    title="YOLOv5, v6 or v7 (with objectness)",
    roles={"boxes": Wanted((1, None, None))},
    recognise=_recognise,
    check=_check,
    read=_read,
    usual={**LETTERBOX, "nms_iou": 0.45},
)
