"""Mall (Chen et al., 2012): 2,000 frames of one camera, `frames/seq_000001.jpg`, and all points in
`mall_gt.mat`. The first 800 are for training, as in the paper that published them."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from culling_pipeline.tasks.density.datasets.base import Entry, mat

TRAIN = 800


def is_here(folder: Path) -> bool:
    """Whether the folder is this data set."""
    return (folder / "mall_gt.mat").is_file()


def entries(folder: Path, split: str) -> list[Entry]:
    """The frames of a split, `train` or `test`."""
    frames = mat(folder / "mall_gt.mat")["frame"].reshape(-1)
    numbers = range(min(TRAIN, len(frames))) if split == "train" else range(TRAIN, len(frames))
    return [
        (folder / "frames" / f"seq_{n + 1:06d}.jpg", partial(_points, frames[n])) for n in numbers
    ]


def _points(frame: Any) -> Any:
    """A frame is a cell that holds a struct, whose `loc` is N×2."""
    return frame["loc"][0, 0]
