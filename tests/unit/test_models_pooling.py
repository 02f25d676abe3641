"""Regions pooled for training hold what the net's own pooling gives, and hand back its gradient."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.ops import MultiScaleRoIAlign

from models.boxes.layout import AlignedPooling
from models.boxes.pooling import pool_regions

SIZES = [(96, 160), (48, 80)]
"""Two pictures of a batch; the second is padded."""


def torchvisions(sampling: int = 2) -> MultiScaleRoIAlign:
    return MultiScaleRoIAlign(["0", "1", "2", "3"], output_size=7, sampling_ratio=sampling)


def heads_with(pool: nn.Module) -> RoIHeads:
    other = nn.Identity()
    return RoIHeads(pool, other, other, 0.5, 0.5, 64, 0.25, None, 0.05, 0.5, 100)


def pyramid(dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(3)
    levels = {"0": (24, 40), "1": (12, 20), "2": (6, 10), "3": (3, 5), "pool": (2, 3)}
    return {
        name: torch.randn(2, 5, *size, generator=generator).to(dtype).requires_grad_()
        for name, size in levels.items()
    }


def regions(count: int, seed: int = 0) -> Tensor:
    """Of all sizes, so that every level is asked; some reach far beyond the picture."""
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=generator) * torch.tensor([150.0, 90.0]) - 5
    side = 2 + 900 * torch.rand(count, 2, generator=generator) ** 3
    return torch.cat([corner, corner + side], dim=1)


@pytest.mark.parametrize("pool", [torchvisions(), torchvisions(0), AlignedPooling()])
def test_regions_and_their_gradient_are_the_pooling_s_own(pool: nn.Module) -> None:
    boxes = [regions(60), regions(33, seed=1)]
    own, ours = pyramid(), pyramid()
    expected = pool(own, boxes, SIZES)
    pooled = pool_regions(heads_with(pool), ours, boxes, SIZES)
    assert pooled.shape == expected.shape == (93, 5, 7, 7)
    assert torch.allclose(pooled, expected, atol=1e-5)
    pull = torch.randn(expected.shape, generator=torch.Generator().manual_seed(9))
    (expected * pull).sum().backward()
    (pooled * pull).sum().backward()
    for name in ("0", "1", "2", "3"):
        theirs, mine = own[name].grad, ours[name].grad
        assert theirs is not None
        assert mine is not None
        assert float(theirs.abs().max()) > 0
        assert torch.allclose(mine, theirs, atol=1e-4), name
    assert ours["pool"].grad is None, "no region is looked up there"


def test_an_image_without_regions_among_others() -> None:
    boxes = [torch.zeros(0, 4), regions(4)]
    pool = torchvisions()
    pooled = pool_regions(heads_with(pool), pyramid(), boxes, SIZES)
    assert torch.allclose(pooled, pool(pyramid(), boxes, SIZES), atol=1e-5)


def test_no_region_at_all() -> None:
    empty = [torch.zeros(0, 4), torch.zeros(0, 4)]
    pooled = pool_regions(heads_with(torchvisions()), pyramid(), empty, SIZES)
    assert pooled.shape == (0, 5, 7, 7)


def test_features_in_few_bits_are_summed_in_many() -> None:
    pooled = pool_regions(
        heads_with(torchvisions()), pyramid(torch.bfloat16), [regions(9)] * 2, SIZES
    )
    assert pooled.dtype == torch.float32
    exact = torchvisions()(pyramid(), [regions(9)] * 2, SIZES)
    assert torch.allclose(pooled, exact, atol=0.02)


def test_a_pooling_of_another_kind_does_its_own_work() -> None:
    class Other(nn.Module):
        def forward(self, *_: object) -> Tensor:
            return torch.ones(1)

    assert pool_regions(heads_with(Other()), pyramid(), [regions(1)], SIZES).tolist() == [1.0]
