"""Boxes over a picture: as SVG for the report, painted for a video."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from culling_pipeline import svg
from models.boxes.detections import Detections, match

COLOURS = ((230, 60, 50), (40, 130, 230), (40, 170, 70), (240, 160, 20), (150, 70, 200))
"""RGB, one a class, over again after the last."""


def painted(
    image: NDArray[np.uint8], found: Detections, class_names: Sequence[str]
) -> NDArray[np.uint8]:
    """A copy of the H×W×3 uint8 RGB image with each box, its class and its score."""
    canvas = image.copy()
    thick = max(1, round(image.shape[1] / 640))
    scale = max(0.35, image.shape[1] / 1600)
    for box, score, label in zip(found.boxes_xyxy, found.scores, found.labels, strict=True):
        colour = COLOURS[int(label) % len(COLOURS)]
        x1, y1, x2, y2 = (round(float(edge)) for edge in box)
        cv2.rectangle(canvas, (x1, y1), (x2, y2), colour, thick)
        text = f"{class_names[label]} {score:.2f}"
        (wide, high), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, thick)
        top = y1 - high - below if y1 > high + below else y1
        bottom = top + high + below
        cv2.rectangle(canvas, (x1, top), (x1 + wide, bottom), colour, cv2.FILLED)
        white = (255, 255, 255)
        place = (x1, bottom - below // 2)
        cv2.putText(canvas, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, white, thick)
    return canvas


def boxes(
    student: Detections, teacher: Detections, classes: Sequence[str], *, width_px: int
) -> list[Markup]:
    """Teacher's boxes, then the student's, those without a partner marked as odd; dark lines under
    all of them keep them readable on any picture, `width_px` wide."""
    partner = match(student, teacher)
    halos = [_outline(box, "halo") for box in (*teacher.boxes_xyxy, *student.boxes_xyxy)]
    found = set(partner.tolist())
    size = width_px / 38  # of the words, in pixels of the frame
    parts = []
    for index, box in enumerate(teacher.boxes_xyxy.tolist()):
        name = _name(classes, int(teacher.labels[index]))
        kind = "teacher" if index in found else "teacher odd"
        parts += _box(box, kind, name=name, size=size, above=True)
    for index, box in enumerate(student.boxes_xyxy.tolist()):
        name = f"{_name(classes, int(student.labels[index]))} {student.scores[index]:.2f}"
        kind = "student" if partner[index] >= 0 else "student odd"
        parts += _box(box, kind, name=name, size=size, above=False)
    return halos + parts


def _box(
    box_xyxy: Sequence[float], kind: str, *, name: str, size: float, above: bool
) -> list[Markup]:
    """The box and its name, which only the enlarged picture shows."""
    x1, y1, _, y2 = box_xyxy
    y = max(y1 - 0.35 * size, size) if above else y2 + 1.1 * size
    words_at = svg.text(x1, y, name, class_=f"tag {kind}", font_size=size)
    return [_outline(box_xyxy, f"box {kind}"), words_at]


def _outline(box_xyxy: Sequence[float], class_: str) -> Markup:
    x1, y1, x2, y2 = (float(edge) for edge in box_xyxy)
    return svg.rect((x1, y1), (x2 - x1, y2 - y1), class_)


def _name(classes: Sequence[str], label: int) -> str:
    return classes[label] if label < len(classes) else f"class {label}"
