"""The loss that density maps are trained with."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def map_losses(maps: Tensor, targets: Tensor) -> Tensor:
    """Each picture's ‖D − D_gt‖², of N×1×h×w maps: N. Their mean is CLIP's equation 2."""
    return (maps.float() - targets).square().flatten(1).sum(dim=1)
