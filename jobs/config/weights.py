"""What can be configured of student and teacher, and every default."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, model_validator

from jobs.config.fields import (
    Count,
    Positive,
    Real,
    Section,
    Share,
    Text,
    Whole,
)
from models.errors import WeightsError

if TYPE_CHECKING:
    from models.boxes.foreign import ForeignOptions
    from models.pretrained.catalogue import PublishedWeights

UNTRAINED = "none"
"""The student's `weights` where it is to begin from random numbers."""
FOREIGN_SUFFIXES = (".xml", ".onnx")
PTH_SUFFIXES = (".pth", ".pt")
OWN_SUFFIXES = (".safetensors", "")


def _or(suffixes: tuple[str, ...]) -> str:
    return ", ".join(suffix or "a folder" for suffix in suffixes)


class WeightsSettings(Section):
    """What student and teacher have in common: where the weights are and what they fit into."""

    weights: Text
    architecture: Text
    width: Annotated[Positive, Field(le=4)] = 0.25
    class_names: tuple[Text, ...] = ()
    min_score: Share = 0.5
    backend: Literal["auto", "torch", "lean"] = "auto"

    @property
    def suffix(self) -> str:
        """The weights' file suffix, lower case; empty for a folder, `builtin:`, `pretrained:`."""
        named = self.weights.startswith(("builtin:", "pretrained:"))
        return "" if named else Path(self.weights).suffix.lower()

    @property
    def published(self) -> PublishedWeights | None:
        """What the catalogue knows of `pretrained:NAME`, or of a file that has its publisher's name
        (and no `class_names`, which make it the operator's own)."""
        from models.pretrained.catalogue import published

        return None if self.class_names else published(self.weights)

    def _check_weights(self, suffixes: tuple[str, ...]) -> None:
        try:
            entry = self.published
        except WeightsError as exc:
            message = f"weights: {exc}"
            raise ValueError(message) from exc
        if entry is not None:
            self._check_published(entry)
            return
        if self.suffix not in suffixes:
            message = (
                f"weights: got {self.weights!r}, must be builtin:…, pretrained:… or a path to "
                f"{_or(suffixes)}"
            )
            raise ValueError(message)
        if self.suffix in PTH_SUFFIXES and not self.class_names:
            message = f"class_names: missing, a {self.suffix} does not say what its labels mean"
            raise ValueError(message)

    def _check_published(self, entry: PublishedWeights) -> None:
        if entry.is_backbone:
            message = f"weights: {entry.name} is a backbone, which finds no boxes: name a detector"
            raise ValueError(message)


class StudentSettings(WeightsSettings):
    """The small detector a camera starts from. With `none` or a backbone it knows no box yet."""

    weights: Text = "builtin:street-student"
    architecture: Text = "resnet18"
    max_side_px: Annotated[Whole, Field(ge=64)] = 640

    @property
    def untrained(self) -> str | None:
        """Why this student knows no box yet, in words; None where it does."""
        if self.weights == UNTRAINED:
            return "its weights are random numbers (student.weights: none)"
        if self.published is not None and self.published.is_backbone:
            return f"{self.published.name} is a backbone, which has never seen a box"
        return None

    def _check_published(self, entry: PublishedWeights) -> None:
        """A backbone will do: the camera's nights teach it boxes."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.weights != UNTRAINED:
            self._check_weights((*PTH_SUFFIXES, *OWN_SUFFIXES))
        return self


Triple = tuple[Real, Real, Real]


class DetectorIo(Section):
    """How a teacher from elsewhere (.xml, .onnx) wants its image and what its outputs mean: a
    preset, and whatever is to differ from it. Mirrors `models.boxes.foreign.ForeignOptions`."""

    preset: Literal["person-vehicle-bike", "yolox-coco"] | None = None
    class_names: tuple[Text, ...] = ()
    outputs: Literal["boxes-labels", "boxes-scores-labels", "yolox"] | None = None
    height_px: Count | None = None
    width_px: Count | None = None
    channel_order: Literal["bgr", "rgb"] = "bgr"
    mean: Triple = (0.0, 0.0, 0.0)
    scale: tuple[Positive, Positive, Positive] = (1.0, 1.0, 1.0)
    keep_aspect: Annotated[bool, Field(strict=True)] = False
    pad_value: Annotated[Whole, Field(ge=0, le=255)] = 114
    pad_position: Literal["top-left", "centre"] = "top-left"
    boxes_output: str | None = None
    scores_output: str | None = None
    labels_output: str | None = None
    label_offset: Whole = 0
    min_score: Share = 0.05
    nms_iou: Share = 0.45

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.preset is None and not (self.class_names and self.outputs):
            message = "give a preset, or class_names and outputs"
            raise ValueError(message)
        return self

    def to_options(self) -> ForeignOptions:
        """The options as `models.boxes.foreign` takes them."""
        from models.boxes.foreign import PRESETS, ForeignOptions

        given = {k: getattr(self, k) for k in self.model_fields_set if k != "preset"}
        if self.preset is None:
            return ForeignOptions(**given)
        return replace(PRESETS[self.preset], **given)


class TeacherSettings(WeightsSettings):
    """The large detector that labels."""

    weights: Text = "builtin:street-teacher"
    architecture: Text = "resnet101"
    max_side_px: Annotated[Whole, Field(ge=64)] = 1280
    min_side_share: Share = 0.02
    io: DetectorIo | None = None

    @property
    def is_foreign(self) -> bool:
        """Whether OpenVINO or ONNX Runtime is needed to run it."""
        return self.suffix in FOREIGN_SUFFIXES

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.weights == UNTRAINED:
            message = (
                "weights: got 'none', but a teacher has to know what it labels: name a detector"
            )
            raise ValueError(message)
        self._check_weights((*FOREIGN_SUFFIXES, *PTH_SUFFIXES, *OWN_SUFFIXES))
        if self.is_foreign and self.io is None:
            message = f"io: missing, {Path(self.weights).name} needs it to be read"
            raise ValueError(message)
        return self
