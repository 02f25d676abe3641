"""Points in a table of your own: `points.csv` with the columns `file,x,y` (or `x_px,y_px`), one
point a line; the pictures lie beside it or in `images/`.

A picture without anybody is a line with its name and no numbers. A column `split` says `train` or
`test`; without one, every fifth picture by name is for testing.
"""

from __future__ import annotations

import csv
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from culling_pipeline.tasks.density.datasets.base import Entry, Points, PointsError

TABLE, EVERY = "points.csv", 5
Line = tuple[int, dict[str, str]]
"""A line of the table by its number in the file."""


def is_here(folder: Path) -> bool:
    """Whether the folder has such a table."""
    return (folder / TABLE).is_file()


def entries(folder: Path, split: str) -> list[Entry]:
    """The pictures of a split, `train` or `test`."""
    by_file = _lines(folder / TABLE)
    root = folder / "images" if (folder / "images").is_dir() else folder
    return [
        (root / name, partial(_points, lines))
        for number, (name, lines) in enumerate(sorted(by_file.items()))
        if _split_of(lines, number) == split
    ]


def _lines(path: Path) -> dict[str, list[Line]]:
    by_file: dict[str, list[Line]] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file)
            columns = table.fieldnames or []
            if "file" not in columns or not {"x", "x_px"} & {*columns}:
                message = f"{path}: needs the columns file,x,y, found {','.join(columns)}"
                raise PointsError(message)
            for line in table:
                by_file.setdefault(line["file"], []).append((table.line_num, line))
    except (OSError, UnicodeError, csv.Error) as exc:
        message = f"{path}: cannot be read ({exc})"
        raise PointsError(message) from exc
    return by_file


def _split_of(lines: list[Line], number: int) -> str:
    said = lines[0][1].get("split")
    return said if said is not None else ("test" if number % EVERY == EVERY - 1 else "train")


def _points(lines: list[Line]) -> Points:
    found = []
    for number, line in lines:
        x, y = (line.get(key, line.get(f"{key}_px")) or "" for key in ("x", "y"))
        if x or y:
            found.append(_point(x, y, number))
    return np.array(found, np.float32).reshape(-1, 2)


def _point(x: Any, y: Any, number: int) -> tuple[float, float]:
    try:
        return float(x), float(y)
    except ValueError as exc:
        message = f"line {number} of {TABLE}: x {x!r} and y {y!r} must be numbers"
        raise ValueError(message) from exc
