"""RoIAlign as weighted sums of rows of a table, which is what `embedding_bag` does fast.

torchvision's on a CPU goes from number to number; here a cell's channels lie side by side, and a
bin of a region is the sum of some 16 cells times their bilinear weights (He et al., Mask R-CNN,
sec. 3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.ops import MultiScaleRoIAlign
from torchvision.ops.poolers import LevelMapper

from models.boxes.layout import LEVEL_STRIDES_PX, POOLED_LEVELS, POOLED_SIDE, AlignedPooling


@dataclass(frozen=True, slots=True)
class Bags:
    """For N regions: which rows of the table, and how much of each. `groups` are the numbers of
    regions with as many sampling points; `rows` and `weights` are (n·side²)×k for each group."""

    count: int
    groups: tuple[Tensor, ...]
    rows: tuple[Tensor, ...]
    weights: tuple[Tensor, ...]

    def moved(self, by: Tensor) -> Bags:
        """The same, `by` (N int64) rows further down in a longer table."""
        pairs = zip(self.groups, self.rows, strict=True)
        shifts = [by[at].int().repeat_interleave(len(rows) // len(at)) for at, rows in pairs]
        rows = tuple(r + shift[:, None] for r, shift in zip(self.rows, shifts, strict=True))
        return Bags(self.count, self.groups, rows, self.weights)

    def pooled(self, table: Tensor, side: int) -> Tensor:
        """N×(side²·C) of the table's type; regions in their order, C numbers a bin."""
        parts = [
            functional.embedding_bag(r, table, per_sample_weights=w.to(table.dtype), mode="sum")
            for r, w in zip(self.rows, self.weights, strict=True)
        ]
        flat = [part.view(-1, side * side * table.shape[1]) for part in parts]
        if len(flat) == 1:
            return flat[0]
        out = table.new_zeros(self.count, side * side * table.shape[1])
        for where, part in zip(self.groups, flat, strict=True):
            out[where] = part
        return out


class RegionPooling:
    """What a net's own pooling does, for one size of image."""

    def __init__(
        self, pool: nn.Module, sizes: Sequence[tuple[int, int]], image_size: tuple[int, int]
    ) -> None:
        """`sizes` are height and width of the levels it looks at, the finest first."""
        self._sizes = torch.tensor(sizes, dtype=torch.float32)
        cells = self._sizes.prod(dim=1)
        self._base = (cells.cumsum(0) - cells).long()
        self.side = side_of(pool)
        if isinstance(pool, AlignedPooling):
            self._samples, self._offset = 0, 0.5
            self._scales = torch.tensor([1.0 / s for s in LEVEL_STRIDES_PX[:POOLED_LEVELS]])
            self._level = pool.level_of
        else:
            assert isinstance(pool, MultiScaleRoIAlign)
            self._samples, self._offset = pool.sampling_ratio, 0.0
            powers = torch.tensor([size[0] / image_size[0] for size in sizes]).log2().round()
            if pool.scales is not None:  # torchvision keeps those of the first size it has seen
                powers = torch.tensor(pool.scales).log2()
            self._scales = 2.0**powers
            mapper = LevelMapper(
                -int(powers[0]), -int(powers[-1]), pool.canonical_scale, pool.canonical_level
            )
            self._level = lambda boxes: mapper([boxes])

    def levels(self, boxes: Tensor) -> Tensor:
        """On which level each of N boxes (pixels of the net's input) is looked up."""
        level: Tensor = self._level(boxes)
        return level

    def bags(self, boxes: Tensor, levels: Tensor) -> Bags:
        """N×4 boxes in pixels of the net's input."""
        scale = self._scales[levels]
        low = boxes[:, :2] * scale[:, None] - self._offset
        length = boxes[:, 2:] * scale[:, None] - self._offset - low
        if not self._offset:
            length = length.clamp(min=1.0)
        bins = length / self.side
        points = torch.full_like(bins, self._samples) if self._samples else bins.ceil()
        most = points.amax(dim=1).clamp(min=1)
        groups, rows, weights = [], [], []
        for k in sorted(set(most.tolist())):
            at = torch.where(most == k)[0]
            chosen = levels[at]
            size, width = self._sizes[chosen], self._sizes[chosen, 1].long()
            (y, y_weight), (x, x_weight) = (
                _axis(low[at, a], bins[at, a], points[at, a], size[:, 1 - a], int(k), self.side)
                for a in (1, 0)
            )
            row = y[:, :, None, :, None] * width[:, None, None, None, None]
            row = row + x[:, None, :, None, :] + self._base[chosen][:, None, None, None, None]
            weight = y_weight[:, :, None, :, None] * x_weight[:, None, :, None, :]
            groups.append(at)
            rows.append(row.reshape(-1, 4 * int(k) ** 2).int())
            weights.append(weight.reshape(-1, 4 * int(k) ** 2))
        return Bags(len(boxes), tuple(groups), tuple(rows), tuple(weights))


def side_of(pool: nn.Module) -> int:
    """How many bins a region has on a side."""
    return int(pool.output_size[0]) if isinstance(pool, MultiScaleRoIAlign) else POOLED_SIDE


def _axis(
    low: Tensor, bins: Tensor, points: Tensor, size: Tensor, most: int, side: int
) -> tuple[Tensor, Tensor]:
    """Cells and weights along one axis, both N×side×2·most: two cells for each sampling point.

    `low` is where the regions begin (N, in cells), `bins` how long a bin is, `points` how many
    sampling points it has (up to `most`), `size` the number of cells of the level.
    """
    number = torch.arange(most, dtype=torch.float32)
    at = (number + 0.5)[None, :] * (bins / points.clamp(min=1))[:, None]
    begin = torch.arange(side, dtype=torch.float32)[None, :] * bins[:, None] + low[:, None]
    at = begin[:, :, None] + at[:, None, :]
    last = (size - 1)[:, None, None]
    counts = (at >= -1) & (at <= last + 1) & (number[None, None, :] < points[:, None, None])
    at = at.clamp(min=0)
    cell = torch.minimum(at.floor(), last)
    share = torch.where(cell >= last, torch.zeros_like(at), at - cell)
    cells = torch.stack([cell, torch.minimum(cell + 1, last)], dim=-1).long()
    weights = torch.stack([1 - share, share], dim=-1) * counts[..., None]
    return cells.flatten(2), (weights / points.clamp(min=1)[:, None, None, None]).flatten(2)
