"""A slim net in a net of width 1.0: the further channels are zeros, so it finds the same and costs
what a real one costs."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from models.boxes.detector import TorchDetector, build_model

FIRST_LAYER = "roi_heads.box_head.fc6.weight"
BINS = 7 * 7


def widened(slim: TorchDetector, *, height_px: int, width_px: int, proposals: int) -> TorchDetector:
    """The same detector at width 1.0, at this size, with so many proposals."""
    spec = replace(
        slim.spec, width=1.0, height_px=height_px, width_px=width_px, proposals=proposals
    )
    model, small = build_model(spec), slim.model.state_dict()
    model.load_state_dict(
        {name: _grown(name, small[name], own) for name, own in model.state_dict().items()}
    )
    return TorchDetector(model, spec)


def _grown(name: str, small: Tensor, own: Tensor) -> Tensor:
    grown = torch.ones_like(own) if name.endswith("running_var") else torch.zeros_like(own)
    if name == FIRST_LAYER:  # its columns are channels times bins
        by_channel = grown.view(len(own), -1, BINS)
        by_channel[: len(small), : small.shape[1] // BINS] = small.view(len(small), -1, BINS)
    else:
        grown[tuple(slice(side) for side in small.shape)] = small
    return grown
