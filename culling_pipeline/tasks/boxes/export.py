"""A detector as a file, and whether it finds the same boxes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from culling_pipeline.tasks.boxes.average_precision import coco_map
from culling_pipeline.tasks.export import StudentExport
from models.base import Model
from models.boxes.detections import Detections
from models.boxes.detector import TorchDetector
from models.boxes.export import export_detector
from models.boxes.export_layouts import LAYOUTS, Layout
from models.boxes.exported import CLOSE_PX, CLOSE_SCORE, Agreement, ExportedDetector, agreement
from models.boxes.zones import IgnoringDetector
from models.zones import Zones

MAX_MAP50_CHANGE = 0.002


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxCheck:
    """How the student and its file compare; mAP50 (0…1) is None if the teacher's labels are gone,
    or empty."""

    agreement: Agreement
    map50_student: float | None = None
    map50_file: float | None = None

    @property
    def trouble(self) -> str | None:
        """How the file differs from the student, or None."""
        if self.map50_student is not None and self.map50_file is not None:
            change = self.map50_file - self.map50_student
            if abs(change) <= MAX_MAP50_CHANGE:
                return None
            return (
                f"its mAP50 is {100 * change:+.2f} points off the student's "
                f"({100 * MAX_MAP50_CHANGE:.1f} are allowed)"
            )
        seen = self.agreement
        if not seen.unmatched and seen.is_close:
            return None
        return (
            f"of {seen.boxes} boxes {seen.unmatched} have no partner, the others are up to "
            f"{seen.max_box_px:.2f} px and {seen.max_score:.3f} of score off the student's "
            f"({CLOSE_PX} px and {CLOSE_SCORE} are allowed)"
        )

    @property
    def in_words(self) -> str:
        """How far the file is from the student."""
        seen = self.agreement
        said = f"{seen.boxes} boxes at most {seen.max_box_px:.3f} px and {seen.max_score:.4f} off"
        if self.map50_student is not None and self.map50_file is not None:
            said = f"mAP50 {self.map50_student:.4f} → {self.map50_file:.4f}, {said}"
        return f"on {seen.frames} control frames: {said}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxExport(StudentExport):
    """A detector that is to be a file; boxes of at least `min_score` are compared."""

    layouts = LAYOUTS

    student: TorchDetector
    zones: Zones
    min_score: float

    @property
    def architecture(self) -> str:
        return self.student.spec.architecture

    def write(self, path: Path, format_: str, about: Mapping[str, Any], *, layout: str) -> None:
        export_detector(self.student, path, format_, about, layout=cast("Layout", layout))

    def opened(self, file: Path) -> Model:
        return ExportedDetector(file)

    def ignoring(self, model: Model) -> Model:
        return IgnoringDetector(model, self.zones)

    def check(
        self,
        ours: Sequence[Detections],
        theirs: Sequence[Detections],
        truths: Sequence[Detections] | None,
    ) -> BoxCheck:
        seen = agreement(ours, theirs, min_score=self.min_score)
        if not sum(map(len, truths or ())):
            return BoxCheck(agreement=seen)
        names = self.student.class_names
        before, after = (coco_map(f, truths or (), names).score.value for f in (ours, theirs))
        return BoxCheck(agreement=seen, map50_student=before, map50_file=after)
