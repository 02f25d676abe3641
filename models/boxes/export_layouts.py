"""What other programs read: one image of bytes in, one table out, and a file that names classes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

Layout = Literal["ours", "yolo-nas-flat", "ssd"]
LAYOUTS: tuple[Layout, ...] = get_args(Layout)
TABLE = "detections"
"""The one output of a layout for others."""


class ForOthers(nn.Module):
    """A net of ours (3×H×W in, boxes, scores and labels out) that takes 1×H×W×3 bytes and returns
    one table in a layout of others."""

    def __init__(self, net: nn.Module, layout: Layout, size: tuple[int, int]) -> None:
        super().__init__()
        self.net, self.layout = net, layout
        self.whole = torch.tensor([size[1], size[0], size[1], size[0]], dtype=torch.float32)

    def forward(self, image: Tensor) -> Tensor:
        """`yolo-nas-flat`: N×7, picture x1 y1 x2 y2 score class; rows without an object have class
        −1. `ssd`: 1×1×N×7, picture class score x1 y1 x2 y2 in shares; rows without have picture −1.
        """
        boxes, scores, labels = self.net(image[0].permute(2, 0, 1).float())
        classes = labels.to(boxes.dtype)[:, None]
        empty = (labels < 0).to(boxes.dtype)[:, None]
        if self.layout == "yolo-nas-flat":
            return torch.cat([torch.zeros_like(empty), boxes, scores[:, None], classes], dim=1)
        rows = torch.cat([0 - empty, classes + empty, scores[:, None], boxes / self.whole], dim=1)
        return rows[None, None]


def example_of(size: tuple[int, int]) -> Tensor:
    """An image of bytes to trace a net with."""
    return torch.randint(0, 256, (1, *size, 3), dtype=torch.uint8)


def label_map(path: Path) -> Path:
    """Where the names of an exported file's classes are written."""
    return path.with_suffix(".labels.txt")


def write_label_map(path: Path, class_names: Sequence[Any]) -> None:
    """One line a class: its number and its name."""
    lines = "".join(f"{number} {name}\n" for number, name in enumerate(class_names))
    label_map(path).write_text(lines, encoding="utf-8")
