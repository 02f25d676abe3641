"""Where other frameworks' Faster R-CNN differs from torchvision's, as parts to build ours from.

torchvision rounds its anchors' sides, derives their spacing from the picture, and samples regions
half a pixel off with two points a bin; MMDetection and Detectron2 do none of that. Detectron2's
trunks also stride in the first convolution of a block instead of the second. Weights trained one
way find worse boxes in a net built the other way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.resnet import Bottleneck
from torchvision.ops import roi_align

LEVEL_STRIDES_PX = (4, 8, 16, 32, 64)
"""Pixels from one cell to the next on the five levels of a feature pyramid."""

POOLED_LEVELS = 4
POOLED_SIDE = 7
USUAL_SIDE_PX, USUAL_LEVEL = 224, 2
"""A region of this side is looked up on this level, one of twice the side one level higher (Lin et
al., Feature Pyramid Networks, eq. 1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """In what a net differs from torchvision's."""

    exact_anchors: bool = False
    aligned_pooling: bool = False
    stride_first: bool = False


LAYOUTS = {
    "torchvision": Layout(),
    "mmdetection": Layout(exact_anchors=True, aligned_pooling=True),
    "detectron2": Layout(exact_anchors=True, aligned_pooling=True, stride_first=True),
}
"""By the word stored in `DetectorSpec.layout`."""


def lay_out(model: FasterRCNN, layout: Layout) -> None:
    """Make a Faster R-CNN of ours (five levels, torchvision's parts) work the other's way.

    No tensor is added, renamed or changed.
    """
    if layout.exact_anchors:
        old = model.rpn.anchor_generator
        model.rpn.anchor_generator = ExactAnchors(old.sizes, old.aspect_ratios)
    if layout.aligned_pooling:
        model.roi_heads.box_roi_pool = AlignedPooling()
    if layout.stride_first:
        for module in model.backbone.body.modules():
            if isinstance(module, Bottleneck):
                module.conv1.stride, module.conv2.stride = module.conv2.stride, module.conv1.stride


class ExactAnchors(AnchorGenerator):  # type: ignore[misc]  # torchvision has no types
    """Anchors whose sides are not rounded, spaced by the levels' own strides.

    torchvision divides the picture's side by the level's: 160 px and a coarsest level of 3 cells
    give it 53 px where the cells lie 64 px apart.
    """

    def generate_anchors(
        self,
        scales: Any,
        aspect_ratios: Any,
        dtype: torch.dtype = torch.float32,
        device: torch.device | None = None,
    ) -> Tensor:
        """A×4 anchors around the origin, ratio by ratio (height over width)."""
        sides = torch.as_tensor(scales, dtype=dtype, device=device)
        down = torch.sqrt(torch.as_tensor(aspect_ratios, dtype=dtype, device=device))
        heights = (down[:, None] * sides[None, :]).flatten()
        widths = (sides[None, :] / down[:, None]).flatten()
        return torch.stack([-widths, -heights, widths, heights], dim=1) / 2

    def forward(self, image_list: Any, feature_maps: list[Tensor]) -> list[Tensor]:
        """For each image the N×4 float32 anchors of all levels, the finest level first."""
        device = feature_maps[0].device
        self.set_cell_anchors(torch.float32, device)
        strides = [
            [torch.tensor(stride, device=device)] * 2
            for stride in LEVEL_STRIDES_PX[: len(feature_maps)]
        ]
        sizes = [list(level.shape[-2:]) for level in feature_maps]
        anchors = torch.cat(self.grid_anchors(sizes, strides))
        return [anchors for _ in image_list.image_sizes]


class AlignedPooling(nn.Module):
    """RoIAlign over the pyramid's first four levels, pixel centres at half (`aligned`), as many
    sampling points as a bin has cells."""

    def forward(
        self,
        features: dict[str, Tensor],
        boxes: list[Tensor],
        image_shapes: list[tuple[int, int]],
    ) -> Tensor:
        """`boxes` are N×4 per image, in pixels of the net's input; gives ΣN×C×7×7, in their order.
        No box gives 0×C×7×7. `image_shapes` is not needed: the strides are known."""
        levels = [features[str(k)] for k in range(POOLED_LEVELS)]
        index = [torch.full_like(of_one[:, :1], i) for i, of_one in enumerate(boxes)]
        corners = torch.cat(boxes)
        regions = torch.cat([torch.cat(index), corners], dim=1)
        level_of = self.level_of(corners)
        # `shape` and not `len`: an exported net must not remember how many regions it was shown
        shape = (corners.shape[0], levels[0].shape[1], POOLED_SIDE, POOLED_SIDE)
        pooled = torch.zeros(shape, dtype=levels[0].dtype, device=corners.device)
        for k, level in enumerate(levels):
            at = torch.where(level_of == k)[0]
            pooled[at] = roi_align(
                level,
                regions[at],
                output_size=POOLED_SIDE,
                spatial_scale=1 / LEVEL_STRIDES_PX[k],
                sampling_ratio=0,
                aligned=True,
            ).to(pooled.dtype)
        return pooled

    def level_of(self, boxes: Tensor) -> Tensor:
        sides = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1).sqrt()
        level = torch.floor(USUAL_LEVEL + torch.log2(sides / USUAL_SIDE_PX + 1e-8))
        return level.clamp(0, POOLED_LEVELS - 1).to(torch.int64)
