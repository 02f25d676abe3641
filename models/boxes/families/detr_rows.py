"""RT-DETR as Ultralytics export it: one output 1×N×(4 + classes), centre and sides in shares, then
scores with their sigmoid."""

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
    corners,
    in_pixels,
)
from models.boxes.families.ultralytics import check_scores, described_names, of_task
from models.boxes.foreign_layouts import SHARE_LIMIT, in_words, shown
from models.errors import ModelError

MOST_QUERIES = 1000


def _recognise(look: Look) -> Settings | None:
    names = look.class_names or described_names(look.about)
    fitting = look.of_shape(1, None, 4 + len(names)) if names else []
    if not fitting or not of_task(look.about, "detect"):
        return None
    rows = look.outputs[fitting[0]][0]
    is_list = len(rows) <= MOST_QUERIES and np.abs(rows).max() <= SHARE_LIMIT
    return {"boxes_output": fitting[0], "class_names": names} if is_list else None


def _check(found: Arrays, size: Size, options: ForeignOptions, path: Path) -> None:
    rows, wanted = found["boxes"][0], 4 + len(options.class_names)
    if rows.shape[1] != wanted or np.abs(rows[:, :4]).max() > SHARE_LIMIT:
        message = (
            f"{path}: {len(options.class_names)} classes give rows of {wanted} in shares of the "
            f"picture, the model gives {shown(rows.shape)} (such as {in_words(rows[0, :4])})"
        )
        raise ModelError(message)
    check_scores(rows[:, 4:], path)


def _read(found: Arrays, size: Size, options: ForeignOptions) -> Found:
    rows = found["boxes"][0].astype(np.float32)
    labels = rows[:, 4:].argmax(axis=1)
    boxes = in_pixels(corners(rows[:, :4]), size, options)
    return Found(boxes, rows[:, 4:].max(axis=1), labels.astype(np.int64))


FAMILY = Family(
    name="detr-rows",
    title="RT-DETR of Ultralytics",
    roles={"boxes": Wanted((1, None, None))},
    recognise=_recognise,
    check=_check,
    read=_read,
    usual={"channel_order": "rgb", "scale": (255.0, 255.0, 255.0), "box_units": "shares"},
)
