"""Boxes N×4, scores N and labels N: torchvision's exports, and those of `culling export`."""

from __future__ import annotations

from models.boxes.families.base import (
    RGB_SHARES,
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
)
from models.boxes.families.own import own_settings

ROLES = {
    "boxes": Wanted((None, 4)),
    "scores": Wanted((None,)),
    "labels": Wanted((None,), "iu"),
}
TORCHVISION: Settings = {
    **RGB_SHARES,
    "keep_aspect": True,
    "pad_value": 0,
    "label_offset": -1,
}
"""It counts classes from 1, behind the background, and shrinks and normalises by itself."""


def _recognise(look: Look) -> Settings | None:
    if not has_three(look) or any("size" in name for name in look.inputs):
        return None
    return own_settings(look.about) or TORCHVISION


def has_three(look: Look) -> bool:
    """Whether there are boxes, scores and labels, and no count beside them."""
    whole = [name for name, array in look.outputs.items() if array.dtype.kind in "iu"]
    labels = look.of_shape(None, kinds="iu")
    return bool(look.of_shape(None, 4) and look.of_shape(None) and labels and len(whole) == 1)


def columns(found: Arrays, options: ForeignOptions) -> Found:
    """The three outputs as they are."""
    same_count(found["boxes"].shape[-2], found["labels"].size)
    return as_found(found["boxes"], found["scores"], found["labels"])


FAMILY = Family(
    name="boxes-scores-labels",
    title="boxes, scores and labels (as torchvision)",
    roles=ROLES,
    recognise=_recognise,
    columns=columns,
    read=read_columns(columns),
    usual_size=(800, 1333),
)
