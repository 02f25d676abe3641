"""What every comparison with a family's own program needs: pictures, and nets with random weights
that find many things."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

SIZES = ((360, 640), (480, 854))
"""Height and width of the pictures: one that fits the nets' width, one that is shrunk."""

Boxes = NDArray[np.float64]
"""N×6: x1 y1 x2 y2 score class."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """An exported file, and the family's own program: picture (RGB) and threshold → boxes."""

    family: str
    exporter: str
    package: str
    path: Path
    ask: Callable[[NDArray[np.uint8], float], Boxes]
    options: tuple[tuple[str, Any], ...] = ()


def pictures() -> list[NDArray[np.uint8]]:
    """Shapes and colours on a grain, so that every wrong pixel counts."""
    random, made = np.random.default_rng(7), []
    for high, wide in SIZES:
        small = random.integers(0, 256, (high // 24, wide // 24, 3), dtype=np.uint8)
        made.append(cv2.resize(small, (wide, high), interpolation=cv2.INTER_CUBIC))
    return made


def shaken(module: Any, spread: float) -> None:
    """Random weights that find many things: the last layers' numbers are drawn wider."""
    import torch

    torch.nn.init.normal_(module.weight, std=spread)
    if module.bias is not None:
        torch.nn.init.normal_(module.bias, mean=-2.0, std=0.5)


def warmed(net: Any, scale: float = 255.0) -> None:
    """Give batch norms the statistics of pictures; without them random nets see nothing."""
    import torch

    norms = [m for m in net.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None
        norm.reset_running_stats()
        norm.train()
    with torch.no_grad():
        for picture in pictures():
            small = cv2.resize(picture, (640, 640)).transpose(2, 0, 1)
            net(torch.from_numpy(small[None] / scale).float())
    net.eval()


def spread(layer: Any) -> None:
    """Random boxes that differ, for a head whose last layer is made of zeros: a net whose boxes
    all lie alike would agree with anything."""
    import torch

    torch.nn.init.normal_(layer.weight, std=0.02)
