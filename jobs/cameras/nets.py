"""A camera's nets by its task: what its student begins with, and what opens its teacher.

This is all that a night needs of a task beside the task itself (`jobs.cameras.task`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from culling_pipeline.run.progress import Progress
from jobs.cameras.detectors import (
    are_here,
    bring_weights,
    configured_detector,
    described,
    full_size,
    opened_in_words,
    weights_in_words,
    weights_path,
    why_untrained,
)
from jobs.cameras.student_origin import origin_in_words
from jobs.cameras.task import task_of
from jobs.config.settings import CameraConfig
from jobs.config.weights import BUILT_IN, OWN_SUFFIXES
from jobs.errors import UsageError
from models.base import OpenModel, Trainable
from models.boxes.classes import ClassMap
from models.errors import WeightsError
from models.files import load_meta
from models.registry import ModelRegistry
from models.versions import untrained_in

if TYPE_CHECKING:
    from models.density.student import DensityStudent


TRIED_AT = (96, 160)
"""Height and width in pixels at which a counting net is opened, to see whether it can be."""


class First(NamedTuple):
    """A student fitted to its camera, and why it is untrained (None if it is trained)."""

    student: Trainable
    untrained: str | None


@dataclass(frozen=True, slots=True)
class Nets(ABC):
    """The nets of one camera."""

    camera: CameraConfig
    found: ClassVar[str]
    """What the camera's classes are to it, in a word."""
    drawn: ClassVar[str]
    """What is seen of an answer in a picture."""
    poolable: ClassVar[bool]
    """Whether several cameras get one first student, and groups of them are proposed."""

    @property
    @abstractmethod
    def student(self) -> str:
        """The configured student in a few words."""

    @property
    @abstractmethod
    def teacher(self) -> str:
        """The configured teacher in a few words."""

    @property
    @abstractmethod
    def student_weights(self) -> str:
        """Where the student comes from, as the configuration names it."""

    @property
    @abstractmethod
    def teacher_weights(self) -> str:
        """Where the teacher comes from, as the configuration names it."""

    @property
    @abstractmethod
    def has_detector(self) -> bool:
        """Whether the teacher answers with boxes."""

    @abstractmethod
    def made(self, meta: Mapping[str, Any]) -> bool:
        """Whether a version with this description is a student of this task."""

    @abstractmethod
    def fits(self, path: Path) -> bool:
        """Whether the version in this folder answers what the camera asks now."""

    @abstractmethod
    def first(self, size: tuple[int, int], *, device: str, known: Path | None = None) -> First:
        """The configured student, or the version in the folder `known`, with the camera's classes
        and at this height and width."""

    @abstractmethod
    def open_teacher(self, shape: tuple[int, int], *, device: str) -> OpenModel:
        """What opens the teacher for frames of this height and width."""

    @abstractmethod
    def missing(self, *, student: bool) -> list[str]:
        """The published weights that are not here yet; the student's only if asked for."""

    @abstractmethod
    def student_seen(self, registry: ModelRegistry) -> str:
        """The student, opened, in words for `culling check`. Raises what is wrong with it."""

    @abstractmethod
    def teacher_seen(self) -> str:
        """The same of the teacher, which must know the camera's classes."""

    @abstractmethod
    def bring(self, progress: Progress, *, student: bool) -> None:
        """Download published weights that are missing; the student's only if asked for."""


class BoxNets(Nets):
    """Detectors."""

    found, drawn, poolable = "classes", "boxes", True

    @property
    def student(self) -> str:
        return described(self.camera.student)

    @property
    def teacher(self) -> str:
        return described(self.camera.teacher)

    @property
    def student_weights(self) -> str:
        return self.camera.student.weights

    @property
    def teacher_weights(self) -> str:
        return self.camera.teacher.weights

    @property
    def has_detector(self) -> bool:
        return True

    def made(self, meta: Mapping[str, Any]) -> bool:
        return "architecture" in meta["spec"]

    def fits(self, path: Path) -> bool:
        names = tuple(load_meta(path)["spec"]["class_names"])
        return names == self.camera.class_names

    def first(self, size: tuple[int, int], *, device: str, known: Path | None = None) -> First:
        from models.boxes.student import fit_to_camera, load_detector

        settings, classes = self.camera.student, ClassMap.from_config(self.camera.wanted)
        if known is None:
            detector = configured_detector(settings, device=device).torch_detector()
            untrained = why_untrained(settings)
        else:
            detector = load_detector(known, device=device)
            untrained = untrained_in(load_meta(known))
        if untrained is None and not any(
            row is not None for row in classes.rows_for(detector.class_names)
        ):
            untrained = f"it knows none of the camera's classes ({', '.join(classes.names)})"
        fitted = fit_to_camera(detector, classes, height_px=size[0], width_px=size[1])
        return First(fitted, untrained)

    def open_teacher(self, shape: tuple[int, int], *, device: str) -> OpenModel:
        size = full_size(*shape, max_side_px=self.camera.teacher.max_side_px)
        return configured_detector(self.camera.teacher, device=device, size=size)

    def missing(self, *, student: bool) -> list[str]:
        wanted = [*([self.camera.student] if student else ()), self.camera.teacher]
        return [settings.weights for settings in wanted if not are_here(settings)]

    def student_seen(self, registry: ModelRegistry) -> str:
        settings, name = self.camera.student, self.camera.name
        names, backend = opened_in_words(settings)
        known = f" ({len(names)} classes{backend})" if settings.untrained is None else ""
        words = f"{weights_in_words(settings)}{known}; {origin_in_words(registry, self.camera)}"
        rows = ClassMap.from_config(self.camera.wanted).rows_for(names)
        if known and registry.incumbent(name) is None and not any(r is not None for r in rows):
            words += ", but of none of this camera's classes: the first night takes frames evenly"
        return words

    def teacher_seen(self) -> str:
        return detector_in_words(self.camera)

    def bring(self, progress: Progress, *, student: bool) -> None:
        if student:
            bring_weights(self.camera.student, progress)
        bring_weights(self.camera.teacher, progress)


class CountNets(Nets):
    """Density nets; the teacher may be a detector, whose boxes are counted."""

    found, drawn, poolable = "counts", "map and count", False

    @property
    def student(self) -> str:
        count = self.camera.count
        if count.is_net:
            return f"random weights ({count.student}, width {count.width:g})"
        return _counter_in_words(count.student)

    @property
    def teacher(self) -> str:
        weights = self.camera.count.teacher
        if weights is None:
            return f"the boxes of {described(self.camera.teacher)}"
        return _counter_in_words(weights)

    @property
    def student_weights(self) -> str:
        return self.camera.count.student

    @property
    def teacher_weights(self) -> str:
        return self.camera.count.teacher or self.camera.teacher.weights

    @property
    def has_detector(self) -> bool:
        return self.camera.count.teacher is None

    def made(self, meta: Mapping[str, Any]) -> bool:
        return "net" in meta["spec"]

    def fits(self, path: Path) -> bool:
        return str(load_meta(path)["spec"]["class_name"]) == self.camera.class_names[0]

    def first(self, size: tuple[int, int], *, device: str, known: Path | None = None) -> First:
        from models.density.student import new_density_student

        count, [name] = self.camera.count, self.camera.class_names
        if known is None and count.is_net:
            student = new_density_student(count.student, name, size, width=count.width)
            return First(
                student, f"its weights are random numbers (count.student: {count.student})"
            )
        path = known or weights_path(count.student)
        found = _counter(path, device).at_size(*size)
        untrained = untrained_in(load_meta(path))
        if found.spec.class_name != name:
            untrained = untrained or f"it counts {found.spec.class_name}, not {name}"
        return First(found.counting(name), untrained)

    def open_teacher(self, shape: tuple[int, int], *, device: str) -> OpenModel:
        weights, most = self.camera.count.teacher, self.camera.teacher.max_side_px
        size = full_size(*shape, max_side_px=most)
        if weights is None:
            return configured_detector(self.camera.teacher, device=device, size=size)
        return OpenCounterTeacher(weights_path(weights), device, size)

    def missing(self, *, student: bool) -> list[str]:
        settings = self.camera.teacher
        counted = self.camera.count.teacher is None and not are_here(settings)
        return [settings.weights] if counted else []

    def student_seen(self, registry: ModelRegistry) -> str:
        version = registry.incumbent(self.camera.name)
        _, untrained = self.first(TRIED_AT, device="cpu")
        words = f"{self.student}, counts {self.camera.class_names[0]}"
        if version is not None:
            untrained = registry.untrained(self.camera.name, version)
            words = f"{words}; {version} is in use"
        if untrained is None:
            return words
        return f"{words}; untrained: {untrained}; its first night takes frames evenly in time"

    def teacher_seen(self) -> str:
        if self.camera.count.teacher is None:
            return detector_in_words(self.camera)
        names = self.open_teacher(TRIED_AT, device="cpu")().class_names
        task_of(self.camera).check_teacher(names)
        return self.teacher

    def bring(self, progress: Progress, *, student: bool) -> None:
        if self.camera.count.teacher is None:
            bring_weights(self.camera.teacher, progress)


@dataclass(frozen=True, slots=True)
class OpenCounterTeacher:
    """Opens a counting net as a teacher, in whichever process it is called."""

    path: Path
    device: str
    size: tuple[int, int]

    def __call__(self) -> DensityStudent:
        return _counter(self.path, self.device).at_size(*self.size)


def nets_of(camera: CameraConfig) -> Nets:
    """The camera's nets, as its task has them."""
    return _NETS[camera.task](camera)


def require_task(camera: CameraConfig, version: str, path: Path) -> None:
    """Raise `UsageError` for a version that was made when the camera had another task."""
    if not nets_of(camera).made(load_meta(path)):
        message = (
            f"camera {camera.name!r}: {version} was made for another task than `task: "
            f"{camera.task}`: run `culling retrain {camera.name}`, or name another version"
        )
        raise UsageError(message)


_NETS: dict[str, Callable[[CameraConfig], Nets]] = {"boxes": BoxNets, "count": CountNets}


def detector_in_words(camera: CameraConfig) -> str:
    """The teacher that is a detector, which must know the camera's classes."""
    names, backend = opened_in_words(camera.teacher)
    ClassMap.from_config(camera.wanted).check(names)
    return f"{weights_in_words(camera.teacher)} ({len(names)} classes{backend})"


def counts(weights: str) -> bool:
    """Whether these weights, as a configuration names them, are a counting net's. A file that is
    not there, or says nothing of itself, is none."""
    if not weights.startswith(BUILT_IN) and Path(weights).suffix.lower() not in OWN_SUFFIXES:
        return False
    try:
        return "net" in load_meta(weights_path(weights)).get("spec", {})
    except WeightsError:
        return False


def _counter(path: Path, device: str) -> DensityStudent:
    """A counting net from a file; a detector is refused by what it is."""
    from models.density.student import load_density_student

    if "net" not in load_meta(path).get("spec", {}):
        message = f"{path}: is no counting net (a detector?): name one that answers with a map"
        raise WeightsError(message)
    return load_density_student(path, device)


def _counter_in_words(weights: str) -> str:
    path = weights_path(weights)
    spec = load_meta(path).get("spec", {})
    shown = weights if weights.startswith("builtin:") else path.name
    return f"{shown} ({spec.get('net')}, width {spec.get('width', 1):g})"
