"""A counting student as a file, and whether it says the same counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from culling_pipeline.tasks.density.counted import Counted
from culling_pipeline.tasks.density.metrics import mae
from culling_pipeline.tasks.density.opening import IgnoringZones
from culling_pipeline.tasks.export import StudentExport
from models.base import Model
from models.density.answer import DensityMap
from models.density.export import ExportedCounter, export_counter
from models.density.student import DensityStudent
from models.zones import Zones

CLOSE_SHARE, CLOSE = 0.005, 0.05
"""Two counts are the same where they are no further apart than this share, or than this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CountCheck:
    """How the student and its file compare on `frames` control frames: the largest difference of
    their counts, the largest count, and the mean absolute errors of both against the teacher (None
    if its counts are gone)."""

    frames: int
    max_difference: float
    max_count: float
    mae_student: float | None = None
    mae_file: float | None = None

    @property
    def trouble(self) -> str | None:
        """How the file differs from the student, or None."""
        allowed = max(CLOSE, CLOSE_SHARE * self.max_count)
        if self.max_difference <= allowed:
            return None
        return f"its counts are up to {self.max_difference:.2f} off ({allowed:.2f} are allowed)"

    @property
    def in_words(self) -> str:
        """How far the file is from the student."""
        said = f"counts of up to {self.max_count:.0f}, at most {self.max_difference:.3f} off"
        if self.mae_student is not None and self.mae_file is not None:
            said = f"MAE {self.mae_student:.2f} → {self.mae_file:.2f}, {said}"
        return f"on {self.frames} control frames: {said}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CountExport(StudentExport):
    """A counting student that is to be a file."""

    student: DensityStudent
    zones: Zones

    @property
    def architecture(self) -> str:
        return self.student.spec.net

    def write(self, path: Path, format_: str, about: Mapping[str, Any], *, layout: str) -> None:
        export_counter(self.student, path, format_, about)

    def opened(self, file: Path) -> Model:
        return ExportedCounter(file)

    def ignoring(self, model: Model) -> Model:
        return IgnoringZones(model, self.zones)

    def check(
        self,
        ours: Sequence[DensityMap],
        theirs: Sequence[DensityMap],
        truths: Sequence[Counted] | None,
    ) -> CountCheck:
        student, file = (np.array([said.count for said in found]) for found in (ours, theirs))
        wanted = None if truths is None else np.array([truth.count for truth in truths])
        return CountCheck(
            frames=len(ours),
            max_difference=float(np.abs(student - file).max()),
            max_count=float(student.max()),
            mae_student=None if wanted is None else mae(student, wanted),
            mae_file=None if wanted is None else mae(file, wanted),
        )
