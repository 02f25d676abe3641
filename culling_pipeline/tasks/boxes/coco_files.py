"""Labelled frames as a COCO file, as FiftyOne, CVAT and Label Studio read and write it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from culling_pipeline.errors import CullingError
from models.boxes.detections import Detections

EDGE_PX = 1.0
"""Boxes may extend this far outside the picture because of rounding; they are clipped to it."""


class DatasetError(CullingError):
    """A labelled data set cannot be used; the message says which, where, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelledImage:
    """One image of a data set: its id there, its file's name, its size, its boxes. Labels index the
    class names of the data set; labels made by hand have score 1."""

    id: int
    name: str
    height_px: int
    width_px: int
    labels: Detections
    taken_at: datetime | None = None


def coco_of(
    images: Sequence[LabelledImage], class_names: Sequence[str], about: Mapping[str, Any]
) -> dict[str, Any]:
    """A whole COCO file as plain values: categories count from 1 in the order of the classes,
    annotations from 1 in the order of images and boxes; `about` becomes its `info`."""
    boxes = ((image, index) for image in images for index in range(len(image.labels)))
    return {
        "info": dict(about),
        "licenses": [],
        "categories": [
            {"id": number, "name": name, "supercategory": ""}
            for number, name in enumerate(class_names, start=1)
        ],
        "images": [_image_row(image) for image in images],
        "annotations": [
            {"id": number, **_box_row(image, index)}
            for number, (image, index) in enumerate(boxes, start=1)
        ],
    }


def _image_row(image: LabelledImage) -> dict[str, Any]:
    row = {
        "id": image.id,
        "file_name": image.name,
        "width": image.width_px,
        "height": image.height_px,
    }
    if image.taken_at is not None:
        row["date_captured"] = image.taken_at.isoformat()
    return row


def _box_row(image: LabelledImage, index: int) -> dict[str, Any]:
    x1, y1, x2, y2 = (float(edge) for edge in image.labels.boxes_xyxy[index])
    return {
        "image_id": image.id,
        "category_id": int(image.labels.labels[index]) + 1,
        "bbox": [round(v, 2) for v in (x1, y1, x2 - x1, y2 - y1)],
        "area": round((x2 - x1) * (y2 - y1), 2),
        "segmentation": [],
        "iscrowd": 0,
        "score": round(float(image.labels.scores[index]), 4),
    }


def read_coco(path: Path, class_names: Sequence[str]) -> list[LabelledImage]:
    """All images of a COCO file, those without a box too, with labels in `class_names`.

    Categories are matched by name. Any fault raises `DatasetError`, which names the first one.
    """
    content = _content(path)
    classes = _classes(content["categories"], class_names, path)
    boxes: dict[Any, list[tuple[int, list[float]]]] = {}
    rows = content["images"]
    for number, row in enumerate(rows):
        where = f"{path}: images[{number}]"
        if _whole(row, "id", where) in boxes:
            message = f"{where}: id {row['id']} is there twice: ids must differ"
            raise DatasetError(message)
        boxes[row["id"]] = []
    for number, row in enumerate(content["annotations"]):
        where = f"{path}: annotations[{number}]"
        image_id = _whole(row, "image_id", where)
        if image_id not in boxes:
            message = f"{where}: image_id {image_id} is no image of this file"
            raise DatasetError(message)
        category = _whole(row, "category_id", where)
        if category not in classes:
            message = f"{where}: category_id {category} is no category of this file"
            raise DatasetError(message)
        boxes[image_id].append((classes[category], _box(row, where)))
    return [
        _labelled(row, boxes[row["id"]], f"{path}: images[{number}]")
        for number, row in enumerate(rows)
    ]


def _content(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except OSError as exc:
        message = f"{path}: cannot be read ({exc.strerror}): name the COCO file to import"
        raise DatasetError(message) from exc
    except ValueError as exc:
        message = f"{path}: not JSON ({exc}): export the labels as COCO"
        raise DatasetError(message) from exc
    for key in ("images", "annotations", "categories"):
        rows = content.get(key) if isinstance(content, dict) else None
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            message = f"{path}: no list '{key}' in it: export the labels as COCO (detection)"
            raise DatasetError(message)
    found: dict[str, Any] = content
    return found


def _classes(
    rows: Iterable[Mapping[str, Any]], class_names: Sequence[str], path: Path
) -> dict[int, int]:
    """Category id → index into the class names."""
    found = {}
    for number, row in enumerate(rows):
        where = f"{path}: categories[{number}]"
        if row.get("name") not in class_names:
            message = (
                f"{where}: name: got {row.get('name')!r}, must be one of the camera's classes: "
                f"{', '.join(class_names)}"
            )
            raise DatasetError(message)
        found[_whole(row, "id", where)] = list(class_names).index(row["name"])
    return found


def _whole(row: Mapping[str, Any], key: str, where: str) -> int:
    value = row.get(key)
    if not isinstance(value, int) or isinstance(value, bool):
        message = f"{where}: {key}: got {value!r}, must be a whole number"
        raise DatasetError(message)
    return value


def _box(row: Mapping[str, Any], where: str) -> list[float]:
    """x1 y1 x2 y2 of an annotation."""
    box = row.get("bbox")
    if (
        not isinstance(box, list)
        or len(box) != 4
        or not all(isinstance(v, int | float) and math.isfinite(v) for v in box)
        or box[2] <= 0
        or box[3] <= 0
    ):
        message = f"{where}: bbox: got {box!r}, must be [x, y, width, height], the last two above 0"
        raise DatasetError(message)
    x, y, width, height = box
    return [x, y, x + width, y + height]


def _labelled(
    row: Mapping[str, Any], boxes: Sequence[tuple[int, list[float]]], where: str
) -> LabelledImage:
    width, height = _whole(row, "width", where), _whole(row, "height", where)
    name = row.get("file_name")
    if not isinstance(name, str) or not name:
        message = f"{where}: file_name: got {name!r}, must be the image's name"
        raise DatasetError(message)
    corners = np.array([box for _, box in boxes], np.float32).reshape(-1, 4)
    limits = np.array([width, height, width, height], np.float32)
    inside = np.clip(corners, 0, limits)
    out = (np.abs(inside - corners) > EDGE_PX).any(axis=1)
    out |= (inside[:, 2:] <= inside[:, :2]).any(axis=1)
    if out.any():
        box = corners[int(np.flatnonzero(out)[0])].tolist()
        message = f"{where}: {name} is {width}×{height}, but a box reaches from {box[:2]} to "
        raise DatasetError(message + f"{box[2:]}: are these labels of another size of picture?")
    labels = Detections(
        inside, np.ones(len(boxes), np.float32), np.array([n for n, _ in boxes], np.int64)
    )
    return LabelledImage(id=row["id"], name=name, height_px=height, width_px=width, labels=labels)
