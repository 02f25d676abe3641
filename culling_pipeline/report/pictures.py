"""The hardest frames as pictures: a small JPEG each, and both models' boxes as lines above it."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from culling_pipeline import svg
from culling_pipeline.records.day import StoredFrame
from culling_pipeline.records.labels import Disagreement
from culling_pipeline.report import words
from culling_pipeline.report.clock import UTC_CLOCK, Clock

MAX_PICTURES = 24
"""As many as fit on one screen; more would not be looked at."""

BUDGET_BYTES = 300_000
"""All pictures of a page together, before they are written as text (a third more)."""

_STEPS = ((480, 80), (480, 70), (480, 60), (420, 60), (360, 60), (360, 50), (320, 40), (240, 30))
"""(width in pixels, JPEG quality) tried in turn until a picture keeps to its share."""


@dataclass(frozen=True, slots=True, eq=False)
class Exhibit:
    """One frame to show: `image` is H×W×3 uint8 RGB; `drawing` lies over it, in its pixels: what
    the teacher and the student say (`Task.drawing`)."""

    image: NDArray[np.uint8]
    frame: StoredFrame
    disagreement: Disagreement
    drawing: tuple[Markup, ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """What the page needs to show an exhibit."""

    drawing: Markup
    width: int
    height: int
    time: str
    confidence_loss: str
    missed: int
    invented: int


def draw_pictures(exhibits: Sequence[Exhibit], clock: Clock = UTC_CLOCK) -> list[Picture]:
    """The first `MAX_PICTURES` exhibits, in the given order, within `BUDGET_BYTES`."""
    shown = exhibits[:MAX_PICTURES]
    return [_draw(exhibit, clock, max_bytes=BUDGET_BYTES // len(shown)) for exhibit in shown]


def encode_jpeg(image: NDArray[np.uint8], *, max_bytes: int) -> bytes:
    """`image` (H×W×3 uint8 RGB) as the best JPEG of `_STEPS` that fits, else as the smallest."""
    height, width = image.shape[:2]
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    data = b""
    for max_width, quality in _STEPS:
        small = bgr
        if width > max_width:
            size = (max_width, max(1, round(height * max_width / width)))
            small = cv2.resize(bgr, size, interpolation=cv2.INTER_AREA)
        options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_OPTIMIZE, 1]
        data = cv2.imencode(".jpg", small, options)[1].tobytes()
        if len(data) <= max_bytes:
            break
    return data


def in_page(jpeg: bytes) -> str:
    """The address of a JPEG that stands in the page itself."""
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")


def _draw(exhibit: Exhibit, clock: Clock, *, max_bytes: int) -> Picture:
    height, width = exhibit.image.shape[:2]
    jpeg = encode_jpeg(exhibit.image, max_bytes=max_bytes)
    disagreement, time = exhibit.disagreement, clock.time(exhibit.frame.wall_time)
    label = (
        f"Frame of {time} {clock.name}: the teacher sees "
        f"{words.count(disagreement.teacher_objects, 'object')}, "
        f"the model missed {disagreement.missed} and invented {disagreement.invented}"
    )
    size = (width, height)
    return Picture(
        drawing=svg.picture(svg.image(in_page(jpeg), size), exhibit.drawing, size, label),
        width=width,
        height=height,
        time=time,
        confidence_loss=words.figure(exhibit.frame.confidence_loss),
        missed=disagreement.missed,
        invented=disagreement.invented,
    )
