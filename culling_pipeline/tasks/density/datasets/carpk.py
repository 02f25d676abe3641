"""CARPK (Hsieh et al., 2017), cars from above: `Images/NAME.png`, `Annotations/NAME.txt` with a box
x1 y1 x2 y2 and a class on each line, `ImageSets/train.txt` and `test.txt`. A box's centre is its
point."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from culling_pipeline.tasks.density.datasets.base import Entry, Points, PointsError


def is_here(folder: Path) -> bool:
    """Whether the folder is this data set."""
    return (folder / "Annotations").is_dir() and (folder / "ImageSets").is_dir()


def entries(folder: Path, split: str) -> list[Entry]:
    """The pictures of a split, `train` or `test`."""
    listed = folder / "ImageSets" / f"{split}.txt"
    try:
        names = listed.read_text(encoding="utf-8").split()
    except (OSError, UnicodeError) as exc:
        message = f"{listed}: cannot be read ({exc})"
        raise PointsError(message) from exc
    return [
        (
            folder / "Images" / f"{name}.png",
            partial(_points, folder / "Annotations" / f"{name}.txt"),
        )
        for name in names
    ]


def _points(path: Path) -> Points:
    lines = path.read_text(encoding="utf-8").splitlines()
    boxes = np.array([line.split()[:4] for line in lines if line.strip()], np.float32)
    return np.asarray(boxes.reshape(-1, 2, 2).mean(axis=1), np.float32)
