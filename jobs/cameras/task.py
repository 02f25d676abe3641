"""From a camera's settings to its task: what its model answers. A new task begins here, and in
`jobs.cameras.nets`."""

from __future__ import annotations

from collections.abc import Callable

from culling_pipeline.tasks.base import Task
from culling_pipeline.tasks.boxes.task import BoxTask
from culling_pipeline.tasks.density.task import CountTask
from jobs.config.settings import CameraDefaults
from models.boxes.classes import ClassMap
from models.zones import Zones


def task_of(camera: CameraDefaults, classes: ClassMap | None = None) -> Task:
    """The camera's task; with `classes` in the place of its own."""
    return _TASKS[camera.task](camera, classes or ClassMap.from_config(camera.wanted))


def box_task(camera: CameraDefaults, classes: ClassMap) -> BoxTask:
    """`task: boxes`."""
    return BoxTask(
        classes=classes,
        confidence=camera.culling.confidence.to_plan(),
        student_min_score=camera.student.min_score,
        teacher_min_score=camera.teacher.min_score,
        teacher_min_side=camera.teacher.min_side_share,
        min_object_px=camera.resolution.min_object_px,
        ignore_zones=Zones(camera.ignore_zones),
        backend=camera.student.backend,
    )


def count_task(camera: CameraDefaults, classes: ClassMap) -> CountTask:
    """`task: count`."""
    return CountTask(
        classes=classes,
        sigma_share=camera.count.sigma_share,
        teacher_min_score=camera.teacher.min_score,
        teacher_min_side=camera.teacher.min_side_share,
        ignore_zones=Zones(camera.ignore_zones),
    )


_TASKS: dict[str, Callable[[CameraDefaults, ClassMap], Task]] = {
    "boxes": box_task,
    "count": count_task,
}
