"""What training shows of a kept frame: the frame, varied as this camera might have seen it.

A few hundred frames shown dozens of times are learned by heart. A fixed camera offers a remedy
that others have not: what stood somewhere in one frame could have stood there in another of like
light, at the same place, in the same size, before the same background. So objects of one kept
frame are pasted into another at their own places (the idea of Dwibedi et al., "Cut, Paste and
Learn", 2017, without its need of masks and blending). Beside it the usual: mirrored, shifted and
scaled a little, lighter and darker. docs/LOG.md has what each is worth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Prepared = tuple[Tensor, dict[str, Tensor]]
"""3×H×W uint8, and a target: `boxes` N×4 float32 in its pixels, `labels` N int64 from 1, and where
there are ignore zones `ignored`, G×G bool over the whole frame."""

NEIGHBOURS = 8
"""A frame takes objects from so many frames that look most like it."""
MARGIN = 0.08
"""What is pasted is the box and this share of its longer side around it, at least a pixel."""
GLANCE_PX = (20, 12)
"""Width and height at which frames are compared."""
REST = 0.4
"""A box of which less than this share stays in a shifted picture is no example any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variation:
    """How far a frame may be varied; all zero and false shows it as it is.

    `flip`: mirror every other picture. `paste`: the chance that an object of a like frame is
    pasted. `shift`: every other picture is scaled by up to this share, and moved by up to half of
    it. `light`: brightness and contrast change by up to this share.
    """

    flip: bool = True
    paste: float = 0.0
    shift: float = 0.0
    light: float = 0.0


class Augmentation:
    """Varied pictures of a training set, by number. What it draws comes from the generator that it
    is given, so a seed gives the same pictures."""

    def __init__(self, prepared: Sequence[Prepared], variation: Variation) -> None:
        self._prepared = prepared
        self._variation = variation
        few = len(prepared) < 2 or variation.paste == 0
        self._alike = None if few else neighbours([image for image, _ in prepared])

    def __call__(self, number: int, rng: np.random.Generator) -> Prepared:
        """The picture with this number, varied anew at each call."""
        sample, variation = self._prepared[number], self._variation
        if self._alike is not None:
            donor = self._prepared[int(rng.choice(self._alike[number]))]
            sample = pasted(sample, donor, rng, chance=variation.paste)
        if variation.shift and rng.random() < 0.5:
            sample = shifted(sample, rng, most=variation.shift)
        if variation.flip and rng.random() >= 0.5:
            sample = mirrored(sample)
        if variation.light:
            sample = (relit(sample[0], rng, most=variation.light), sample[1])
        return sample


def neighbours(images: Sequence[Tensor], count: int = NEIGHBOURS) -> NDArray[np.int64]:
    """For each image (3×H×W uint8, at least two) the `count` others that look most like it, fewer
    where there are fewer: N×K, the likest first. Of one camera's frames those are of like light."""
    glances = np.stack([_glance(image) for image in images])
    count = min(count, len(images) - 1)
    found = np.empty((len(images), count), np.int64)
    for number, glance in enumerate(glances):
        apart = np.abs(glances - glance).mean(axis=1)
        apart[number] = np.inf
        found[number] = np.argsort(apart, kind="stable")[:count]
    return found


def _glance(image: Tensor) -> NDArray[np.float32]:
    small = cv2.resize(image.permute(1, 2, 0).numpy(), GLANCE_PX, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32).ravel()


def pasted(
    sample: Prepared, donor: Prepared, rng: np.random.Generator, *, chance: float
) -> Prepared:
    """The sample with objects of the donor, each with this chance, at their own places. One that
    would touch an object of the sample stays out, and one that has a neighbour in the donor: a part
    of it would come along without its box."""
    image, target = sample
    others, own = donor[1]["boxes"].numpy(), target["boxes"].numpy()
    height, width = image.shape[1:]
    taken, regions = [], []
    for number, region in enumerate(_regions(others, height, width)):
        if rng.random() >= chance or _touches(region, own):
            continue
        if not _touches(region, np.delete(others, number, axis=0)):
            taken.append(number)
            regions.append(region)
    if not taken:
        return sample
    image = image.clone()
    for x1, y1, x2, y2 in regions:
        image[:, y1:y2, x1:x2] = donor[0][:, y1:y2, x1:x2]
    both = {name: torch.cat([target[name], donor[1][name][taken]]) for name in ("boxes", "labels")}
    return image, {**target, **both}


def _regions(boxes: NDArray[np.float32], height: int, width: int) -> NDArray[np.int64]:
    """Boxes with their margin, in whole pixels inside the picture: N×4."""
    margin = np.maximum(1, MARGIN * (boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0))[:, None]
    outer = np.concatenate([boxes[:, :2] - margin, boxes[:, 2:] + margin], axis=1)
    outer[:, :2], outer[:, 2:] = np.floor(outer[:, :2]), np.ceil(outer[:, 2:])
    limits = np.array([width, height, width, height])
    inside: NDArray[np.int64] = outer.clip(0, limits).astype(np.int64)
    return inside


def _touches(region: NDArray[np.int64], boxes: NDArray[np.float32]) -> bool:
    first, last = np.maximum(region[:2], boxes[:, :2]), np.minimum(region[2:], boxes[:, 2:])
    return bool((last > first).all(axis=1).any())


def shifted(sample: Prepared, rng: np.random.Generator, *, most: float) -> Prepared:
    """The sample scaled about its centre by 1 ± `most` and moved by up to half of `most` of its
    sides; what comes in at the border is its own mirror image."""
    image, target = sample
    height, width = image.shape[1:]
    scale = 1 + most * rng.uniform(-1, 1)
    right, down = rng.uniform(-most, most) * width / 2, rng.uniform(-most, most) * height / 2
    right, down = right + (1 - scale) * width / 2, down + (1 - scale) * height / 2
    move = np.array([[scale, 0, right], [0, scale, down]], np.float32)
    warped = cv2.warpAffine(
        image.permute(1, 2, 0).numpy(), move, (width, height), borderMode=cv2.BORDER_REFLECT_101
    )
    boxes = target["boxes"].numpy() * scale + np.array([right, down] * 2)
    inside = boxes.clip(0, [width, height] * 2)
    rest = _areas(inside) > REST * _areas(boxes)
    kept = {
        "boxes": torch.from_numpy(inside[rest].astype(np.float32)),
        "labels": target["labels"][torch.from_numpy(rest)],
    }
    if "ignored" in target:
        kept["ignored"] = _shifted_map(target["ignored"], scale, right / width, down / height)
    return torch.from_numpy(np.asarray(warped, np.uint8)).permute(2, 0, 1), {**target, **kept}


def _areas(boxes: NDArray[np.floating]) -> NDArray[np.floating]:
    areas: NDArray[np.floating] = (boxes[:, 2:] - boxes[:, :2]).clip(min=0).prod(axis=1)
    return areas


def _shifted_map(ignored: Tensor, scale: float, right: float, down: float) -> Tensor:
    """The ignore zones moved along; `right` and `down` are shares of the sides."""
    rows, columns = ignored.shape
    move = np.array([[scale, 0, right * columns], [0, scale, down * rows]], np.float32)
    moved = cv2.warpAffine(
        ignored.numpy().astype(np.uint8),
        move,
        (columns, rows),
        flags=cv2.INTER_NEAREST,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    return torch.from_numpy(moved.astype(bool))


def mirrored(sample: Prepared) -> Prepared:
    """Left is right."""
    image, target = sample
    boxes = target["boxes"].clone()
    boxes[:, [0, 2]] = image.shape[2] - target["boxes"][:, [2, 0]]
    turned = {**target, "boxes": boxes}
    if "ignored" in target:
        turned["ignored"] = target["ignored"].flip(1)
    return image.flip(2), turned


def relit(image: Tensor, rng: np.random.Generator, *, most: float) -> Tensor:
    """Contrast times 1 ± `most`, brightness plus up to half of `most` of the whole range."""
    gain, offset = 1 + most * rng.uniform(-1, 1), 255 * most * rng.uniform(-1, 1) / 2
    return (image.to(torch.float32) * gain + offset).clamp_(0, 255).to(torch.uint8)
