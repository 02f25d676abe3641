"""RT-DETR as Ultralytics export it: one output, centre and sides in shares, then the scores with
their sigmoid (1×N×(4 + classes)) or, since 2026, the best one and its class (1×N×6)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.boxes.families.base import (
    RGB_SHARES,
    Arrays,
    Family,
    ForeignOptions,
    Found,
    Look,
    Settings,
    Size,
    Wanted,
    are_corners,
    as_found,
    corners,
    in_pixels,
    whole_numbers,
)
from models.boxes.families.ultralytics import best_class, check_scores, described_names, of_task
from models.boxes.foreign_layouts import SHARE_LIMIT, in_words, shown
from models.errors import ModelError

MOST_QUERIES = 1000
WITH_CLASS = 6
"""Numbers in a row that ends with score and class."""


def _recognise(look: Look) -> Settings | None:
    names = look.class_names or described_names(look.about)
    if not names or not of_task(look.about, "detect"):
        return None
    for name in look.grids:
        rows = look.outputs[name][0]
        if rows.shape[1] not in (WITH_CLASS, 4 + len(names)) or len(rows) > MOST_QUERIES:
            continue
        are_sides = not (_has_class(rows) and are_corners(rows[:, :4]))
        if are_sides and np.abs(rows[:, :4]).max() <= SHARE_LIMIT:
            return {"boxes_output": name, "class_names": names}
    return None


def _has_class(rows: NDArray[Any]) -> bool:
    """Whether the row ends with score and class; with the scores of two classes otherwise."""
    return rows.shape[1] == WITH_CLASS and whole_numbers(rows[:, 5])


def _check(found: Arrays, size: Size, options: ForeignOptions, path: Path) -> None:
    rows, wanted = found["boxes"][0], 4 + len(options.class_names)
    fits = rows.shape[1] == wanted or _has_class(rows)
    if not fits or np.abs(rows[:, :4]).max() > SHARE_LIMIT:
        message = (
            f"{path}: {len(options.class_names)} classes give rows of {wanted} (or {WITH_CLASS}) "
            f"in shares of the picture, the model gives {shown(rows.shape)} (such as "
            f"{in_words(rows[0, :4])}): set teacher.io.outputs to what it returns"
        )
        raise ModelError(message)
    check_scores(rows[:, 4:5] if _has_class(rows) else rows[:, 4:], path)


def _read(found: Arrays, size: Size, options: ForeignOptions) -> Found:
    rows = found["boxes"][0].astype(np.float32)
    boxes = in_pixels(corners(rows[:, :4]), size, options)
    if _has_class(rows):
        return as_found(boxes, rows[:, 4], rows[:, 5])
    scores, labels = best_class(rows[:, 4:])
    return Found(boxes, scores, labels)


FAMILY = Family(
    name="detr-rows",
    title="RT-DETR of Ultralytics",
    roles={"boxes": Wanted((1, None, None))},
    recognise=_recognise,
    check=_check,
    read=_read,
    usual={**RGB_SHARES, "box_units": "shares"},
)
