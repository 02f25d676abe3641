"""What Ultralytics write into their exports: names, task, stride and size."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.boxes.classes import COCO_80
from models.boxes.families.base import RGB_SHARES, Look, Settings
from models.boxes.foreign_layouts import SCORE_SLACK
from models.errors import ModelError

LETTERBOX: Settings = {
    **RGB_SHARES,
    "keep_aspect": True,
    "pad_value": 114,
    "pad_position": "centre",
    "nms_iou": 0.7,
}
"""How they feed a net: RGB 0…1, in the middle of grey padding."""
WITH_BOXES = ("detect", "segment", "pose")
_STRIDES = ((8, 16, 32), (8, 16, 32, 64), (4, 8, 16, 32), (16, 32))


def described_names(about: Mapping[str, str]) -> tuple[str, ...]:
    """The class names in the file; none where it says none."""
    text = about.get("names") or about.get("class_names")
    if text is None:
        return ()
    for reader in (json.loads, ast.literal_eval):
        try:
            said: Any = reader(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
        if isinstance(said, dict):
            said = [said[key] for key in sorted(said, key=int)]
        if isinstance(said, list | tuple) and said:
            return tuple(str(name) for name in said)
    return ()


def of_task(about: Mapping[str, str], *tasks: str) -> bool:
    """Whether the file is of one of these tasks, or names none."""
    return about.get("task", tasks[0]).strip("\"'") in tasks


def cells(size: tuple[int, int], a_cell: int = 1) -> tuple[int, ...]:
    """The lengths that a grid of this input size can have."""
    return tuple(
        a_cell * sum((size[0] // stride) * (size[1] // stride) for stride in strides)
        for strides in _STRIDES
    )


def names_for(look: Look, classes: int) -> Settings:
    """The names of so many classes, as far as the file or the number tell them; those of the
    configuration need none."""
    if look.class_names:
        return {}
    names = described_names(look.about) or (COCO_80 if classes == len(COCO_80) else ())
    return {"class_names": names} if names else {}


def check_scores(scores: NDArray[Any], path: Path) -> None:
    """Refuse scores outside 0…1."""
    if scores.size and (scores.min() < -SCORE_SLACK or scores.max() > 1 + SCORE_SLACK):
        message = (
            f"{path}: scores of {scores.min():.4g}…{scores.max():.4g}, must be 0…1: the model is "
            "of another family, or was exported without its sigmoid: set teacher.io.outputs"
        )
        raise ModelError(message)


def extra_channels(look: Look, channels: int) -> int | None:
    """How many of a grid's channels after the boxes are no classes (masks, keypoints); None where
    that does not fit the names."""
    names = look.class_names or described_names(look.about)
    if not names:
        return 0
    extra = channels - len(names)
    masks = any(array.ndim == 4 and array.shape[1] == extra for array in look.outputs.values())
    known = masks or look.about.get("task", "").strip("\"'") in WITH_BOXES[1:] or extra == 51
    return extra if extra == 0 or (extra > 0 and known) else None


def best_class(rows: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The best score and its class in each row."""
    return rows.max(axis=1), rows.argmax(axis=1).astype(np.int64)
