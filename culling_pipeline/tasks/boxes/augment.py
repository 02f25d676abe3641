"""What training shows of a kept frame: the frame, varied as this camera might have seen it.

A few hundred frames shown dozens of times are learned by heart. A fixed camera offers a remedy
that others have not: what stood somewhere in one frame could have stood there in another of like
light, at the same place, in the same size, before the same background. So objects of one kept
frame are pasted into another at their own places (the idea of Dwibedi et al., "Cut, Paste and
Learn", 2017, without its need of masks and blending). Beside it the usual: mirrored, shifted and
scaled a little, lighter and darker. docs/log/ has what each is worth.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from culling_pipeline.tasks.boxes.crops import LEAST_SHARE, cropped, cut, square_of
from culling_pipeline.tasks.plain_pictures import relit
from culling_pipeline.tasks.samples import Prepared, Sample, Variation
from models.boxes.detections import Detections
from models.images import resize

ALIKE_SHARE, ALIKE_LEAST = 0.1, 8
"""A frame takes objects from this share of all frames, the most similar ones, but at least from
this many: with fewer, a car parked all morning would be pasted into the same morning only …"""
DONORS = 3
"""… and from this many of them each time it is shown."""
MARGIN = 0.08
"""The pasted region is the box with a margin of this share of its longer side, at least a pixel."""
GLANCE_PX = (20, 12)
"""Width and height at which frames are compared."""


@dataclass(frozen=True, slots=True, eq=False)
class CutOut:
    """An object with a margin around it, or several that are too close to be cut out apart: its
    place (`region`: x1, y1, x2, y2 in whole pixels), its pixels (3×h×w uint8), the k boxes (k×4
    float32, in pixels of the whole picture) and their labels (from 1)."""

    region: NDArray[np.int64]
    pixels: Tensor
    boxes: Tensor
    labels: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Donor:
    """The objects of a frame for pasting; its `glance` is used to find similar frames."""

    glance: NDArray[np.float32]
    cut_outs: tuple[CutOut, ...]


def donor_of(sample: Prepared) -> Donor:
    """All objects of a frame, so that the frame itself need not stay in memory."""
    image, target = sample
    regions, groups = _groups(_regions(target["boxes"].numpy(), *image.shape[1:]))
    cut_outs = []
    for (x1, y1, x2, y2), members in zip(regions, groups, strict=True):
        inside = target["boxes"][members], target["labels"][members]
        region = np.array([x1, y1, x2, y2])
        cut_outs.append(CutOut(region, image[:, y1:y2, x1:x2].clone(), *inside))
    return Donor(_glance(image), tuple(cut_outs))


def _groups(
    regions: NDArray[np.int64],
) -> tuple[list[NDArray[np.int64]], list[list[int]]]:
    """Merge overlapping regions until none overlap; with the numbers of the regions in each.
    Without this, part of a neighbour would be pasted without its box."""
    merged: list[NDArray[np.int64]] = []
    groups: list[list[int]] = []
    for number, region in enumerate(regions):
        members = [number]
        at = 0
        while at < len(merged):
            if _touches(merged[at], region[None]):
                other, theirs = merged.pop(at), groups.pop(at)
                region = np.concatenate(
                    [np.minimum(region[:2], other[:2]), np.maximum(region[2:], other[2:])]
                )
                members, at = theirs + members, 0
            else:
                at += 1
        merged.append(region)
        groups.append(members)
    return merged, groups


@dataclass(frozen=True, slots=True, eq=False)
class Sharp:
    """The samples and the donors at the size of the camera's frames, to cut squares from: what was
    scaled down to the student's size would be blurred there."""

    plain: Sequence[Prepared]
    donors: Sequence[Donor]


class BoxPictures:
    """Varied pictures of a training set, by number (`Pictures`). What it draws comes from the
    generator that it is given, so a seed gives the same pictures. Objects come from the set itself
    and from `others`, frames that are labelled but not trained on. `scenes` names the camera of
    each, those of the set first: objects stay in their own scene. Empty: all are of one."""

    def __init__(
        self,
        plain: Sequence[Prepared],
        variation: Variation,
        others: Sequence[Donor] = (),
        scenes: Sequence[str] = (),
        sharp: Sharp | None = None,
    ) -> None:
        self.plain = plain
        self.givers = len(others)
        self._variation = variation
        self._sharp = sharp
        self._donors: list[Donor] = []
        if variation.paste:
            self._donors = [*(donor_of(sample) for sample in plain), *others]
        if len(self._donors) > 1:
            glances = [donor.glance for donor in self._donors]
            self._alike = neighbours_in(scenes or [""] * len(glances), glances, len(plain))

    def __call__(self, number: int, rng: np.random.Generator) -> Prepared:
        """The picture with this number, varied at random at each call."""
        variation = self._variation
        if self._sharp is not None and rng.random() < variation.crops:
            sample = self._cropped(number, self._sharp, rng)
        else:
            sample = self._with_objects(self.plain[number], number, self._donors, rng)
            if variation.shift and rng.random() < 0.5:
                sample = shifted(sample, rng, most=variation.shift)
        if variation.flip and rng.random() >= 0.5:
            sample = mirrored(sample)
        if variation.light:
            sample = (relit(sample[0], rng, most=variation.light), sample[1])
        return sample

    def _with_objects(
        self, sample: Prepared, number: int, donors: Sequence[Donor], rng: np.random.Generator
    ) -> Prepared:
        """The sample with objects of frames that look like the one with this number."""
        if len(donors) > 1:
            for donor in rng.permutation(self._alike[number])[:DONORS]:
                sample = pasted(sample, donors[donor], rng, chance=self._variation.paste)
        return sample

    def _cropped(self, number: int, sharp: Sharp, rng: np.random.Generator) -> Prepared:
        """A square of the frame as the camera took it, at the student's size."""
        _, height, width = self.plain[number][0].shape
        whole = self._with_objects(sharp.plain[number], number, sharp.donors, rng)
        square = square_of(whole, rng, least_px=LEAST_SHARE * max(height, width))
        return cropped(whole, square, size=(height, width))


def box_pictures(
    samples: Sequence[Sample],
    others: Iterable[Sample],
    *,
    size: tuple[int, int],
    variation: Variation,
) -> BoxPictures:
    """The samples at this height and width. `others` give their objects where some are pasted;
    where none are, they are not even read."""
    plain = [prepared(sample, *size) for sample in samples]
    whole = [_whole(sample) for sample in samples] if variation.crops else []
    donors, scenes = list[Donor](), [sample.scene for sample in samples]
    sharp = [donor_of(sample) for sample in whole] if variation.paste else []
    for sample in others if variation.paste else ():
        donors.append(donor_of(prepared(sample, *size)))
        scenes.append(sample.scene)
        if variation.crops:
            sharp.append(donor_of(_whole(sample)))
    at_full_size = Sharp(whole, sharp) if variation.crops else None
    return BoxPictures(plain, variation, donors, scenes, at_full_size)


def _whole(sample: Sample) -> Prepared:
    """The sample at its own size; its pixels are not copied."""
    return prepared(sample, *sample.image.shape[:2])


def prepared(sample: Sample, height_px: int, width_px: int) -> Prepared:
    """The frame (3×H×W uint8: a quarter of the room that floats take) and its boxes at the size the
    student trains at; labels from 1."""
    found: Detections = sample.truth
    image = resize(sample.image, height_px, width_px)
    factor = np.array([width_px / sample.image.shape[1], height_px / sample.image.shape[0]] * 2)
    boxes = (found.boxes_xyxy * factor).astype(np.float32)
    target = {
        "boxes": torch.from_numpy(boxes.reshape(-1, 4)),
        "labels": torch.from_numpy(found.labels) + 1,
    }
    if sample.ignored is not None:
        target["ignored"] = torch.from_numpy(sample.ignored)
    return torch.from_numpy(image).permute(2, 0, 1), target


def neighbours(
    glances: Sequence[NDArray[np.float32]], count: int, most: int | None = None
) -> NDArray[np.int64]:
    """For each of the first `count` frames, of at least two, the `most` others that look most like
    it, fewer where there are fewer: count×K, the likest first. Of one camera's frames those are
    of like light."""
    all_of_them = np.stack(glances)
    if most is None:
        most = max(ALIKE_LEAST, round(ALIKE_SHARE * len(glances)))
    most = min(most, len(glances) - 1)
    found = np.empty((count, most), np.int64)
    for number in range(count):
        apart = np.abs(all_of_them - all_of_them[number]).mean(axis=1)
        apart[number] = np.inf
        found[number] = np.argsort(apart, kind="stable")[:most]
    return found


def neighbours_in(
    scenes: Sequence[str], glances: Sequence[NDArray[np.float32]], count: int
) -> list[NDArray[np.int64]]:
    """For each of the first `count` frames its `neighbours` among those of its own scene; none for
    the only frame of a scene."""
    found = [np.zeros(0, np.int64)] * count
    for scene in dict.fromkeys(scenes):
        here = np.array([i for i, other in enumerate(scenes) if other == scene])
        mine = int((here < count).sum())
        if len(here) < 2:
            continue
        near = neighbours([glances[i] for i in here], mine)
        for number, others in zip(here[:mine], here[near], strict=True):
            found[number] = others
    return found


def _glance(image: Tensor) -> NDArray[np.float32]:
    small = cv2.resize(image.permute(1, 2, 0).numpy(), GLANCE_PX, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32).ravel()


def pasted(sample: Prepared, donor: Donor, rng: np.random.Generator, *, chance: float) -> Prepared:
    """The sample with objects of the donor, each with this chance, at their own places. One that
    would touch an object of the sample stays out."""
    image, target = sample
    own = target["boxes"].numpy()
    taken = [
        cut_out
        for cut_out in donor.cut_outs
        if rng.random() < chance and not _touches(cut_out.region, own)
    ]
    if not taken:
        return sample
    image = image.clone()
    for cut_out in taken:
        x1, y1, x2, y2 = cut_out.region
        image[:, y1:y2, x1:x2] = cut_out.pixels
    boxes = torch.cat([target["boxes"], *(cut_out.boxes for cut_out in taken)])
    labels = torch.cat([target["labels"], *(cut_out.labels for cut_out in taken)])
    return image, {**target, "boxes": boxes, "labels": labels}


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
    inside, rest = cut(boxes, width, height)
    kept = {
        "boxes": torch.from_numpy(inside[rest].astype(np.float32)),
        "labels": target["labels"][torch.from_numpy(rest)],
    }
    if "ignored" in target:
        kept["ignored"] = _shifted_map(target["ignored"], scale, right / width, down / height)
    return torch.from_numpy(np.asarray(warped, np.uint8)).permute(2, 0, 1), {**target, **kept}


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
