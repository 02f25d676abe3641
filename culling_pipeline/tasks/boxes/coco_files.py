"""Labelled frames as a COCO file, as FiftyOne, CVAT and Label Studio read and write it."""

from __future__ import annotations

import json
import re
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from culling_pipeline.errors import CullingError
from models.boxes.detections import Detections

EDGE_PX = 1.0
"""Boxes may reach this far out of the picture, by rounding; what is outside is cut off."""
LARGEST_PX = 1e6
"""No picture is larger; larger numbers are mistakes."""
SHOWN_CHARACTERS = 60
"""As much of a wrong value as a message shows."""


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

    Categories are known by their names; one that no box has may be any. A row that is there twice,
    the same in all, counts once. Anything that is not as it should be, or whose box would mean
    something else here, raises `DatasetError`, naming the first thing that is wrong.
    """
    content = _content(path)
    classes = _classes(content["categories"], class_names, path)
    rows = _by_id(content["images"], path)
    boxes: dict[int, dict[tuple[int, _Box], None]] = {image_id: {} for image_id in rows}
    for number, row in enumerate(content["annotations"]):
        where = f"{path}: annotations[{number}]"
        image_id = _whole(row, "image_id", where)
        if image_id not in boxes:
            message = f"{where}: image_id {_shown(image_id)} is no image of this file"
            raise DatasetError(message)
        category = _whole(row, "category_id", where)
        if category not in classes:
            message = f"{where}: category_id {_shown(category)} is no category of this file"
            raise DatasetError(message)
        label = classes[category]
        if isinstance(label, str):
            raise DatasetError(label)
        _check_one_object(row, where)
        boxes[image_id][label, _box(row, where)] = None
    return [
        _labelled(image_id, row, list(boxes[image_id]), f"{path}: images[{number}]")
        for number, (image_id, row) in enumerate(rows.items())
    ]


_Box = tuple[float, float, float, float]


def _content(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes(), object_pairs_hook=_once)
    except OSError as exc:
        message = f"{path}: cannot be read ({exc.strerror}): name the COCO file to import"
        raise DatasetError(message) from exc
    except (ValueError, RecursionError) as exc:
        message = f"{path}: not JSON ({exc}): export the labels as COCO"
        raise DatasetError(message) from exc
    for key in ("images", "annotations", "categories"):
        rows = content.get(key) if isinstance(content, dict) else None
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            message = f"{path}: no list '{key}' in it: export the labels as COCO (detection)"
            raise DatasetError(message)
    found: dict[str, Any] = content
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object. Of a key that is there twice, Python would drop the first without a word."""
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        message = f"key {_shown(twice)} is there twice in one object"
        raise ValueError(message)
    return found


def _by_id(rows: Iterable[Mapping[str, Any]], path: Path) -> dict[int, Mapping[str, Any]]:
    found: dict[int, Mapping[str, Any]] = {}
    for number, row in enumerate(rows):
        where = f"{path}: images[{number}]"
        image_id = _whole(row, "id", where)
        if image_id in found:
            message = f"{where}: id {_shown(image_id)} is there twice: ids must differ"
            raise DatasetError(message)
        found[image_id] = row
    return found


def _classes(
    rows: Iterable[Mapping[str, Any]], class_names: Sequence[str], path: Path
) -> dict[int, int | str]:
    """Category id → index into the class names, or why a box cannot have this category. Only a
    category that a box has must be one of the camera's: Roboflow adds a root that no box has."""
    found: dict[int, int | str] = {}
    for number, row in enumerate(rows):
        where = f"{path}: categories[{number}]"
        category_id, name = _whole(row, "id", where), row.get("name")
        label: int | str | None = _class_of(name, class_names)
        if label is None:
            label = (
                f"{where}: name: got {_shown(name)}, must be one of the camera's classes: "
                f"{', '.join(class_names)}"
            )
        if found.get(category_id, label) != label:
            label = f"{where}: id {_shown(category_id)} is there twice, with two names"
        found[category_id] = label
    return found


def _class_of(name: object, class_names: Sequence[str]) -> int | None:
    """The class of this name; else the only one that differs by case, spaces, hyphens or
    underscores alone, which tools change."""
    if not isinstance(name, str):
        return None
    if name in class_names:
        return list(class_names).index(name)
    alike = [n for n, known in enumerate(class_names) if _plain(known) == _plain(name)]
    return alike[0] if len(alike) == 1 else None


def _plain(name: str) -> str:
    return " ".join(name.casefold().replace("_", " ").replace("-", " ").split())


def _whole(row: Mapping[str, Any], key: str, where: str) -> int:
    """A whole number; `"7"` and `7.0`, as some tools write it, are 7."""
    value = row.get(key)
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,18}", value):
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        message = f"{where}: {key}: got {_shown(value)}, must be a whole number"
        raise DatasetError(message)
    return value


def _shown(value: object) -> str:
    """The value in a few words, however long or deep it is."""
    text = reprlib.repr(value)
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"


def _check_one_object(row: Mapping[str, Any], where: str) -> None:
    """Refuse a region of many objects, one that does not count, and a turned box: as plain boxes,
    they would mean something else."""
    for key in ("iscrowd", "is_crowd", "ignore"):
        if row.get(key) not in (0, None, "0"):
            message = (
                f"{where}: {key}: got {_shown(row[key])}, but a label here is one object: draw a "
                "box for each object in the region, or take it out"
            )
            raise DatasetError(message)
    attributes = row.get("attributes")
    for holder in (row, attributes if isinstance(attributes, dict) else {}):
        turn = holder.get("rotation")
        if turn is not None and (not _is_number(turn) or turn % 360):
            message = (
                f"{where}: rotation: got {_shown(turn)}, but boxes here are upright: draw the box "
                "upright, around the whole object"
            )
            raise DatasetError(message)


def _box(row: Mapping[str, Any], where: str) -> _Box:
    """x1 y1 x2 y2 of an annotation."""
    box = row.get("bbox")
    if (
        not isinstance(box, list)
        or len(box) != 4
        or not all(_is_number(v) for v in box)
        or box[2] <= 0
        or box[3] <= 0
    ):
        message = (
            f"{where}: bbox: got {_shown(box)}, must be [x, y, width, height], the last two above 0"
        )
        raise DatasetError(message)
    x, y, width, height = map(float, box)
    return x, y, x + width, y + height


def _is_number(value: object) -> bool:
    """Whether it is a number no larger than any picture could have."""
    return (
        isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST_PX
    )


def _labelled(
    image_id: int, row: Mapping[str, Any], boxes: Sequence[tuple[int, _Box]], where: str
) -> LabelledImage:
    width, height = _whole(row, "width", where), _whole(row, "height", where)
    name = row.get("file_name")
    if not isinstance(name, str) or not name:
        message = f"{where}: file_name: got {_shown(name)}, must be the image's name"
        raise DatasetError(message)
    if not (0 < width < LARGEST_PX and 0 < height < LARGEST_PX):
        message = f"{where}: width and height: got {_shown(width)} and {_shown(height)}"
        message += ", must be the image's size in pixels"
        raise DatasetError(message)
    corners = np.array([box for _, box in boxes], np.float32).reshape(-1, 4)
    if len(boxes) and corners.max() <= 1:
        message = f"{where}: {_shown(name)}: its boxes all lie within 0…1: are these shares of the "
        raise DatasetError(message + "picture? COCO's boxes are in pixels")
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
    return LabelledImage(id=image_id, name=name, height_px=height, width_px=width, labels=labels)
