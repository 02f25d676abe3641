"""YOLO that needs no suppression any more (v10, v26, `nms=True`): 1×N×6, x1 y1 x2 y2 score class.
Masks and keypoints after them are left out."""

from __future__ import annotations

import numpy as np

from models.boxes.families.base import (
    Arrays,
    Family,
    ForeignOptions,
    Found,
    Look,
    Settings,
    Wanted,
    are_corners,
    as_found,
    read_columns,
    units_of,
    whole_numbers,
)
from models.boxes.families.ultralytics import LETTERBOX, WITH_BOXES, names_for, of_task
from models.boxes.foreign_layouts import SHARE_LIMIT
from models.errors import ModelError

MOST_ROWS = 1000


def _recognise(look: Look) -> Settings | None:
    if not of_task(look.about, *WITH_BOXES):
        return None
    for name in look.grids:
        rows = look.outputs[name][0]
        if not 1 <= len(rows) <= MOST_ROWS or rows.shape[1] < 6 or not whole_numbers(rows[:, 5]):
            continue
        if rows[:, 4].min() < 0 or rows[:, 4].max() > 1 or not are_corners(rows[:, :4]):
            continue
        if rows.shape[1] == 6 or "names" in look.about:
            found: Settings = {"boxes_output": name, "box_units": _units(rows)}
            return found | names_for(look, 0)
    return None


def _units(rows: np.ndarray) -> str:
    """Rows of zeros say nothing: then pixels, which all of them have."""
    return "pixels" if not rows[:, :4].any() else units_of(rows[:, :4], SHARE_LIMIT)


def _columns(found: Arrays, options: ForeignOptions) -> Found:
    rows = found["boxes"][0]
    wide = rows.shape[1] >= 6
    counting = rows[rows[:, 4] >= options.min_score] if wide else rows
    if not wide or not whole_numbers(rows[:, 5]) or not _end_behind(counting):
        message = (
            f"rows of {rows.shape[1]} numbers, no corners or the sixth of them no class: not "
            "x1 y1 x2 y2 score class; set teacher.io.outputs to what the model returns"
        )
        raise ModelError(message)
    return as_found(rows[:, :4], rows[:, 4], rows[:, 5])


def _end_behind(rows: np.ndarray) -> bool:
    """Whether these rows are corners; no row is. The sides of v26 are the net's own numbers, and
    can be negative where it sees nothing."""
    return not len(rows) or are_corners(rows[:, :4])


FAMILY = Family(
    name="yolo-end2end",
    title="YOLO, end to end (x1 y1 x2 y2 score class)",
    roles={"boxes": Wanted((1, None, None))},
    recognise=_recognise,
    columns=_columns,
    read=read_columns(_columns),
    usual=LETTERBOX,
)
