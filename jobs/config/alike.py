"""What cameras must have in common to share a student, and where they differ."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from jobs.config.settings import CameraConfig

FOR_A_FIRST_STUDENT = (
    "teacher.weights",
    "teacher.class_names",
    "student.architecture",
    "student.width",
    "student.max_side_px",
)
"""The settings that cameras of one first student share."""
WHEN = ("schedule", "time_zone")
"""What cameras of a group share beside: their night is one."""
_OWN = frozenset({"backend"})
"""Settings of these sections that change no weights."""


class Difference(NamedTuple):
    """A setting that two cameras do not share."""

    one: str
    other: str
    key: str
    of_one: object
    of_other: object

    def __str__(self) -> str:
        return (
            f"{self.key} is {_shown(self.of_one)} for {self.one!r} "
            f"and {_shown(self.of_other)} for {self.other!r}"
        )


def for_a_group(camera: CameraConfig) -> tuple[str, ...]:
    """The settings that cameras of one group share: all that its one training depends on."""
    sections = {"teacher": camera.teacher, "student": camera.student, "training": camera.training}
    keys = [f"{name}.{key}" for name, section in sections.items() for key in _keys(section)]
    return ("task", "count", "classes", *keys, "judging.min_gain")


def difference(cameras: Sequence[CameraConfig], keys: Iterable[str]) -> Difference | None:
    """The first of these settings in which a camera differs from the first one."""
    first, *others = cameras
    for other in others:
        for key in keys:
            one, another = _value(first, key), _value(other, key)
            if one != another:
                return Difference(first.name, other.name, key, one, another)
    return None


def _keys(section: Any) -> list[str]:
    return [key for key in type(section).model_fields if key not in _OWN]


def _value(camera: CameraConfig, key: str) -> object:
    found: Any = camera
    for part in key.split("."):
        found = getattr(found, part)
    return tuple(found.items()) if isinstance(found, dict) else found


def _shown(value: object) -> str:
    """A value as a configuration has it; classes by their names."""
    if isinstance(value, tuple) and value and isinstance(value[0], tuple):
        return repr({name: list(below) for name, below in value})
    return repr(value)
