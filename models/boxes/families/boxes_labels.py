"""Boxes with their scores (N×5: x1 y1 x2 y2 score) and labels N: Open Model Zoo, MMDetection."""

from __future__ import annotations

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
    same_count,
    units_of,
)
from models.boxes.foreign_layouts import SHARE_LIMIT

_ROLES = {"boxes": Wanted((None, 5)), "labels": Wanted((None,), "iu")}


def _recognise(look: Look) -> Settings | None:
    boxes, labels = look.of_shape(None, 5), look.of_shape(None, kinds="iu")
    if not (boxes and labels) or look.of_shape(None, 4):
        return None
    return {"box_units": units_of(look.outputs[boxes[0]].reshape(-1, 5)[:, :4], SHARE_LIMIT)}


def _columns(found: Arrays, options: ForeignOptions) -> Found:
    rows = found["boxes"].reshape(-1, 5)
    same_count(len(rows), found["labels"].size)
    return as_found(rows[:, :4], rows[:, 4], found["labels"])


FAMILY = Family(
    name="boxes-labels",
    title="boxes with scores, and labels (as Open Model Zoo and MMDetection)",
    roles=_ROLES,
    recognise=_recognise,
    columns=_columns,
    read=read_columns(_columns),
)
