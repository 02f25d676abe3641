"""A student as a file for other programs: what `culling export` asks of a task.

How the file is named, tried and put in place is the same for every task (`jobs.exports.export`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol

from culling_pipeline.tasks.answers import Answer, Truth
from models.base import Model, Trainable


class ExportCheck(Protocol):
    """How the student and its file compare. A dataclass: its fields are the command's JSON."""

    @property
    def trouble(self) -> str | None:
        """How the file differs from the student, or None."""

    @property
    def in_words(self) -> str:
        """How far the file is from the student."""


class StudentExport(ABC):
    """One student that is to be a file."""

    layouts: ClassVar[tuple[str, ...]] = ("ours",)
    """What may go in and come out of the file."""

    @property
    @abstractmethod
    def student(self) -> Trainable:
        """The student itself."""

    @property
    @abstractmethod
    def architecture(self) -> str:
        """The name of its net."""

    @abstractmethod
    def write(self, path: Path, format_: str, about: Mapping[str, Any], *, layout: str) -> None:
        """Write it at its size; `about` goes inside. What cannot be written raises `ModelError`."""

    @abstractmethod
    def opened(self, file: Path) -> Model:
        """What was written, as a model."""

    @abstractmethod
    def ignoring(self, model: Model) -> Model:
        """Student or file without what lies in the camera's ignore zones, as the truths are."""

    @abstractmethod
    def check(
        self, ours: Sequence[Answer], theirs: Sequence[Answer], truths: Sequence[Truth] | None
    ) -> ExportCheck:
        """Compare their answers to the same pictures; `truths` are the teacher's, if there are
        any."""
