"""Pictures with points as a density net is shown them: scaled, cropped, mirrored, relit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from culling_pipeline.tasks.density.datasets.base import PointedPicture, Points
from culling_pipeline.tasks.plain_pictures import relit
from models.density.answer import DensityMap
from models.density.gaussians import inside
from models.images import resize

KEPT_BYTES = 1 << 30
"""Pictures are kept in memory up to this size altogether; further ones are read every time."""


@dataclass(frozen=True, slots=True, eq=False)
class Crowd:
    """One picture, H×W×3 uint8 RGB, and the points in it."""

    image: NDArray[np.uint8]
    points: Points

    def truth(self, stride: int, sigma_px: float) -> DensityMap:
        """Its true density map at a model's stride."""
        height, width = self.image.shape[:2]
        return DensityMap.of_points(self.points, height, width, stride, sigma_px)


class Gallery:
    """The pictures of a split, each scaled down to `max_side_px` on its longer side at most.

    Points outside their picture are left out; `outside` is their number in what was read so far,
    and `swapped` the number of pictures more of whose points are inside with x and y exchanged.
    Points that stand twice at the same place, `twice` in all, both count.
    """

    def __init__(self, pictures: Sequence[PointedPicture], *, max_side_px: int) -> None:
        self._pictures, self._most = pictures, max_side_px
        self._kept: dict[int, Crowd] = {}
        self._bytes = 0
        self._outside: dict[int, int] = {}
        self._swapped: set[int] = set()

    def __len__(self) -> int:
        return len(self._pictures)

    @property
    def outside(self) -> int:
        """Points that lie outside of their pictures."""
        return sum(self._outside.values())

    @property
    def swapped(self) -> int:
        """Pictures whose points have the axes exchanged, as it seems."""
        return len(self._swapped)

    @property
    def twice(self) -> int:
        """Points that stand where another of their picture stands, of all pictures."""
        return sum(len(p.points) - len(np.unique(p.points, axis=0)) for p in self._pictures)

    @property
    def counts(self) -> NDArray[np.float64]:
        """The number of points of each picture."""
        return np.array([len(p.points) for p in self._pictures], np.float64)

    def __getitem__(self, number: int) -> Crowd:
        if number in self._kept:
            return self._kept[number]
        crowd = self._read(number)
        if self._bytes + crowd.image.nbytes <= KEPT_BYTES:
            self._kept[number] = crowd
            self._bytes += crowd.image.nbytes
        return crowd

    def _read(self, number: int) -> Crowd:
        picture = self._pictures[number]
        image = picture.read()
        height, width = image.shape[:2]
        here = inside(picture.points, height_px=height, width_px=width)
        self._outside[number] = int((~here).sum())
        if here.sum() < inside(picture.points[:, ::-1], height_px=height, width_px=width).sum():
            self._swapped.add(number)
        scale = min(1.0, self._most / max(height, width))
        small = resize(image, max(1, round(height * scale)), max(1, round(width * scale)))
        stretch = np.array([small.shape[1] / width, small.shape[0] / height])
        return Crowd(small, (picture.points[here] * stretch).astype(np.float32))


@dataclass(frozen=True, slots=True, kw_only=True)
class Showing:
    """How a picture is shown in training: a square of `crop_px` (0: the whole picture), mirrored
    every other time if `flip`, brightness and contrast changed by up to the share `light`. CLIP
    (section III.A) flips and changes both; it says nothing about crops, and not how much."""

    crop_px: int
    flip: bool
    light: float


def shown(crowd: Crowd, how: Showing, rng: np.random.Generator) -> Crowd:
    """The picture as it is shown once."""
    crowd = cropped(crowd, how.crop_px, rng) if how.crop_px else crowd
    if how.flip and rng.random() < 0.5:
        crowd = mirrored(crowd)
    if not how.light:
        return crowd
    image = relit(torch.from_numpy(crowd.image), rng, most=how.light)
    return Crowd(image.numpy(), crowd.points)


def cropped(crowd: Crowd, side_px: int, rng: np.random.Generator) -> Crowd:
    """A random square of it; where the picture is smaller, the rest is black."""
    height, width = crowd.image.shape[:2]
    top = int(rng.integers(max(0, height - side_px) + 1))
    left = int(rng.integers(max(0, width - side_px) + 1))
    part = crowd.image[top : top + side_px, left : left + side_px]
    image = np.zeros((side_px, side_px, 3), np.uint8)
    image[: part.shape[0], : part.shape[1]] = part
    points = crowd.points - np.array([left, top], np.float32)
    here = inside(points, height_px=part.shape[0], width_px=part.shape[1])
    return Crowd(image, points[here])


def mirrored(crowd: Crowd) -> Crowd:
    """Left is right."""
    points = crowd.points.copy()
    points[:, 0] = crowd.image.shape[1] - points[:, 0]
    return Crowd(np.ascontiguousarray(crowd.image[:, ::-1]), points)
