"""What a new camera's block in config.yaml says: its source, its task, what is found or counted,
and its teacher."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs.config.settings import TaskName
from jobs.config.weights import (
    BUILT_IN,
    FOREIGN_SUFFIXES,
    REAL_TEACHER,
    SYNTHETIC_TEACHER,
    SYNTHETIC_WORLD,
)
from jobs.errors import UsageError

CLASSES = ("person", "car", "bicycle")
"""The classes of the detectors that come with the package."""
COUNTED = ("person",)
"""What a new camera counts where nothing is said."""
PLAZA, PLAZA_TEACHER = "synthetic://plaza", "builtin:plaza-teacher"
"""The drawn square, whose people only this teacher knows."""
BY_NAME = (BUILT_IN, "pretrained:")
"""What names of weights begin with that are no paths."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the command line says of a new camera's models. `teacher` is a name or a path, from the
    config's folder; `teacher_classes` are its classes, where its file does not say them."""

    task: TaskName | None = None
    classes: tuple[str, ...] | None = None
    teacher: str | None = None
    teacher_classes: tuple[str, ...] = ()


def checked_teacher(teacher: str | None) -> str | None:
    """`--teacher` as it was given, if it is a name, or a file or folder that is there."""
    if teacher is None or teacher.startswith(BY_NAME) or Path(teacher).expanduser().exists():
        return teacher
    message = (
        f"--teacher {teacher}: there is no such file: name an .onnx, .xml, .pth or .safetensors, "
        f"or weights such as {REAL_TEACHER}"
    )
    raise UsageError(message)


def block(wish: Wish, source: str, defaults: object, folder: Path) -> dict[str, Any]:
    """The settings to write into a file of this folder, beside what its `defaults:` say already."""
    above: Mapping[str, Any] = defaults if isinstance(defaults, Mapping) else {}
    task = wish.task or above.get("task") or "boxes"
    settings: dict[str, Any] = {"source": source}
    if task != above.get("task", "boxes"):
        settings["task"] = task
    if wish.classes or not above.get("classes"):
        usual = COUNTED if task == "count" else CLASSES
        settings["classes"] = list(wish.classes or usual)
    if wish.teacher is None:
        return settings | _usual_teacher(wish, task, source, above)
    named = wish.teacher.startswith(BY_NAME)
    if task == "count" and _counts(wish.teacher if named else str(folder / wish.teacher)):
        return settings | {"count": {"teacher": wish.teacher}}
    return settings | {"teacher": teacher_settings(wish.teacher, wish.teacher_classes)}


def _counts(weights: str) -> bool:
    from jobs.cameras.nets import counts  # torch: seconds, and the pages of a service come here

    return counts(weights)


def teacher_settings(teacher: str, classes: tuple[str, ...]) -> dict[str, Any]:
    """The `teacher:` of a camera."""
    settings: dict[str, Any] = {"weights": teacher}
    if classes and Path(teacher).suffix.lower() in FOREIGN_SUFFIXES:
        settings["io"] = {"class_names": list(classes)}
    elif classes:
        settings["class_names"] = list(classes)
    return settings


def _usual_teacher(wish: Wish, task: str, source: str, above: Mapping[str, Any]) -> dict[str, Any]:
    if wish.teacher_classes:
        message = "--teacher-classes: says what a teacher's classes are: give --teacher as well"
        raise UsageError(message)
    if task == "count" and source.startswith(PLAZA):
        return {"count": {"teacher": PLAZA_TEACHER}}
    if source.startswith(SYNTHETIC_WORLD) or _has_teacher(above, task):
        return {}
    return {"teacher": {"weights": REAL_TEACHER}}


def _has_teacher(above: Mapping[str, Any], task: str) -> bool:
    """Whether the file names a teacher for all cameras. The one of drawn streets, which the file of
    `culling init` names, is none for a real camera."""
    places = (("count", "teacher"), ("teacher", "weights")) if task == "count" else ()
    for section, key in places or (("teacher", "weights"),):
        said = above.get(section)
        if isinstance(said, Mapping) and said.get(key) not in (None, SYNTHETIC_TEACHER):
            return True
    return False
