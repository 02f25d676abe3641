"""Boxes as a task: what `culling_pipeline.tasks.base.Task` asks, answered for detections.

Each answer is in a module of its own beside this one; torch and pycocotools are loaded when first
needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from culling_pipeline.ranges import NotNegative, Share, check
from culling_pipeline.records.labels import CorrectedFrame, Disagreement
from culling_pipeline.records.scores import Accuracy
from culling_pipeline.tasks.answers import Sight
from culling_pipeline.tasks.base import Task
from culling_pipeline.tasks.boxes import answer_files, drawing
from culling_pipeline.tasks.boxes.confidence import ConfidencePlan
from culling_pipeline.tasks.boxes.disagreement import differ, disagreement
from culling_pipeline.tasks.boxes.labels import clean_labels
from culling_pipeline.tasks.boxes.smallest_size import smallest_scale_for
from culling_pipeline.tasks.metric import Comparison, Metric
from culling_pipeline.tasks.samples import Pictures, Prepared, Sample, Variation
from models.base import Backend, Model, OpenModel, Trainable
from models.boxes.classes import ClassMap
from models.boxes.detections import Detections
from models.boxes.zones import OpenIgnoring, outside
from models.zones import NO_ZONES, Zones

if TYPE_CHECKING:
    from torch import Tensor

    from culling_pipeline.tasks.boxes.export import BoxExport

MAP50 = Metric("mAP50", points=100)


@dataclass(frozen=True, slots=True)
class OpenStudent:
    """Opens a student of ours, in whichever process it is called."""

    path: Path
    device: str
    backend: Backend = "auto"
    size: tuple[int, int] | None = None

    def __call__(self) -> Model:
        from models.boxes.backend import at_work
        from models.boxes.student import load_detector

        student = at_work(load_detector(self.path, device=self.device), self.backend)
        return student if self.size is None else student.at_size(*self.size)


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxTask(Task):
    """Boxes of a camera's classes.

    `student_min_score` is the student's working threshold; `teacher_min_score` and
    `teacher_min_side` (a share of the frame's shorter side) say which of the teacher's boxes count;
    of each class a tenth of the objects may be smaller than `min_object_px` at the size that
    optResolution chooses. Objects in `ignore_zones` do not count. `backend` is how the
    student is run (`models.boxes.backend`).
    """

    metric = MAP50

    classes: ClassMap
    confidence: ConfidencePlan
    student_min_score: Share
    teacher_min_score: Share
    teacher_min_side: Share
    min_object_px: NotNegative
    ignore_zones: Zones
    backend: Backend

    def __post_init__(self) -> None:
        check(self)

    # -- models --------------------------------------------------------------------------------

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.classes.names

    @property
    def zones(self) -> Zones:
        return self.ignore_zones

    def without_zones(self) -> Self:
        return replace(self, ignore_zones=NO_ZONES)

    def open_student(self, path: Path, *, device: str) -> Trainable:
        from models.boxes.student import load_detector

        return load_detector(path, device=device)

    def student_opener(
        self,
        path: Path,
        *,
        device: str,
        size: tuple[int, int] | None = None,
        ignoring: bool = True,
    ) -> OpenModel:
        opener = OpenStudent(path, device, self.backend, size)
        return OpenIgnoring(opener, self.ignore_zones) if ignoring else opener

    def at_work(self, student: Trainable) -> Model:
        from models.boxes.backend import at_work
        from models.boxes.detector import TorchDetector

        assert isinstance(student, TorchDetector)
        return at_work(student, self.backend)

    def teacher_opener(self, build: OpenModel) -> OpenModel:
        return OpenIgnoring(build, self.ignore_zones)

    def check_teacher(self, teacher_names: Sequence[str]) -> None:
        self.classes.check(teacher_names)

    # -- answers and truth ---------------------------------------------------------------------

    @property
    def nothing(self) -> Detections:
        return Detections.empty()

    def unsureness(self, answer: Detections) -> float:
        return self.confidence.loss_of(answer)

    @property
    def standardises(self) -> bool:
        return self.confidence.standardise

    def unsureness_by_class(self, answer: Detections) -> NDArray[np.float64]:
        return self.confidence.class_losses_of(answer, len(self.class_names))

    def truth(
        self, said: Detections, teacher_names: Sequence[str], *, height_px: int, width_px: int
    ) -> Detections:
        return clean_labels(
            self.classes.translate(said, teacher_names),
            height_px=height_px,
            width_px=width_px,
            min_score=self.teacher_min_score,
            min_side=self.teacher_min_side,
        )

    def disagreement(self, frame_id: int, answer: Detections, truth: Detections) -> Disagreement:
        return disagreement(
            frame_id,
            answer,
            truth,
            n_classes=len(self.class_names),
            student_min_score=self.student_min_score,
        )

    def outside_zones(self, answer: Detections, height_px: int, width_px: int) -> Detections:
        return outside(self.ignore_zones, answer, height_px, width_px)

    def objects(self, truth: Detections) -> int:
        return len(truth)

    def counts(self, truth: Detections) -> tuple[int, ...]:
        return tuple(np.bincount(truth.labels, minlength=len(self.class_names)).tolist())

    def is_busy(self, answer: Detections) -> bool:
        return len(answer.above(self.student_min_score)) > 0

    def differ(self, one: Detections, other: Detections) -> bool:
        return differ(one, other, min_score=self.student_min_score)

    def sight(self, answer: Detections) -> Sight:
        kept = answer.above(self.confidence.min_score)
        objects = np.zeros(len(self.class_names))
        np.add.at(objects, kept.labels, kept.scores)
        return Sight(busy=len(kept) > 0, detections=len(kept), objects=tuple(objects.tolist()))

    def smallest_scale(self, truths: Sequence[Detections], *, shrink: float) -> float:
        return smallest_scale_for(truths, shrink=shrink, min_object_px=self.min_object_px)

    # -- training ------------------------------------------------------------------------------

    def pictures(
        self,
        samples: Sequence[Sample],
        others: Iterable[Sample],
        *,
        size: tuple[int, int],
        variation: Variation,
    ) -> Pictures:
        from culling_pipeline.tasks.boxes.augment import box_pictures

        return box_pictures(samples, others, size=size, variation=variation)

    def losses(self, student: Trainable, batch: Sequence[Prepared]) -> Tensor:
        from models.boxes.losses import losses_by_image

        return losses_by_image(student, batch)

    def resized(self, truth: Detections, *, across: float, down: float) -> Detections:
        factor = np.array([across, down] * 2, np.float32)
        boxes = (truth.boxes_xyxy * factor).astype(np.float32)
        return Detections(boxes, truth.scores, truth.labels)

    # -- what it was worth ---------------------------------------------------------------------

    def score(self, answers: Sequence[Detections], truths: Sequence[Detections]) -> Accuracy:
        from culling_pipeline.tasks.boxes.average_precision import coco_map

        return coco_map(answers, truths, self.class_names)

    def compare(
        self,
        before: Sequence[Detections],
        after: Sequence[Detections],
        truths: Sequence[Detections],
        blocks: Sequence[int],
        *,
        rng: np.random.Generator,
    ) -> Comparison:
        from culling_pipeline.tasks.boxes.average_precision import paired_bootstrap

        n_classes = len(self.class_names)
        return paired_bootstrap(before, after, truths, blocks, n_classes=n_classes, rng=rng)

    # -- on disk and on the page ---------------------------------------------------------------

    def save(self, path: Path, answers: Mapping[int, Detections]) -> None:
        answer_files.save_detections(path, answers)

    def load(self, path: Path) -> dict[int, Detections]:
        return answer_files.load_detections(path)

    def as_json(self, answer: Detections) -> dict[str, Any]:
        return answer_files.as_json(answer)

    def answer_from(self, line: Mapping[str, Any]) -> Detections:
        return answer_files.from_json(line)

    def corrected(self, frame: CorrectedFrame) -> Detections:
        known = [i for i, name in enumerate(frame.classes) if name in self.class_names]
        boxes = np.array([frame.boxes_xyxy[i] for i in known], np.float32).reshape(-1, 4)
        labels = [self.class_names.index(frame.classes[i]) for i in known]
        found = Detections(boxes, np.ones(len(known), np.float32), np.array(labels, np.int64))
        return outside(self.ignore_zones, found, frame.height_px, frame.width_px)

    def labelled(self, truth: Detections) -> Detections:
        return truth

    def export(self, path: Path) -> BoxExport:
        from culling_pipeline.tasks.boxes.export import BoxExport
        from models.boxes.student import load_detector

        return BoxExport(
            student=load_detector(path), zones=self.ignore_zones, min_score=self.student_min_score
        )

    def at_threshold(self, answer: Detections) -> Detections:
        return answer.above(self.student_min_score)

    def painted(
        self, image: NDArray[np.uint8], answer: Detections, class_names: Sequence[str]
    ) -> NDArray[np.uint8]:
        return drawing.painted(image, answer, class_names)

    def said(self, answer: Detections, class_names: Sequence[str]) -> dict[str, Any]:
        return {
            "boxes_xyxy": [[round(float(edge), 2) for edge in box] for box in answer.boxes_xyxy],
            "scores": [round(float(score), 4) for score in answer.scores],
            "classes": [class_names[label] for label in answer.labels],
        }

    def drawing(self, answer: Detections, truth: Detections, *, width_px: int) -> list[Markup]:
        student = answer.above(self.student_min_score)
        return drawing.boxes(student, truth, self.class_names, width_px=width_px)
