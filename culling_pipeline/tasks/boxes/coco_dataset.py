"""Pictures with boxes as COCO lays them out: FOLDER/annotations/instances_SPLIT.json and
FOLDER/SPLIT/."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from culling_pipeline.errors import CullingError
from models.boxes.detections import Detections
from streams.pictures import PictureError, read_picture

_ODD = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)
"""What files of another form have been seen to raise."""


class CocoError(CullingError):
    """A folder is not what COCO's layout asks for."""


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """One picture on disk with its true boxes: N×4 float32 (x1 y1 x2 y2) in pixels, N int64 labels
    from 0."""

    path: Path
    height_px: int
    width_px: int
    boxes_xyxy: NDArray[np.float32]
    labels: NDArray[np.int64]

    def read(self) -> NDArray[np.uint8]:
        """The picture: H×W×3 uint8 RGB."""
        try:
            return read_picture(self.path, thorough=False)
        except PictureError as exc:
            message = f"{self.path}: not there, or no picture ({exc}): fetch the images again"
            raise CocoError(message) from exc

    @property
    def truth(self) -> Detections:
        """The boxes as detections that are sure."""
        return Detections(self.boxes_xyxy, np.ones(len(self.labels), np.float32), self.labels)


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """A split: its class names, in the order of COCO's ids, and its pictures, by id."""

    class_names: tuple[str, ...]
    pictures: tuple[Labelled, ...]


def has_split(folder: Path, split: str) -> bool:
    """Whether the folder has annotations of this split."""
    return _annotations(folder, split).is_file()


def read_split(folder: Path, split: str, *, with_empty: bool = False) -> Split:
    """A split's pictures that have a box; with `with_empty`, all. Crowds and boxes without area are
    left out, as torchvision's reference training does. Anything missing raises `CocoError`."""
    path = _annotations(folder, split)
    try:
        content = json.loads(path.read_bytes())
        categories = _sorted_by_id(content["categories"], "categories")
        ids = {c["id"]: n for n, c in enumerate(categories)}
        names = tuple(c["name"] for c in categories)
        boxes: dict[int, list[Any]] = defaultdict(list)
        for entry in content["annotations"]:
            if not entry.get("iscrowd", 0):
                boxes[entry["image_id"]].append((*entry["bbox"], ids[entry["category_id"]]))
        images = _sorted_by_id(content["images"], "images")
        found = [_labelled(folder / split, image, boxes[image["id"]]) for image in images]
    except FileNotFoundError as exc:
        message = (
            f"{path}: no such file: {folder} must hold annotations/ and {split}/, as COCO's do"
        )
        raise CocoError(message) from exc
    except _ODD as exc:
        message = f"{path}: not COCO's instances ({exc!r}): fetch the annotations again"
        raise CocoError(message) from exc
    pictures = tuple(p for p in found if with_empty or len(p.labels))
    if not pictures or not names:
        message = f"{path}: no picture with a box in it: nothing can be learned from it"
        raise CocoError(message)
    if 0 < max(float(p.boxes_xyxy.max(initial=0)) for p in pictures) <= 1:
        message = f"{path}: all boxes lie within 0…1: are they shares of the picture, not pixels?"
        raise CocoError(message)
    return Split(names, pictures)


def _annotations(folder: Path, split: str) -> Path:
    return folder / "annotations" / f"instances_{split}.json"


def _sorted_by_id(rows: list[dict[str, Any]], what: str) -> list[dict[str, Any]]:
    by_id = {int(row["id"]): row for row in rows}
    if len(by_id) != len(rows):
        message = f"two of its {what} have the same id"
        raise ValueError(message)
    return [row for _, row in sorted(by_id.items())]


def _labelled(folder: Path, image: dict[str, Any], rows: list[Any]) -> Labelled:
    table = np.array(rows, np.float64).reshape(-1, 5)
    height_px, width_px = int(image["height"]), int(image["width"])
    boxes = np.concatenate([table[:, :2], table[:, :2] + table[:, 2:4]], axis=1)
    if not np.isfinite(boxes).all():
        message = f"{image['file_name']}: a box with NaN"
        raise ValueError(message)
    boxes = boxes.clip(0, [width_px, height_px] * 2)
    whole = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    return Labelled(
        path=folder / image["file_name"],
        height_px=height_px,
        width_px=width_px,
        boxes_xyxy=boxes[whole].astype(np.float32),
        labels=table[whole, 4].astype(np.int64),
    )
