"""From a camera's settings to its task: what its model answers. A second task begins here."""

from __future__ import annotations

from culling_pipeline.tasks.boxes.task import BoxTask
from jobs.config.settings import CameraDefaults
from models.boxes.classes import ClassMap
from models.zones import Zones


def task_of(camera: CameraDefaults, classes: ClassMap | None = None) -> BoxTask:
    """The camera's task; with `classes` in the place of its own."""
    return BoxTask(
        classes=classes or ClassMap.from_config(camera.classes),
        confidence=camera.culling.confidence.to_plan(),
        student_min_score=camera.student.min_score,
        teacher_min_score=camera.teacher.min_score,
        teacher_min_side=camera.teacher.min_side_share,
        min_object_px=camera.resolution.min_object_px,
        ignore_zones=Zones(camera.ignore_zones),
        backend=camera.student.backend,
    )
