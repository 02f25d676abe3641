"""What is said of a picture, by student, teacher or person, and answers by frame id in a file."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

Answer = Any
"""A student's answer to one image. The task decides its type."""
TeacherAnswer = Any
"""A teacher's answer to one image. Its type may differ: boxes can teach a count."""
Truth = Any
"""The ground truth of one image, from the teacher or from a person."""


@dataclass(frozen=True, slots=True)
class Sight:
    """The figures of one answer that drift is measured by: whether there is an object, the number
    of detections, and the amount of each class (C floats; uncertain objects count less)."""

    busy: bool
    detections: int
    objects: tuple[float, ...]


def save_as_json(path: Path, answers: Mapping[int, Mapping[str, Any]]) -> None:
    """Write plain values by frame id to an `.npz`, complete or not at all."""
    aside = path.with_suffix(".tmp")
    with aside.open("wb") as file:
        np.savez(file, answers=np.array(json.dumps({str(i): a for i, a in answers.items()})))
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)


def load_json(path: Path) -> dict[int, dict[str, Any]]:
    """Read what `save_as_json` wrote."""
    with np.load(path, allow_pickle=False) as stored:
        return {int(i): answer for i, answer in json.loads(stored["answers"].item()).items()}
