"""Square crops of a frame, as recorders show them to a detector.

Recorders such as Frigate do not look at whole frames. They cut a square out of the frame around
what moved and scale it to the net's input, whatever the input's shape is: objects look larger and,
in a wide input, wider than in the whole frame. A student that is to work there can learn from such
pictures (`training.crops`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from culling_pipeline.tasks.samples import Prepared
from models.images import resize
from models.zones import GRID

REST = 0.4
"""A box is dropped if less than this share of it remains in a picture that was moved or cut."""
AROUND = (1.2, 3.0)
"""A square's side, as a multiple of its object's longer side."""
LEAST_SHARE = 0.5
"""Recorders cut no square much smaller than the net's input: at least this share of its longer
side."""


@dataclass(frozen=True, slots=True)
class Square:
    """A square part of a picture, in whole pixels: its left and upper edge and its side."""

    x: int
    y: int
    side: int


def square_of(sample: Prepared, rng: np.random.Generator, *, least_px: float) -> Square:
    """A square around one of the sample's objects, drawn at random, which never leaves the picture;
    a square anywhere if there is no object. The object lies wholly inside unless it is longer than
    the picture's shorter side."""
    image, target = sample
    shape = image.shape[1:]
    most = min(shape)
    least = min(float(most), max(1.0, least_px))
    boxes = target["boxes"].numpy()
    if not len(boxes):
        side = int(rng.uniform(least, most))
        x, y = (int(rng.integers(length - side + 1)) for length in (shape[1], shape[0]))
        return Square(x, y, side)
    box = boxes[rng.integers(len(boxes))]
    longest = float((box[2:] - box[:2]).max())
    side = int(np.ceil(np.clip(longest * rng.uniform(*AROUND), least, most)))
    x = _start(float(box[0]), float(box[2]), side, shape[1], rng)
    return Square(x, _start(float(box[1]), float(box[3]), side, shape[0], rng), side)


def _start(first: float, last: float, side: int, length: int, rng: np.random.Generator) -> int:
    """Where along a side of this length a square begins that holds all from `first` to `last`, or
    lies inside it where that is longer than the square."""
    ends = sorted((int(np.ceil(last)) - side, int(np.floor(first))))
    low, high = (min(max(end, 0), length - side) for end in ends)
    return int(rng.integers(low, high + 1))


def cropped(sample: Prepared, square: Square, *, size: tuple[int, int]) -> Prepared:
    """This part of the sample, scaled to a height and width. What is left of objects that were cut
    off is neither an object nor background."""
    image, target = sample
    height, width = image.shape[1:]
    x, y, side = square.x, square.y, square.side
    part = image[:, y : y + side, x : x + side].permute(1, 2, 0).numpy()
    pixels = torch.from_numpy(resize(np.ascontiguousarray(part), *size)).permute(2, 0, 1)
    inside, stays = cut(target["boxes"].numpy() - np.array([x, y] * 2), side, side)
    zones = target.get("ignored")
    zones = zones_in(square, zones, (height, width)) if zones is not None else None
    left = inside[~stays & (areas(inside) > 0)]
    if len(left):
        zones = _with(zones, left / side)
    factor = np.array([size[1] / side, size[0] / side] * 2)
    kept = {
        "boxes": torch.from_numpy((inside[stays] * factor).astype(np.float32)),
        "labels": target["labels"][torch.from_numpy(stays)],
    }
    return pixels, {**target, **kept, **({} if zones is None else {"ignored": zones})}


def cut(
    boxes: NDArray[np.floating], width: float, height: float
) -> tuple[NDArray[np.floating], NDArray[np.bool_]]:
    """Boxes (N×4) cut at the edges of a picture, and of which enough remains (N)."""
    inside = boxes.clip(0, [width, height] * 2)
    return inside, areas(inside) > REST * areas(boxes)


def areas(boxes: NDArray[np.floating]) -> NDArray[np.floating]:
    """The area of each box (N×4)."""
    found: NDArray[np.floating] = (boxes[:, 2:] - boxes[:, :2]).clip(min=0).prod(axis=1)
    return found


def zones_in(square: Square, ignored: Tensor, shape: tuple[int, int]) -> Tensor:
    """The ignore zones (`Zones.map`) of a picture of this height and width, in the square."""
    rows = _cells(square.y, square.side, shape[0], ignored.shape[0])
    columns = _cells(square.x, square.side, shape[1], ignored.shape[1])
    return ignored[rows][:, columns]


def _cells(start: int, side: int, length: int, cells: int) -> Tensor:
    """For each cell of the square's map the cell of the picture's map in which its centre lies."""
    centres = start + (torch.arange(cells, dtype=torch.float64) + 0.5) / cells * side
    return (centres / length * cells).long().clamp(0, cells - 1)


def _with(zones: Tensor | None, boxes: NDArray[np.floating]) -> Tensor:
    """The zones and these boxes (shares of the sides)."""
    zones = torch.zeros((GRID, GRID), dtype=torch.bool) if zones is None else zones.clone()
    for x1, y1, x2, y2 in boxes * zones.shape[0]:
        zones[int(y1) : int(np.ceil(y2)), int(x1) : int(np.ceil(x2))] = True
    return zones
