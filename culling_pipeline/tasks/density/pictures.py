"""What a counting student is shown of a frame in training, and what it is to answer.

A target has the true map and a weight for each cell, 0 in ignore zones: what is there is neither
learned as somebody nor as nobody.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from culling_pipeline.tasks.density.counted import STRIDE, Counted
from culling_pipeline.tasks.density.losses import map_losses
from culling_pipeline.tasks.density.metrics import regrid
from culling_pipeline.tasks.plain_pictures import PlainPictures, Target
from culling_pipeline.tasks.samples import Prepared, Sample, Variation
from models.base import Trainable
from models.images import resize


def density_pictures(
    samples: Sequence[Sample], *, size: tuple[int, int], variation: Variation, sigma_share: float
) -> PlainPictures:
    """The samples at this height and width, mirrored and relit as the variation says. Its other
    parts are left out: a person pasted into a crowd would cover others, and moved or cropped
    pictures would show sizes of people that this camera never sees."""
    shown = [
        (sample.image, target_of(sample, *size, sigma_share=sigma_share)) for sample in samples
    ]
    return PlainPictures(
        shown, size=size, flip=variation.flip, light=variation.light, mirrored=mirrored
    )


def target_of(sample: Sample, height_px: int, width_px: int, *, sigma_share: float) -> Target:
    """The true map at stride `STRIDE` of a picture of this size, and the cells' weights."""
    truth: Counted = sample.truth
    rows, columns = -(-height_px // STRIDE), -(-width_px // STRIDE)
    if truth.points is None:
        density = regrid(truth.map.density, rows, columns).astype(np.float32)
    else:
        across, down = width_px / truth.map.width_px, height_px / truth.map.height_px
        density = truth.stretched(across=across, down=down, sigma_share=sigma_share).map.density
    weight = np.ones((rows, columns), np.float32)
    if sample.ignored is not None:
        ignored = sample.ignored.astype(np.uint8) * 255
        weight -= (resize(ignored, rows, columns) > 127).astype(np.float32)
    return {
        "density": torch.from_numpy(np.ascontiguousarray(density))[None],
        "weight": torch.from_numpy(weight)[None],
    }


def mirrored(target: Target) -> Target:
    """Left is right."""
    return {name: value.flip(2) for name, value in target.items()}


def losses_by_image(student: Trainable, batch: Sequence[Prepared]) -> Tensor:
    """Each image's share of CLIP's equation 2: N float32, whose sum is the batch's mean of
    ‖D − D_gt‖² over the cells that count."""
    images = torch.stack([image for image, _ in batch]).to(torch.float32).div_(255.0)
    maps = student.model(images)
    truth, weight = (
        torch.stack([target[name] for _, target in batch]) for name in ("density", "weight")
    )
    times = round(truth.shape[-1] / maps.shape[-1])
    if times > 1:  # a net of stride 8
        truth, weight = _coarser(truth, times) * times**2, _coarser(weight, times).round()
    return map_losses(maps * weight, truth * weight) / len(batch)


def _coarser(values: Tensor, times: int) -> Tensor:
    """The means of times×times cells; what is missing at the border counts as 0."""
    right, below = -values.shape[-1] % times, -values.shape[-2] % times
    return nn.functional.avg_pool2d(nn.functional.pad(values, (0, right, 0, below)), times)
