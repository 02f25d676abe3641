"""Counts drawn on pictures: as SVG in the report, as pixels for people's eyes elsewhere."""

from __future__ import annotations

import cv2
import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from culling_pipeline import svg
from culling_pipeline.tasks.density.counted import Counted, peaks
from culling_pipeline.tasks.density.metrics import regrid
from models.density.answer import DensityMap

TILES = 24
"""Tiles across a picture in the report."""
LEVELS = 4
"""Strengths of colour; the strongest is that of the frame's fullest tile."""


def heat(
    student: Counted, teacher: Counted, class_name: str, *, width_px: int, sigma_share: float
) -> list[Markup]:
    """The student's map as tiles, the teacher's points as dots, and both counts; a picture is
    `width_px` wide. Where the teacher said a map, its dots are the map's peaks."""
    points = teacher.points
    if points is None:
        points = peaks(teacher.map, sigma_share=sigma_share)
    size = width_px / 26
    said = f"{class_name}: teacher {teacher.count:.0f}, student {student.count:.0f}"
    dots = "".join(f"M{x:.0f} {y:.0f}h0" for x, y in points.tolist())
    drawn = [svg.tag("path", d=dots, class_="points teacher")] if dots else []
    words = svg.text(0.4 * size, 1.2 * size, said, class_="counts", font_size=size)
    return [*_tiles(student.map), *drawn, words]


def _tiles(said: DensityMap) -> list[Markup]:
    """One path for each strength of colour."""
    rows = max(1, round(TILES * said.height_px / said.width_px))
    cells = regrid(said.density, rows, TILES)
    if cells.max() < 0.05:
        return []
    level = np.ceil(cells / cells.max() * LEVELS - 0.5).astype(int)
    wide, high = said.width_px / TILES, said.height_px / rows
    paths = []
    for strength in range(1, LEVELS + 1):
        tiles = "".join(
            f"M{column * wide:.0f} {row * high:.0f}h{wide:.0f}v{high:.0f}h-{wide:.0f}z"
            for row, column in np.argwhere(level == strength).tolist()
        )
        if tiles:
            paths.append(svg.tag("path", d=tiles, class_=f"heat s{strength}"))
    return paths


def painted(image: NDArray[np.uint8], said: Counted, class_name: str) -> NDArray[np.uint8]:
    """A copy of the H×W×3 uint8 RGB image with the map as warm colours and the count above it."""
    height, width = image.shape[:2]
    density = cv2.resize(said.map.density, (width, height), interpolation=cv2.INTER_LINEAR)
    share = np.clip(density / max(float(density.max()), 1e-9), 0, 1) if said.count >= 0.5 else 0.0
    grey = np.asarray(share * np.ones((height, width)) * 255, np.uint8)
    warm = cv2.applyColorMap(grey, cv2.COLORMAP_JET)[..., ::-1]
    weight = (0.55 * grey / 255)[..., None]
    canvas = np.ascontiguousarray((1 - weight) * image + weight * warm, np.uint8)
    scale, thick = max(0.5, width / 800), max(1, round(width / 640))
    text = f"{class_name}: {said.count:.0f}"
    (wide, high), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, thick)
    cv2.rectangle(canvas, (0, 0), (wide + 2 * below, high + 2 * below), (0, 0, 0), cv2.FILLED)
    place = (below, high + below)
    cv2.putText(canvas, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, (255, 255, 255), thick)
    return canvas
