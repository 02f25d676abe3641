"""YOLO-NAS as SuperGradients export it: flat (N×7: picture x1 y1 x2 y2 score class), or as a batch
(count, boxes, scores, classes)."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from models.boxes.families.base import (
    Arrays,
    Family,
    Fit,
    ForeignOptions,
    Found,
    Look,
    Settings,
    Wanted,
    as_found,
    read_columns,
    whole_numbers,
)
from models.boxes.families.boxes_scores_labels import ROLES, columns
from models.boxes.families.own import own_settings
from models.boxes.families.ultralytics import LETTERBOX, names_for
from models.boxes.foreign_layouts import shown
from models.errors import ModelError

_FIT = Fit(spare_px=4, by_ratio=True)
"""Their program shrinks a picture to 636 pixels in an input of 640."""


def _flat(look: Look) -> Settings | None:
    for name, array in look.outputs.items():
        if array.dtype.kind == "f" and _are_rows(array):
            told = own_settings(look.about) or names_for(look, 0)
            return Settings(boxes_output=name) | told
    return None


def _are_rows(rows: NDArray[Any]) -> bool:
    return bool(
        rows.ndim == 2 and rows.shape[1] == 7 and not rows[:, 0].any() and whole_numbers(rows[:, 6])
    )


def _flat_columns(found: Arrays, options: ForeignOptions) -> Found:
    rows = found["boxes"]
    if not _are_rows(rows):
        message = (
            f"{shown(rows.shape)} numbers that are no rows of picture (0) x1 y1 x2 y2 score class: "
            "this is not YOLO-NAS, flat; set teacher.io.outputs to what the model returns"
        )
        raise ModelError(message)
    return as_found(rows[:, 1:5], rows[:, 5], rows[:, 6])


def _batch(look: Look) -> Settings | None:
    count = look.of_shape(1, 1, kinds="iu")
    boxes, scores = look.of_shape(1, None, 4), look.of_shape(1, None)
    labels = [name for name in look.of_shape(1, None, kinds="iu") if name not in count]
    if not (count and boxes and scores and labels):
        return None
    outputs: Settings = {
        "boxes_output": boxes[0],
        "scores_output": scores[0],
        "labels_output": labels[0],
    }
    return outputs | names_for(look, 0)


FLAT = Family(
    name="yolo-nas-flat",
    title="YOLO-NAS, flat",
    roles={"boxes": Wanted((None, 7))},
    recognise=_flat,
    columns=_flat_columns,
    read=read_columns(_flat_columns),
    usual=LETTERBOX,
    fit=_FIT,
)
BATCH = Family(
    name="yolo-nas-batch",
    title="YOLO-NAS, as a batch",
    roles=ROLES,
    recognise=_batch,
    columns=columns,  # rows behind the count have no class (−1), or no size
    read=read_columns(columns),
    usual=LETTERBOX,
    fit=_FIT,
)
