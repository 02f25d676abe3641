"""What a training batch's regions hold, pooled so that the gradient is cheap on a CPU.

torchvision's RoIAlign hands its gradient back number by number, which is a third of a training
step. The sums of table rows that `models.boxes.lean` detects with hand it back row by row.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.ops import MultiScaleRoIAlign

from models.boxes.layout import POOLED_LEVELS, AlignedPooling
from models.boxes.lean.pooling import RegionPooling


def pool_regions(
    heads: RoIHeads,
    features: dict[str, Tensor],
    proposals: list[Tensor],
    image_sizes: list[tuple[int, int]],
) -> Tensor:
    """What `heads.box_roi_pool` gives, R×C×side×side for the R regions of all images in their
    order, and its own work where it is as fast (not on a CPU) or of another kind.

    `features` are N×C×H×W by level, `proposals` one R_i×4 for each of N images, in pixels of the
    net's input, `image_sizes` their heights and widths.
    """
    pool = heads.box_roi_pool
    if isinstance(pool, AlignedPooling):
        names = [str(level) for level in range(POOLED_LEVELS)]
    elif isinstance(pool, MultiScaleRoIAlign):
        names = [name for name in features if name in pool.featmap_names]
    else:
        names = []
    if not names or features[names[0]].device.type != "cpu":
        pooled: Tensor = pool(features, proposals, image_sizes)
        return pooled
    levels = [features[name].float() for name in names]
    tallest, widest = (max(size[axis] for size in image_sizes) for axis in (0, 1))
    sizes = [(level.shape[2], level.shape[3]) for level in levels]
    pooling = RegionPooling(pool, sizes, (tallest, widest))
    table = torch.cat([level.permute(0, 2, 3, 1).flatten(1, 2) for level in levels], dim=1)
    count, cells, channels = table.shape
    boxes = torch.cat(proposals)
    image = torch.repeat_interleave(torch.arange(count), torch.tensor([len(p) for p in proposals]))
    bags = pooling.bags(boxes, pooling.levels(boxes)).moved(image * cells)
    flat = bags.pooled(table.reshape(count * cells, channels), pooling.side)
    return flat.view(len(boxes), pooling.side, pooling.side, channels).permute(0, 3, 1, 2)
