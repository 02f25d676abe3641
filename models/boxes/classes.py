"""A camera's classes: which of a detector's classes are merged under each, and the translation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Self

import numpy as np
from numpy.typing import NDArray

from models.boxes.detections import Detections, iou_matrix
from models.errors import ModelError

SAME_OBJECT_IOU = 0.7
"""Two boxes that overlap this much, found under two merged detector classes (a car that is also a
truck), are one object: the better one stays."""

_COCO_80 = (
    "person,bicycle,car,motorcycle,airplane,bus,train,truck,boat,traffic light,fire hydrant,"
    "stop sign,parking meter,bench,bird,cat,dog,horse,sheep,cow,elephant,bear,zebra,giraffe,"
    "backpack,umbrella,handbag,tie,suitcase,frisbee,skis,snowboard,sports ball,kite,baseball bat,"
    "baseball glove,skateboard,surfboard,tennis racket,bottle,wine glass,cup,fork,knife,spoon,bowl,"
    "banana,apple,sandwich,orange,broccoli,carrot,hot dog,pizza,donut,cake,chair,couch,"
    "potted plant,bed,dining table,toilet,tv,laptop,mouse,remote,keyboard,cell phone,microwave,"
    "oven,toaster,sink,refrigerator,book,clock,vase,scissors,teddy bear,hair drier,"
    "toothbrush"
)
COCO_80 = tuple(_COCO_80.split(","))
"""The 80 classes of detectors trained on COCO (YOLOX and its kin), in their order."""

_LEFT_OUT = {
    **{0: "background", 12: "street sign", 26: "hat", 29: "shoe", 30: "eye glasses", 45: "plate"},
    **{66: "mirror", 68: "window", 69: "desk", 71: "door", 83: "blender"},
}


def _coco_ids() -> tuple[str, ...]:
    names = iter(COCO_80)
    return tuple(_LEFT_OUT.get(number) or next(names) for number in range(91))


COCO_IDS = _coco_ids()
"""COCO's classes by their own numbers (torchvision, RF-DETR, TensorFlow): 0 is the background, ten
numbers stand for classes that no picture has."""


@dataclass(frozen=True, slots=True)
class ClassMap:
    """A camera's class names and, for each, the detector's class names merged under it."""

    names: tuple[str, ...]
    sources: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        if not self.names:
            message = "a camera needs one class at least, for example classes: [person]"
            raise ModelError(message)
        for name, sources in zip(self.names, self.sources, strict=True):
            if not sources:
                message = f"class '{name}' has no detector class under it: write {name}: [{name}]"
                raise ModelError(message)
        _require_unique(self.names, "class '{}' is named twice: name it once")
        merged = [source for sources in self.sources for source in sources]
        _require_unique(merged, "detector class '{}' appears twice: it can count as one class only")

    @classmethod
    def from_config(cls, classes: Sequence[str] | Mapping[str, Sequence[str]]) -> Self:
        """From a list of names, or from a mapping name → the detector's names for it."""
        if isinstance(classes, Mapping):
            return cls(tuple(classes), tuple(tuple(names) for names in classes.values()))
        return cls(tuple(classes), tuple((name,) for name in classes))

    def check(self, from_names: Sequence[str]) -> None:
        """Raise `ModelError` if a detector that knows `from_names` lacks one of our classes."""
        known = set(from_names)
        for name, sources in zip(self.names, self.sources, strict=True):
            if known.isdisjoint(sources):
                raise ModelError(_unknown_class(name, sources, from_names))

    def translate(self, detections: Detections, from_names: Sequence[str]) -> Detections:
        """A detector's detections as the camera's classes, the others dropped, order kept.

        `from_names` is what the detector's labels mean. Of two boxes that different merged
        classes put on one object, the better stays. No detection gives no detection.
        """
        self.check(from_names)
        ours = {source: i for i, sources in enumerate(self.sources) for source in sources}
        table = np.array([ours.get(name, -1) for name in from_names], np.int64)
        if len(detections) and detections.labels.max() >= len(table):
            message = (
                f"label {detections.labels.max()}, but the detector names {len(table)} classes"
            )
            raise ModelError(message)
        labels = table[detections.labels]
        keep = (labels >= 0) & ~_found_twice(detections, labels)
        return Detections(detections.boxes_xyxy[keep], detections.scores[keep], labels[keep])

    def rows_for(self, student_names: Sequence[str]) -> list[int | None]:
        """For each class, the row of a student's predictor to carry over into the camera's.

        The class's own name comes first, then its merged names in order; None where the student
        knows none of them and the row starts afresh.
        """
        rows = {name: row for row, name in reversed(list(enumerate(student_names)))}
        wanted = [(name, *sources) for name, sources in zip(self.names, self.sources, strict=True)]
        return [next((rows[n] for n in names if n in rows), None) for names in wanted]


def _require_unique(names: Sequence[str], message: str) -> None:
    for index, name in enumerate(names):
        if name in names[:index]:
            raise ModelError(message.format(name))


def _unknown_class(name: str, sources: Sequence[str], from_names: Sequence[str]) -> str:
    shown = ", ".join(from_names[:12]) + (", …" if len(from_names) > 12 else "")
    message = f"class '{name}' is unknown to the detector, which knows: {shown}."
    near = [near for source in sources for near in get_close_matches(source, from_names, n=1)]
    if near:
        return f"{message} Did you mean '{near[0]}'?"
    return f"{message} List under '{name}' what the detector calls it"


def _found_twice(detections: Detections, labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """N bool: a better box of the same translated and another original label lies here."""
    iou = iou_matrix(detections.boxes_xyxy, detections.boxes_xyxy)
    merged = (labels[:, None] == labels) & (detections.labels[:, None] != detections.labels)
    rivals = merged & (iou >= SAME_OBJECT_IOU)
    dropped = np.zeros(len(labels), np.bool_)
    for index in np.argsort(-detections.scores, kind="stable"):
        if not dropped[index]:
            dropped |= rivals[index]
    return dropped
