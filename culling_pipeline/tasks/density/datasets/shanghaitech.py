"""ShanghaiTech, part A or B (Zhang et al., 2016): `train_data/images/IMG_1.jpg` with
`train_data/ground-truth/GT_IMG_1.mat`, and `test_data` likewise."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from culling_pipeline.tasks.density.datasets.base import Entry, mat, pictures_in

TRUTHS = ("ground-truth", "ground_truth")
"""Copies of the data set write it in both ways."""


def is_here(folder: Path) -> bool:
    """Whether the folder is one of its parts."""
    return (folder / "train_data" / "images").is_dir()


def entries(folder: Path, split: str) -> list[Entry]:
    """The pictures of a split, `train` or `test`."""
    root = folder / f"{split}_data"
    truths = next((root / n for n in TRUTHS if (root / n).is_dir()), root / TRUTHS[0])
    return [
        (path, partial(_points, truths / f"GT_{path.stem}.mat"))
        for path in pictures_in(root / "images")
    ]


def _points(path: Path) -> Any:
    """`image_info` is a cell that holds a struct, whose `location` is N×2."""
    return mat(path)["image_info"][0, 0]["location"][0, 0]
