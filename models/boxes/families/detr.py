"""Queries with logits (1×N×classes, no sigmoid yet) and boxes (1×N×4, centre and sides in shares):
RT-DETR, D-FINE (as Transformers export them) and RF-DETR."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from models.boxes.classes import COCO_80, COCO_IDS
from models.boxes.families.base import (
    RGB_SHARES,
    Arrays,
    Family,
    Fit,
    ForeignOptions,
    Found,
    Look,
    Settings,
    Size,
    Wanted,
    corners,
    in_pixels,
    sequence_names,
)
from models.boxes.foreign_layouts import SHARE_LIMIT, in_words, shown
from models.errors import ModelError

MOST_FOUND = 300
"""So many of the best pairs of query and class count, as in their own post-processing."""
SOFTMAX_CLASSES = 92
"""DETR itself on COCO: a softmax with a class for nothing, another family."""
_IMAGENET: Settings = {
    "channel_order": "rgb",
    "mean": (123.675, 116.28, 103.53),
    "scale": (58.395, 57.12, 57.375),
    "box_units": "shares",
}
_PLAIN: Settings = {**RGB_SHARES, "box_units": "shares"}
_ROLES = {"boxes": Wanted((1, None, 4)), "scores": Wanted((1, None, None))}


def _recognise(look: Look, *, of_rf_detr: bool) -> Settings | None:
    boxes = [name for name in look.of_shape(1, None, 4) if "box" in name or name == "dets"]
    if len(boxes) != 1 or ("dets" in boxes) != of_rf_detr:
        return None
    queries = look.outputs[boxes[0]].shape[1]
    logits = [name for name in look.of_shape(1, queries, None) if name not in boxes]
    logits = [name for name in logits if "logit" in name or name == "labels"] or logits
    if not logits or look.of_shape(queries) or look.of_shape(queries, kinds="iu"):
        return None
    count = look.outputs[logits[0]].shape[2]
    if count == SOFTMAX_CLASSES:
        return None
    names = sequence_names(count, {80: COCO_80, 91: COCO_IDS})
    outputs: Settings = {"boxes_output": boxes[0], "scores_output": logits[0]}
    return outputs | ({"class_names": names} if names and not look.class_names else {})


def _check(found: Arrays, size: Size, options: ForeignOptions, path: Path) -> None:
    boxes, logits = found["boxes"][0], found["scores"][0]
    wanted = (len(boxes), len(options.class_names))
    if logits.shape != wanted and logits.shape != (wanted[0], wanted[1] + 1):
        message = (
            f"{path}: {wanted[1]} classes give logits of {shown(wanted)}, the model gives "
            f"{shown(logits.shape)}: name them all in teacher.io.class_names"
        )
        raise ModelError(message)
    in_shares = boxes.min() >= -SHARE_LIMIT and boxes.max() <= SHARE_LIMIT
    if not in_shares or (boxes[:, 2:] < 0).any():
        message = (
            f"{path}: boxes such as {in_words(boxes[0])} are not centre and sides in shares of "
            "the picture: set teacher.io.outputs to what the model returns"
        )
        raise ModelError(message)
    if logits.min() >= 0 and np.allclose(logits.sum(axis=1), 1.0, atol=1e-3):
        message = f"{path}: the scores have a softmax already: export the model's logits"
        raise ModelError(message)


def _read(found: Arrays, size: Size, options: ForeignOptions) -> Found:
    logits = found["scores"][0].astype(np.float64)[:, : len(options.class_names)]
    scores = (1.0 / (1.0 + np.exp(-logits))).astype(np.float32)
    best = np.argsort(-scores, axis=None, kind="stable")[:MOST_FOUND]
    queries, labels = np.unravel_index(best, scores.shape)
    boxes = in_pixels(corners(found["boxes"][0].astype(np.float32)), size, options)
    return Found(boxes[queries], scores[queries, labels], labels.astype(np.int64))


FAMILY = Family(
    name="detr",
    title="RT-DETR or D-FINE (logits and boxes)",
    roles=_ROLES,
    recognise=partial(_recognise, of_rf_detr=False),
    check=_check,
    read=_read,
    usual=_PLAIN,
    fit=Fit(smooth=True),
)
RF_DETR = Family(
    name="rf-detr",
    title="RF-DETR (logits and boxes)",
    roles=_ROLES,
    recognise=partial(_recognise, of_rf_detr=True),
    check=_check,
    read=_read,
    usual=_IMAGENET,
    usual_size=(560, 560),
)
