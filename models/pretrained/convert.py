"""Other frameworks' Faster R-CNN weights as ours: names, class order, channel order, mean.

Detectors only; which architecture the names belong to is said by the catalogue. What can't be
said by weights (anchors, pooling, strides) is in `models.boxes.layout`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from models.errors import WeightsError

DEVIATION_RGB = (58.395, 57.12, 57.375)
"""By what torchvision and MMDetection divide each channel (0…255), and Detectron2 does not."""

COCO_91_GAPS = frozenset({12, 26, 29, 30, 45, 66, 68, 69, 71, 83})
"""Ids that COCO's annotations never use, of the 91 rows of torchvision's predictor."""

_CLASS_ROWS = "roi_heads.box_predictor.cls_score"
_BOX_ROWS = "roi_heads.box_predictor.bbox_pred"
_STEM = "backbone.body.conv1.weight"
SHOWN = 3

_Rules = tuple[tuple[re.Pattern[str], str], ...]


def _rules(*pairs: tuple[str, str]) -> _Rules:
    return tuple((re.compile(pattern), ours) for pattern, ours in pairs)


MMDETECTION = _rules(
    (r"backbone\.((conv1|bn1|layer\d)\..+)", r"backbone.body.\1"),
    (r"neck\.lateral_convs\.(\d)\.conv\.(.+)", r"backbone.fpn.inner_blocks.\1.0.\2"),
    (r"neck\.fpn_convs\.(\d)\.conv\.(.+)", r"backbone.fpn.layer_blocks.\1.0.\2"),
    (r"rpn_head\.rpn_conv\.(.+)", r"rpn.head.conv.0.0.\1"),
    (r"rpn_head\.rpn_cls\.(.+)", r"rpn.head.cls_logits.\1"),
    (r"rpn_head\.rpn_reg\.(.+)", r"rpn.head.bbox_pred.\1"),
    (r"roi_head\.bbox_head\.shared_fcs\.0\.(.+)", r"roi_heads.box_head.fc6.\1"),
    (r"roi_head\.bbox_head\.shared_fcs\.1\.(.+)", r"roi_heads.box_head.fc7.\1"),
    (r"roi_head\.bbox_head\.fc_cls\.(.+)", rf"{_CLASS_ROWS}.\1"),
    (r"roi_head\.bbox_head\.fc_reg\.(.+)", rf"{_BOX_ROWS}.\1"),
)
"""Their name (whole) → ours. Levels and stages count from 0 and from 1 as ours do."""

DETECTRON2 = _rules(
    (r"pixel_mean|pixel_std|proposal_generator\.anchor_generator\..+", ""),
    (r"backbone\.bottom_up\.stem\.conv1\.weight", _STEM),
    (r"backbone\.bottom_up\.stem\.conv1\.norm\.(.+)", r"backbone.body.bn1.\1"),
    *(
        rule
        for stage in range(1, 5)
        for theirs, ours in [
            (
                rf"backbone\.bottom_up\.res{stage + 1}\.(\d+)\.",
                rf"backbone.body.layer{stage}.\1.",
            )
        ]
        for rule in (
            (rf"{theirs}conv(\d)\.weight", rf"{ours}conv\2.weight"),
            (rf"{theirs}conv(\d)\.norm\.(.+)", rf"{ours}bn\2.\3"),
            (rf"{theirs}shortcut\.weight", rf"{ours}downsample.0.weight"),
            (rf"{theirs}shortcut\.norm\.(.+)", rf"{ours}downsample.1.\2"),
        )
    ),
    *(
        (rf"backbone\.fpn_{theirs}{level + 2}\.(.+)", rf"backbone.fpn.{ours}.{level}.0.\1")
        for level in range(4)
        for theirs, ours in (("lateral", "inner_blocks"), ("output", "layer_blocks"))
    ),
    (r"proposal_generator\.rpn_head\.conv\.(.+)", r"rpn.head.conv.0.0.\1"),
    (r"proposal_generator\.rpn_head\.objectness_logits\.(.+)", r"rpn.head.cls_logits.\1"),
    (r"proposal_generator\.rpn_head\.anchor_deltas\.(.+)", r"rpn.head.bbox_pred.\1"),
    (r"roi_heads\.box_head\.fc1\.(.+)", r"roi_heads.box_head.fc6.\1"),
    (r"roi_heads\.box_head\.fc2\.(.+)", r"roi_heads.box_head.fc7.\1"),
    (r"roi_heads\.box_predictor\.(.+)", r"roi_heads.box_predictor.\1"),
)
"""The same for Detectron2, which calls the stages res2 … res5; '' is dropped."""


def converted(state: Mapping[str, Tensor], layout: str, *, source: object) -> dict[str, Tensor]:
    """A detector's state dict of `layout` (`models.boxes.layout`) as ours, background first.

    torchvision's 91 rows of classes become the 80 of `COCO_80`; other numbers of classes stay.
    A name that the layout does not have raises `WeightsError`; missing tensors and shapes are
    `models.checkpoint.load_into`'s to tell.
    """
    if layout == "torchvision":
        return _with_counters(_without_gaps(state))
    rules = {"mmdetection": MMDETECTION, "detectron2": DETECTRON2}[layout]
    ours = _renamed(state, rules, layout, source)
    for name, per_class in ((_CLASS_ROWS, 1), (_BOX_ROWS, 4)):
        for kind in ("weight", "bias"):
            key = f"{name}.{kind}"
            if key in ours:
                ours[key] = _background_first(ours[key], per_class)
    if layout == "detectron2" and _STEM in ours:
        ours[_STEM] = _for_rgb(ours[_STEM])
    return _with_counters(ours)


def _renamed(
    state: Mapping[str, Tensor], rules: _Rules, layout: str, source: object
) -> dict[str, Tensor]:
    ours, unknown = {}, []
    for name, tensor in state.items():
        hits = ((p.fullmatch(name), template) for p, template in rules)
        new = next((hit.expand(template) for hit, template in hits if hit), None)
        if new is None:
            unknown.append(name)
        elif new:
            ours[new] = tensor
    if unknown:
        shown = ", ".join(unknown[:SHOWN]) + (", …" if len(unknown) > SHOWN else "")
        message = (
            f"{source}: weights of another architecture than {layout}'s Faster R-CNN with a "
            f"feature pyramid: {len(unknown)} of {len(state)} names are unknown ({shown}); "
            "check which detector the file holds"
        )
        raise WeightsError(message)
    return ours


def _background_first(rows: Tensor, per_class: int) -> Tensor:
    """Predictor rows with the background last (scores) or missing (boxes), as ours: first. The
    background's own box is never looked at."""
    if per_class == 1:
        return torch.cat([rows[-1:], rows[:-1]])
    return torch.cat([torch.zeros_like(rows[:per_class]), rows])


def _for_rgb(stem: Tensor) -> Tensor:
    """The first convolution (C×3×7×7) for RGB divided by the deviations instead of BGR as it is.

    Detectron2 takes the mean off 0…255 and divides by nothing. Both means are ImageNet's, so the
    padding's zeros mean the same, and this is exact up to rounding.
    """
    deviation = torch.tensor(DEVIATION_RGB, dtype=stem.dtype).reshape(1, 3, 1, 1)
    return stem.flip(1) * deviation


def _without_gaps(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """torchvision's predictor for COCO's 91 ids with the rows of those that exist."""
    ours = dict(state)
    kept = [row for row in range(91) if row not in COCO_91_GAPS]
    for name, per_class in ((_CLASS_ROWS, 1), (_BOX_ROWS, 4)):
        for kind in ("weight", "bias"):
            key = f"{name}.{kind}"
            if key in ours and len(ours[key]) == 91 * per_class:
                groups = ours[key].reshape(91, per_class, *ours[key].shape[1:])[kept]
                ours[key] = groups.reshape(-1, *ours[key].shape[1:])
    return ours


def _with_counters(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """With the batch norms' step counters, which frozen ones do not have."""
    for name in [name for name in state if name.endswith(".running_var")]:
        counter = f"{name.removesuffix('running_var')}num_batches_tracked"
        state.setdefault(counter, torch.tensor(0))
    return state
