"""Counts and maps as plain values, for a daybook's line and for files.

Points are written as they are, to a tenth of a pixel. A map is written as its count and as shares
of its highest cell in 255 steps, in no more cells than are needed: a day has thousands of frames.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from culling_pipeline.tasks.density.counted import Counted
from culling_pipeline.tasks.density.metrics import regrid
from models.density.answer import DensityMap

MOST_CELLS = 96
"""Cells on the longer side of a map that is written."""
STEPS = 255


def as_json(said: Counted) -> dict[str, Any]:
    """As the keys of a line."""
    line: dict[str, Any] = {"size": [said.map.height_px, said.map.width_px]}
    if said.points is not None:
        return {**line, "points": np.round(said.points.astype(np.float64), 1).tolist()}
    rows, columns = said.map.density.shape
    shrink = min(1.0, MOST_CELLS / max(rows, columns))
    cells = regrid(said.map.density, max(1, round(rows * shrink)), max(1, round(columns * shrink)))
    steps = np.round(cells / max(float(cells.max()), 1e-12) * STEPS).astype(np.uint8)
    return {
        **line,
        "count": round(said.count, 3),
        "doubt": round(said.doubt, 3),
        "cells": list(steps.shape),
        "map": base64.b85encode(zlib.compress(steps.tobytes())).decode("ascii"),
    }


def from_json(line: Mapping[str, Any], *, sigma_share: float) -> Counted | None:
    """What `as_json` wrote; None for a line without an answer."""
    if "size" not in line:
        return None
    height_px, width_px = line["size"]
    if "points" in line:
        points = np.array(line["points"], np.float32).reshape(-1, 2)
        return Counted.of_points(points, height_px, width_px, sigma_share=sigma_share)
    raw = zlib.decompress(base64.b85decode(line["map"]))
    density = np.frombuffer(raw, np.uint8).reshape(line["cells"]).astype(np.float64)
    density *= line["count"] / max(float(density.sum()), 1e-12)
    said = DensityMap(density.astype(np.float32), height_px, width_px)
    return Counted(said, doubt=line["doubt"])
