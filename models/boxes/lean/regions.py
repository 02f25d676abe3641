"""The second stage: what is in each region.

Most regions hold nothing. A first look in 8-bit numbers tells which could reach the net's least
score; only those are looked at again, in full, and only that second look counts.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.ops import batched_nms, clip_boxes_to_image, remove_small_boxes

from models.boxes.lean.packed import PackedLinear, has_int8_dot
from models.boxes.lean.pooling import Bags, RegionPooling, side_of

FIRST_LOOK_SHARE = 0.4
"""A region whose score is below this share of the net's least one at the first look is dropped."""
FIRST_LOOK_WEIGHTS = 4_000_000
"""A first layer with fewer is so fast that a look at some regions twice takes longer."""
BYTE = 127


class Regions:
    """torchvision's `RoIHeads` for one image, with the two layers of a `TwoMLPHead`."""

    def __init__(self, heads: RoIHeads) -> None:
        self._heads = heads
        self.looks_twice = (
            has_int8_dot() and heads.box_head.fc6.weight.numel() >= FIRST_LOOK_WEIGHTS
        )
        """May be taken back, where the first look proves too rough."""
        head, last = heads.box_head, heads.box_predictor
        hidden, flat = head.fc6.weight.shape
        side = side_of(heads.box_roi_pool)
        cells_last = head.fc6.weight.detach().view(hidden, flat // side**2, side**2)
        weight = cells_last.permute(0, 2, 1).reshape(hidden, flat)
        self._first = PackedLinear(weight, head.fc6.bias)
        self._second = PackedLinear(head.fc7.weight, head.fc7.bias)
        self._classes = last.cls_score.out_features
        self._last = PackedLinear(
            torch.cat([last.cls_score.weight, last.bbox_pred.weight]),
            torch.cat([last.cls_score.bias, last.bbox_pred.bias]),
        )
        if self.looks_twice:
            self._byte_scale = weight.abs().amax(dim=1) / BYTE
            self._bytes = (weight / self._byte_scale[:, None]).round_().to(torch.int8).t()
            self._byte_bias = head.fc6.bias.detach()

    @property
    def least_score(self) -> float:
        """Nothing at or below it is found."""
        return float(self._heads.score_thresh)

    def in_full(self, rows: Tensor, bags: Bags, side: int) -> tuple[Tensor, Tensor]:
        """Class logits (N×classes, background first) and moves (N×4·classes)."""
        hidden = self._first(bags.pooled(rows, side), relu=True)
        out = self._last(self._second(hidden, relu=True))
        return out[:, : self._classes], out[:, self._classes :]

    def at_first_look(self, small: SmallTable, bags: Bags, levels: Tensor, side: int) -> Tensor:
        """Class logits, roughly."""
        pooled = bags.pooled(small.rows, side).round_().to(torch.int8)
        scale = small.unit[levels][:, None] * self._byte_scale[None, :]
        hidden = torch._int_mm(pooled, self._bytes).float().mul_(scale).add_(self._byte_bias)
        logits = self._last(self._second(hidden.relu_(), relu=True))
        return logits[:, : self._classes]

    def __call__(
        self, levels: list[Tensor], boxes: Tensor, pooling: RegionPooling, size: tuple[int, int]
    ) -> dict[str, Tensor]:
        """torchvision's dictionary. `levels` are (H·W)×C tables, `boxes` N×4 in pixels."""
        rows = torch.cat(levels)
        if self.looks_twice and len(boxes):
            level_of = pooling.levels(boxes)
            bags = pooling.bags(boxes, level_of)
            rough = self.at_first_look(SmallTable(levels), bags, level_of, pooling.side)
            best = functional.softmax(rough, -1)[:, 1:].amax(dim=1)
            boxes = boxes[best > FIRST_LOOK_SHARE * self._heads.score_thresh]
        bags = pooling.bags(boxes, pooling.levels(boxes))
        logits, moves = self.in_full(rows, bags, pooling.side)
        return self._found(logits, moves, boxes, size)

    def _found(
        self, logits: Tensor, moves: Tensor, boxes: Tensor, size: tuple[int, int]
    ) -> dict[str, Tensor]:
        """As `RoIHeads.postprocess_detections`, but only what has the score is decoded."""
        heads = self._heads
        scores = functional.softmax(logits, -1)
        region, label = torch.where(scores[:, 1:] > heads.score_thresh)
        label = label + 1
        chosen = moves.view(-1, self._classes, 4)[region, label]
        found = heads.box_coder.decode_single(chosen, boxes[region])
        found, scores = clip_boxes_to_image(found, size), scores[region, label]
        keep = remove_small_boxes(found, min_size=1e-2)
        found, scores, label = found[keep], scores[keep], label[keep]
        keep = batched_nms(found, scores, label, heads.nms_thresh)[: heads.detections_per_img]
        return {"boxes": found[keep], "scores": scores[keep], "labels": label[keep]}


class SmallTable:
    """The pyramid's levels in 16 bits, each in units that make its largest number 127: what is
    pooled from it fits in 8."""

    def __init__(self, levels: list[Tensor]) -> None:
        ends = [level.aminmax() for level in levels]
        largest = torch.stack([torch.maximum(-end.min, end.max) for end in ends])
        self.unit = largest.clamp(min=torch.finfo(torch.float32).tiny * 2**20) / BYTE
        self.rows = torch.cat(
            [(level / unit).half() for level, unit in zip(levels, self.unit, strict=True)]
        )


def apart(rough: Tensor, exact: Tensor) -> float:
    """The largest error of a class's log-odds against the background, N×classes logits each."""
    odds: Any = (rough - rough[:, :1]) - (exact - exact[:, :1])
    return float(odds.abs().max()) if odds.numel() else 0.0


def margin(least_score: float) -> float:
    """How far apart the log-odds of the least score and of the first look's bar are."""
    bar = FIRST_LOOK_SHARE * least_score
    return math.log(least_score / (1 - least_score)) - math.log(bar / (1 - bar))
