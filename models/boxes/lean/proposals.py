"""The first stage: from the pyramid to the regions that the second looks at."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.rpn import RegionProposalNetwork
from torchvision.ops import batched_nms, clip_boxes_to_image, remove_small_boxes

from models.boxes.lean.packed import PackedConv, PackedLinear, PyramidConv, table


class Proposals:
    """torchvision's `RegionProposalNetwork` for one image; boxes are decoded after the best anchors
    of each level are chosen, not before."""

    def __init__(self, rpn: RegionProposalNetwork) -> None:
        self._rpn = rpn
        convs = [part[0] for part in rpn.head.conv]
        self._convs = [PyramidConv(conv) for conv in convs]
        score, move = rpn.head.cls_logits, rpn.head.bbox_pred
        self._anchors = score.out_channels
        self._last = PackedLinear(
            torch.cat([score.weight, move.weight]).flatten(1), torch.cat([score.bias, move.bias])
        )
        self._placed: dict[tuple[int, ...], list[Tensor]] = {}

    def maps(self, levels: Sequence[Tensor]) -> list[tuple[Tensor, Tensor]]:
        """Objectness (n) and moves (n×4) of all anchors of each 1×C×H×W level, in torchvision's
        order."""
        found = []
        for level in levels:
            for conv in self._convs:
                level = conv(level, relu=True)
            out = self._last(table(level))
            score, move = out[:, : self._anchors], out[:, self._anchors :]
            found.append((score.flatten(), move.reshape(-1, 4)))
        return found

    def __call__(self, levels: Sequence[Tensor], padded: Tensor, size: tuple[int, int]) -> Tensor:
        """N×4 boxes in pixels, the best first. `padded` is the net's input, `size` the height and
        width of the picture in it."""
        rpn, best = self._rpn, ([], [], [])  # type: ignore[var-annotated]
        anchors = self._anchors_of(levels, padded, size)
        for k, (score, move) in enumerate(self.maps(levels)):
            top, at = score.topk(min(rpn.pre_nms_top_n(), len(score)))
            best[0].append(rpn.box_coder.decode_single(move[at], anchors[k][at]))
            best[1].append(top.sigmoid())
            best[2].append(torch.full_like(at, k))
        boxes, scores, level_of = (torch.cat(part) for part in best)
        boxes = clip_boxes_to_image(boxes, size)
        keep = remove_small_boxes(boxes, rpn.min_size)
        keep = keep[scores[keep] >= rpn.score_thresh]
        boxes, scores, level_of = boxes[keep], scores[keep], level_of[keep]
        keep = batched_nms(boxes, scores, level_of, rpn.nms_thresh)[: rpn.post_nms_top_n()]
        chosen: Tensor = boxes[keep]
        return chosen

    def _anchors_of(
        self, levels: Sequence[Tensor], padded: Tensor, size: tuple[int, int]
    ) -> list[Tensor]:
        shape = tuple(padded.shape)
        if shape not in self._placed:
            generator = self._rpn.anchor_generator
            whole = generator(ImageList(padded, [size]), list(levels))[0]
            counts = [
                level[0, 0].numel() * per_cell
                for level, per_cell in zip(
                    levels, generator.num_anchors_per_location(), strict=True
                )
            ]
            self._placed[shape] = list(whole.split(counts))
        return self._placed[shape]


class Pyramid:
    """torchvision's `FeaturePyramidNetwork` for one image."""

    def __init__(self, fpn: nn.Module) -> None:
        self._lateral = [PackedConv(block[0]) for block in fpn.inner_blocks]  # type: ignore[union-attr]
        self._level = [PyramidConv(block[0]) for block in fpn.layer_blocks]  # type: ignore[union-attr]

    def __call__(self, stages: Sequence[Tensor]) -> list[Tensor]:
        """The levels, the finest first, and the one that max pooling adds."""
        inner = self._lateral[-1](stages[-1])
        levels = [self._level[-1](inner)]
        for k in range(len(stages) - 2, -1, -1):
            side = self._lateral[k](stages[k])
            inner = side + nn.functional.interpolate(inner, size=side.shape[-2:], mode="nearest")
            levels.insert(0, self._level[k](inner))
        return [*levels, nn.functional.max_pool2d(levels[-1], 1, stride=2)]
