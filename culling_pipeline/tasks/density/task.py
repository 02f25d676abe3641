"""Counting as a task: what `culling_pipeline.tasks.base.Task` asks, answered for density maps.

torch is loaded when first needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from culling_pipeline.ranges import PositiveShare, Share, check
from culling_pipeline.records.labels import CorrectedFrame, Disagreement
from culling_pipeline.records.scores import Accuracy
from culling_pipeline.tasks.answers import Sight
from culling_pipeline.tasks.base import Task
from culling_pipeline.tasks.bootstrap import interval_of_gain
from culling_pipeline.tasks.boxes.labels import clean_labels
from culling_pipeline.tasks.density import answer_files, drawing
from culling_pipeline.tasks.density.counted import Counted, peaks
from culling_pipeline.tasks.density.metrics import cells, game, mae, rmse
from culling_pipeline.tasks.density.opening import OpenCounter, OpenTeacher, SelfDoubting
from culling_pipeline.tasks.metric import Comparison, Metric
from culling_pipeline.tasks.samples import Pictures, Prepared, Sample, Variation
from models.base import Backend, Model, OpenModel, Trainable
from models.boxes.classes import ClassMap
from models.boxes.detections import Detections
from models.density.answer import DensityMap
from models.zones import NO_ZONES, Zones

if TYPE_CHECKING:
    from torch import Tensor

    from culling_pipeline.tasks.density.export import CountExport

MAE = Metric("MAE", unit="objects", higher_is_better=False)
LEVEL = 3
"""What is missed and invented is added up in 8×8 parts of the picture."""
SAME_SHARE = 0.1
"""Counts that are no further apart than this share, or than one, are the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CountTask(Task):
    """The count of one class, and where they are.

    The teacher is a density net, or a box detector: then the middle of each box of the class that
    reaches `teacher_min_score` and `teacher_min_side` is a point. A point is a Gaussian of
    σ `sigma_share` (of the picture's longer side) in the true map. Nobody in `ignore_zones` counts.

    The picture's size is not searched for (`smallest_scale`): points do not say how large people
    are, and a map that is right at full size says nothing of smaller ones.
    """

    metric = MAE
    marks_points = True

    classes: ClassMap
    sigma_share: PositiveShare
    teacher_min_score: Share
    teacher_min_side: Share
    ignore_zones: Zones
    backend: Backend = "auto"

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
        from models.density.student import load_density_student

        return load_density_student(path, device)

    def student_opener(
        self,
        path: Path,
        *,
        device: str,
        size: tuple[int, int] | None = None,
        ignoring: bool = True,
    ) -> OpenModel:
        return OpenCounter(path, device, self.ignore_zones if ignoring else Zones(), size)

    def at_work(self, student: Trainable) -> Model:
        return SelfDoubting(student, self.ignore_zones)

    def teacher_opener(self, build: OpenModel) -> OpenModel:
        return OpenTeacher(build, self.ignore_zones)

    def check_teacher(self, teacher_names: Sequence[str]) -> None:
        self.classes.check(teacher_names)

    # -- answers and truth ---------------------------------------------------------------------

    @property
    def nothing(self) -> Counted:
        return Counted(DensityMap(np.zeros((1, 1), np.float32), 1, 1))

    def unsureness(self, answer: Counted) -> float:
        return answer.doubt

    def truth(
        self,
        said: Detections | DensityMap,
        teacher_names: Sequence[str],
        *,
        height_px: int,
        width_px: int,
    ) -> Counted:
        if isinstance(said, DensityMap):
            return Counted(said)
        boxes = clean_labels(
            self.classes.translate(said, teacher_names),
            height_px=height_px,
            width_px=width_px,
            min_score=self.teacher_min_score,
            min_side=self.teacher_min_side,
        ).boxes_xyxy
        return self._of_boxes(boxes, height_px, width_px)

    def _of_boxes(self, boxes_xyxy: Any, height_px: int, width_px: int) -> Counted:
        """The middle of each of N×4 boxes is a point."""
        boxes = np.asarray(boxes_xyxy, np.float32).reshape(-1, 4)
        points = np.asarray((boxes[:, :2] + boxes[:, 2:]) / 2, np.float32)
        return Counted.of_points(points, height_px, width_px, sigma_share=self.sigma_share)

    def disagreement(self, frame_id: int, answer: Counted, truth: Counted) -> Disagreement:
        """Missed and invented are people of the count, in parts of the picture, rounded: their sum
        is GAME. `average_precision` is the share of them that both agree on."""
        parts = 2**LEVEL
        lack = cells(truth.map.density, parts) - cells(answer.map.density, parts)
        missed, invented = float(lack.clip(0).sum()), float((-lack).clip(0).sum())
        whole = max(truth.count, answer.count, 1.0)
        return Disagreement(
            frame_id=frame_id,
            teacher_objects=round(truth.count),
            missed=round(missed),
            invented=round(invented),
            average_precision=max(0.0, 1 - (missed + invented) / (2 * whole)),
        )

    def objects(self, truth: Counted) -> int:
        return round(truth.count)

    def amount(self, said: Counted) -> float:
        return said.count

    def outside_zones(self, answer: Counted, height_px: int, width_px: int) -> Counted:
        return answer.outside(self.ignore_zones, sigma_share=self.sigma_share)

    def differ(self, one: Counted, other: Counted) -> bool:
        most = max(one.count, other.count)
        return abs(one.count - other.count) > max(1.0, SAME_SHARE * most)

    def sight(self, answer: Counted) -> Sight:
        count = answer.count
        return Sight(busy=count >= 0.5, detections=round(count), objects=(count,))

    # -- training ------------------------------------------------------------------------------

    def pictures(
        self,
        samples: Sequence[Sample],
        others: Iterable[Sample],
        *,
        size: tuple[int, int],
        variation: Variation,
    ) -> Pictures:
        from culling_pipeline.tasks.density.pictures import density_pictures

        return density_pictures(
            samples, size=size, variation=variation, sigma_share=self.sigma_share
        )

    def losses(self, student: Trainable, batch: Sequence[Prepared]) -> Tensor:
        from culling_pipeline.tasks.density.pictures import losses_by_image

        return losses_by_image(student, batch)

    def resized(self, truth: Counted, *, across: float, down: float) -> Counted:
        return truth.stretched(across=across, down=down, sigma_share=self.sigma_share)

    # -- what it was worth ---------------------------------------------------------------------

    def score(self, answers: Sequence[Counted], truths: Sequence[Counted]) -> Accuracy:
        found, wanted = (np.array([s.count for s in said]) for said in (answers, truths))
        pairs = list(zip(answers, truths, strict=True))
        further = (
            Metric("RMSE", unit="objects", higher_is_better=False).score(rmse(found, wanted)),
            Metric(f"GAME({LEVEL})", unit="objects", higher_is_better=False).score(
                float(np.mean([game(a.map, t.map, level=LEVEL) for a, t in pairs]))
            ),
        )
        return Accuracy(
            score=MAE.score(mae(found, wanted)),
            further=further,
            per_class={},
            frames=len(truths),
            objects=round(float(wanted.sum())),
        )

    def compare(
        self,
        before: Sequence[Counted],
        after: Sequence[Counted],
        truths: Sequence[Counted],
        blocks: Sequence[int],
        *,
        rng: np.random.Generator,
    ) -> Comparison:
        wanted = np.array([truth.count for truth in truths])
        old, new = (
            np.abs(np.array([answer.count for answer in said]) - wanted) for said in (before, after)
        )

        def gain_on(frames: NDArray[np.int64]) -> float | None:
            return float((old[frames] - new[frames]).mean()) if wanted[frames].any() else None

        low, high = interval_of_gain(gain_on, blocks, rng=rng)
        return Comparison(
            float(old.mean()), float(new.mean()), float((old - new).mean()), low, high
        )

    # -- on disk and on the page ---------------------------------------------------------------

    def as_json(self, answer: Counted) -> dict[str, Any]:
        return answer_files.as_json(answer)

    def answer_from(self, line: Mapping[str, Any]) -> Counted:
        said = answer_files.from_json(line, sigma_share=self.sigma_share)
        return self.nothing if said is None else said

    def corrected(self, frame: CorrectedFrame) -> Counted:
        mine = [
            box
            for box, name in zip(frame.boxes_xyxy, frame.classes, strict=True)
            if name in self.class_names
        ]
        found = self._of_boxes(mine, frame.height_px, frame.width_px)
        return self.outside_zones(found, frame.height_px, frame.width_px)

    def labelled(self, truth: Counted) -> Detections:
        """A truth as boxes for other programs: a small one around each point, all of one size but
        at the edge. Its middle is the point."""
        height, width = truth.map.height_px, truth.map.width_px
        points = truth.points
        if points is None:
            points = peaks(truth.map, sigma_share=self.sigma_share)
        room = np.minimum(points, np.array([width, height], np.float32) - points).min(
            axis=1, initial=np.inf
        )
        half = np.clip(room, 0.5, self.sigma_share * max(height, width))[:, None]
        boxes = np.concatenate([points - half, points + half], axis=1).astype(np.float32)
        ones, zeros = np.ones(len(points), np.float32), np.zeros(len(points), np.int64)
        return Detections(boxes, ones, zeros)

    def export(self, path: Path) -> CountExport:
        from culling_pipeline.tasks.density.export import CountExport
        from models.density.student import load_density_student

        return CountExport(student=load_density_student(path), zones=self.ignore_zones)

    def painted(
        self, image: NDArray[np.uint8], answer: Counted, class_names: Sequence[str]
    ) -> NDArray[np.uint8]:
        return drawing.painted(image, answer, class_names[0])

    def said(self, answer: Counted, class_names: Sequence[str]) -> dict[str, Any]:
        return {
            "class": class_names[0],
            "count": round(answer.count, 2),
            "doubt": round(answer.doubt, 2),
        }

    def drawing(self, answer: Counted, truth: Counted, *, width_px: int) -> list[Markup]:
        name = self.class_names[0]
        return drawing.heat(answer, truth, name, width_px=width_px, sigma_share=self.sigma_share)
