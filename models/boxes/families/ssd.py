"""SSD and OpenVINO's DetectionOutput: 1×1×N×7, picture class score x1 y1 x2 y2; a picture below 0
ends the list."""

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
    as_found,
    read_columns,
    units_of,
    whole_numbers,
)
from models.boxes.families.own import own_settings
from models.boxes.foreign_layouts import SHARE_LIMIT
from models.errors import ModelError


def _recognise(look: Look) -> Settings | None:
    for name in look.of_shape(1, 1, None, 7):
        rows = look.outputs[name].reshape(-1, 7)
        if not (whole_numbers(rows[:, 0]) and whole_numbers(rows[:, 1])):
            continue
        found: Settings = {
            "boxes_output": name,
            "box_units": units_of(_there(rows)[:, 3:], SHARE_LIMIT),
        }
        return found | (own_settings(look.about) or {})
    return None


def _there(rows: np.ndarray) -> np.ndarray:
    """The rows before the end of the list."""
    ended = np.flatnonzero(rows[:, 0] < 0)
    return rows[: ended[0]] if ended.size else rows


def _columns(found: Arrays, options: ForeignOptions) -> Found:
    rows = found["boxes"].reshape(-1, 7)
    if not (whole_numbers(rows[:, 0]) and whole_numbers(rows[:, 1])):
        message = (
            "rows of 7 whose first is no picture's number or whose second is no class: this is "
            "no DetectionOutput; set teacher.io.outputs to what the model returns"
        )
        raise ModelError(message)
    rows = _there(rows)
    return as_found(rows[:, 3:], rows[:, 2], rows[:, 1])


FAMILY = Family(
    name="ssd",
    title="SSD (DetectionOutput)",
    roles={"boxes": Wanted((1, 1, None, 7))},
    recognise=_recognise,
    columns=_columns,
    read=read_columns(_columns),
    usual={"box_units": "shares", "label_offset": -1},
    usual_size=(300, 300),
)
