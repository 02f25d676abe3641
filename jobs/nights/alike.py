"""What cameras must have in common to share a first student: net, teacher, classes."""

from __future__ import annotations

from collections.abc import Sequence

from jobs.cameras.nets import nets_of
from jobs.config.alike import FOR_A_FIRST_STUDENT, difference
from jobs.config.settings import CameraConfig
from jobs.errors import UsageError
from models.boxes.classes import ClassMap


def check_alike(cameras: Sequence[CameraConfig]) -> None:
    """Raise `UsageError` unless all have the same teacher and the same net for a student."""
    for camera in cameras:
        require_poolable(camera, "a first student of several cameras")
    unlike = difference(cameras, FOR_A_FIRST_STUDENT)
    if unlike is not None:
        message = (
            f"cameras {unlike.one!r} and {unlike.other!r} cannot share a first student: "
            f"{unlike}; make them the same, or bootstrap the cameras one by one"
        )
        raise UsageError(message)


def require_poolable(camera: CameraConfig, what: str) -> None:
    """Raise `UsageError` for a camera whose task has nothing that several could share so."""
    if not nets_of(camera).poolable:
        message = (
            f"camera {camera.name!r}: {what} is not for cameras with `task: {camera.task}`: leave "
            "it out; its own nights teach it"
        )
        raise UsageError(message)


def shared_classes(cameras: Sequence[CameraConfig], teacher_names: Sequence[str]) -> ClassMap:
    """The classes of the first student: the cameras' own if all have the same, else all the
    teacher's classes that any of them names. A class unknown to the teacher raises `ModelError`."""
    maps = [ClassMap.from_config(camera.classes) for camera in cameras]
    for classes in maps:
        classes.check(teacher_names)
    if all(classes == maps[0] for classes in maps):
        return maps[0]
    named = {source for classes in maps for sources in classes.sources for source in sources}
    return ClassMap.from_config([name for name in teacher_names if name in named])
