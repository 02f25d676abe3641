"""What can be configured: frozen models, and every default in this one place.

Each field's meaning is in docs/config.md; `jobs.config` reads them from a file.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import replace
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from jobs.fields import (
    Classes,
    Count,
    Polygons,
    Positive,
    PositiveShare,
    Real,
    Section,
    Share,
    Text,
    Whole,
)
from jobs.live_settings import LiveSettings
from jobs.secrets import fill_in
from streams.base import redact_url

if TYPE_CHECKING:
    from culling_pipeline.schedule import ScheduleOptions
    from culling_pipeline.train import TrainPlan
    from models.foreign import ForeignOptions

CAMERA_NAME = re.compile(r"[a-z0-9_-]+")
FOREIGN_SUFFIXES = (".xml", ".onnx")
PTH_SUFFIXES = (".pth", ".pt")
OWN_SUFFIXES = (".safetensors", "")


def _cpu_count(value: object) -> object:
    if value != "auto":
        return value
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def _or(suffixes: tuple[str, ...]) -> str:
    return ", ".join(suffix or "a folder" for suffix in suffixes)


def _rising(epochs: tuple[int, ...], *, last: int) -> bool:
    return all(a < b for a, b in pairwise((*epochs, last + 1)))


class WeightsSettings(Section):
    """What student and teacher have in common: where the weights are and what they fit into."""

    weights: Text
    architecture: Text
    width: Annotated[Positive, Field(le=4)] = 0.25
    class_names: tuple[Text, ...] = ()
    min_score: Share = 0.5

    @property
    def suffix(self) -> str:
        """The weights' file suffix, lower case; empty for a folder and for `builtin:`."""
        return "" if self.weights.startswith("builtin:") else Path(self.weights).suffix.lower()

    def _check_weights(self, suffixes: tuple[str, ...]) -> None:
        if self.suffix not in suffixes:
            message = (
                f"weights: got {self.weights!r}, must be builtin:… or a path to {_or(suffixes)}"
            )
            raise ValueError(message)
        if self.suffix in PTH_SUFFIXES and not self.class_names:
            message = f"class_names: missing, a {self.suffix} does not say what its labels mean"
            raise ValueError(message)


class StudentSettings(WeightsSettings):
    """The small detector a camera starts from."""

    weights: Text = "builtin:street-student"
    architecture: Text = "resnet18"
    max_side_px: Annotated[Whole, Field(ge=64)] = 640

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        self._check_weights((*PTH_SUFFIXES, *OWN_SUFFIXES))
        return self


Triple = tuple[Real, Real, Real]


class DetectorIo(Section):
    """How a teacher from elsewhere (.xml, .onnx) wants its image and what its outputs mean: a
    preset, and whatever is to differ from it. Mirrors `models.foreign.ForeignOptions`."""

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
        """The options as `models.foreign` takes them."""
        from models.foreign import PRESETS, ForeignOptions

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
        self._check_weights((*FOREIGN_SUFFIXES, *PTH_SUFFIXES, *OWN_SUFFIXES))
        if self.is_foreign and self.io is None:
            message = f"io: missing, {Path(self.weights).name} needs it to be read"
            raise ValueError(message)
        return self


class ConfidenceSettings(Section):
    """L_conf, Dataset Culling sec. 2.1."""

    q: Positive = 3.0
    b: Real = 0.5
    min_score: Share = 0.2
    reduce: Literal["sum", "mean", "max"] = "sum"
    standardise: Annotated[bool, Field(strict=True)] = False


class ControlSettings(Section):
    """The control slice: random frames that only measure."""

    frames: Count = 240
    block_s: Positive = 300.0
    share: Annotated[Real, Field(gt=0, lt=1)] = 0.2
    placement: Literal["auto", "blocks", "end"] = "auto"


class GateSettings(Section):
    """Which frames are not scored: those between every so many-th, and with the change gate those
    on which nothing has changed."""

    every: Count = 1
    enabled: Annotated[bool, Field(strict=True)] = False
    audit_share: PositiveShare = 0.05
    min_recall: Annotated[Real, Field(gt=0, lt=1)] = 0.995


class CullingSettings(Section):
    """What to keep of a day."""

    strategy: Literal["strata", "coverage", "paper", "confidence_only", "random", "uniform"] = (
        "strata"
    )
    keep: Count = 256
    survivors_ratio: Annotated[Real, Field(ge=1)] = 6.0
    parts: Count = 12
    confidence: ConfidenceSettings = ConfidenceSettings()
    gate: GateSettings = GateSettings()
    control: ControlSettings = ControlSettings()

    @property
    def survivors(self) -> int:
        """Frames left after confidence culling."""
        return round(self.keep * self.survivors_ratio)


class ResolutionSettings(Section):
    """optResolution, Dataset Culling sec. 2.2."""

    enabled: Annotated[bool, Field(strict=True)] = True
    threshold: Positive = 0.05
    min_scale: PositiveShare = 0.5


class TrainingSettings(Section):
    """How the student is trained on the kept set (CLIP, Drop-and-Pick)."""

    schedule: Literal["standard", "curriculum", "clip", "dap", "clip-dap"] = "clip-dap"
    epochs: Count = 12
    batch_size: Count = 8
    learning_rate: Positive = 0.0005
    learning_rate_steps: tuple[Count, ...] | None = None
    learning_rate_drop: PositiveShare = 0.1
    weight_decay: Annotated[Real, Field(ge=0)] = 0.0001
    flip: Annotated[bool, Field(strict=True)] = True
    seed: Annotated[Whole, Field(ge=0)] = 0
    warm_up: Annotated[Whole, Field(ge=0)] = 2
    interval: Count = 2
    keep: PositiveShare = 0.9
    pick: tuple[Count, ...] | None = None
    active: Count | None = None
    start: PositiveShare = 0.25
    pace_power: Annotated[Whole, Field(ge=1, le=2)] = 2
    pace_end: PositiveShare = 0.5
    prune_ratio: Annotated[Real, Field(ge=0, lt=1)] = 0.05
    epsilon_mode: Literal["fixed", "increasing", "decreasing"] = "fixed"
    prune: Literal["easiest", "hardest"] = "easiest"

    @model_validator(mode="after")
    def _epochs_in_order(self) -> Self:
        for name, epochs in (
            ("pick", self.pick),
            ("learning_rate_steps", self.learning_rate_steps),
        ):
            if not _rising(epochs or (), last=self.epochs):
                message = (
                    f"{name}: got {list(epochs or ())}, must rise and end at the last epoch "
                    f"({self.epochs}) or before"
                )
                raise ValueError(message)
        return self

    @property
    def steps(self) -> tuple[int, ...]:
        """The epochs after which the learning rate falls: as given, or at two thirds."""
        if self.learning_rate_steps is not None:
            return self.learning_rate_steps
        return (round(self.epochs * 2 / 3),) if self.epochs >= 3 else ()

    def to_options(self, *, learning_rate_steps: tuple[int, ...] | None = None) -> ScheduleOptions:
        """The options as `culling_pipeline.schedule` takes them; where `pick` is not given,
        everything is picked up again where the learning rate falls (Drop-and-Pick, sec. 3.3)."""
        from culling_pipeline.schedule import ScheduleOptions

        given = {name: getattr(self, name) for name in ScheduleOptions.__slots__}
        steps = self.steps if learning_rate_steps is None else learning_rate_steps
        given["pick"] = steps if self.pick is None else self.pick
        return ScheduleOptions(**given)

    def to_plan(self) -> TrainPlan:
        """The plan as `culling_pipeline.train` takes it."""
        from culling_pipeline.train import TrainPlan

        return TrainPlan(
            schedule=self.schedule,
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            learning_rate_steps=self.steps,
            learning_rate_drop=self.learning_rate_drop,
            flip=self.flip,
            seed=self.seed,
            options=self.to_options(),
        )


class JudgingSettings(Section):
    """When the new student takes over."""

    compare_random: Annotated[bool, Field(strict=True)] = True
    min_gain: Annotated[Real, Field(ge=-1, le=1)] = 0.0


class DiskSettings(Section):
    """How much room frames may take, and how much is to stay free. GB are 10⁹ bytes."""

    budget_gb: Positive = 50.0
    min_free_gb: Annotated[Real, Field(ge=0)] = 1.0


class CameraDefaults(Section):
    """Everything a camera can override."""

    fps: Annotated[Positive, Field(le=60)] = 1.0
    mask: Polygons = ()
    ignore_zones: Polygons = ()
    disk_budget_gb: Positive | None = None
    classes: Classes = Field(default_factory=dict)
    student: StudentSettings = StudentSettings()
    teacher: TeacherSettings = TeacherSettings()
    culling: CullingSettings = CullingSettings()
    resolution: ResolutionSettings = ResolutionSettings()
    training: TrainingSettings = TrainingSettings()
    judging: JudgingSettings = JudgingSettings()
    live: LiveSettings = LiveSettings()


class CameraConfig(CameraDefaults):
    """One camera with all its settings, defaults filled in."""

    name: str
    source: str = Field(min_length=1, repr=False)

    @field_validator("name")
    @classmethod
    def _safe_name(cls, name: str) -> str:
        if not CAMERA_NAME.fullmatch(name):
            message = "a camera's name must be of a-z, 0-9, _ and - only (it names folders)"
            raise ValueError(message)
        return name

    @field_validator("source")
    @classmethod
    def _fill_in_secrets(cls, source: str, info: ValidationInfo) -> str:
        context = info.context or {}
        as_written = context.get("as_written", False)
        return source if as_written else fill_in(source, context.get("folder", Path()))

    @model_validator(mode="after")
    def _has_classes(self) -> Self:
        if not self.classes:
            message = "classes: missing, name what this camera is to find, such as [person, car]"
            raise ValueError(message)
        return self

    @property
    def sample_interval_s(self) -> float:
        """Seconds between two sampled frames."""
        return 1 / self.fps

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes this camera's student finds, in the order of their labels."""
        return tuple(self.classes)

    @property
    def source_shown(self) -> str:
        """The address without user name and password."""
        return redact_url(self.source)

    @property
    def fingerprint(self) -> str:
        """Changes whenever a setting of this camera changes (but for the password)."""
        settings = self.model_copy(update={"source": self.source_shown}).model_dump_json()
        return hashlib.sha256(settings.encode()).hexdigest()[:16]


class Config(Section):
    """The whole configuration: the machine, and each camera by its name."""

    data_dir: Path = Path("culling-data")
    workers: Annotated[Count, BeforeValidator(_cpu_count)] = "auto"  # type: ignore[assignment]
    device: Literal["auto", "cpu", "cuda"] = "auto"
    disk: DiskSettings = DiskSettings()
    cameras: dict[str, CameraConfig] = Field(default_factory=dict)

    @property
    def models_root(self) -> Path:
        """Where all cameras' model versions lie."""
        return self.data_dir / "models"

    def day_dir(self, camera: str, day: date) -> Path:
        """Where a live camera's day lies."""
        return self.data_dir / "days" / camera / day.isoformat()

    def frames_dir(self, camera: str, run_id: str) -> Path:
        """Where one night's frames lie."""
        return self.data_dir / "frames" / camera / run_id

    def work_dir(self, camera: str, run_id: str) -> Path:
        """Where one night's labels and half-finished work lie."""
        return self.data_dir / "work" / camera / run_id

    def report_dir(self, camera: str, run_id: str) -> Path:
        """Where one night's report lies."""
        return self.data_dir / "reports" / camera / run_id
