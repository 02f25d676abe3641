"""Data sets of pictures with points. A folder's form is recognised by what lies in it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

from culling_pipeline.tasks.density.datasets import carpk, csv_points, mall, shanghaitech, ucf_qnrf
from culling_pipeline.tasks.density.datasets.base import PointsError, PointSplit, gathered

FORMS: Mapping[str, ModuleType] = {
    "csv": csv_points,
    "shanghaitech": shanghaitech,
    "mall": mall,
    "carpk": carpk,
    "ucf-qnrf": ucf_qnrf,
}
"""Each has `is_here(folder)` and `entries(folder, split)`."""


def read_points(folder: Path, split: str) -> PointSplit:
    """The pictures of a split (`train` or `test`) with their points. Bad files are left out and
    named in `problems`; a folder of no known form, or without a good file, raises `PointsError`."""
    for name, form in FORMS.items():
        if form.is_here(folder):
            found = gathered(form.entries(folder, split))
            if found.pictures:
                return found
            message = f"{folder}: no picture of split {split!r} in the form of {name}"
            if found.problems:
                first = found.problems[0]
                message += f"; the first of {len(found.problems)} bad files: {first}"
            raise PointsError(message)
    message = f"{folder}: no data set with points; known forms: {', '.join(FORMS)}"
    raise PointsError(message)
