"""UCF-QNRF (Idrees et al., 2018): `Train/img_0001.jpg` with `Train/img_0001_ann.mat`, and `Test`
likewise."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from culling_pipeline.tasks.density.datasets.base import Entry, mat, pictures_in


def is_here(folder: Path) -> bool:
    """Whether the folder is this data set."""
    return any((folder / "Train").glob("*_ann.mat"))


def entries(folder: Path, split: str) -> list[Entry]:
    """The pictures of a split, `train` or `test`."""
    return [
        (path, partial(_points, path.with_name(f"{path.stem}_ann.mat")))
        for path in pictures_in(folder / split.capitalize())
    ]


def _points(path: Path) -> Any:
    return mat(path)["annPoints"]
