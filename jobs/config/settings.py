"""What can be configured: frozen models, and every default in this one place.

Each field's meaning is in docs/config.md; `jobs.config.load` reads them from a file.
"""

from __future__ import annotations

import hashlib
import os
import re
from datetime import date
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from jobs.config.fields import (
    Classes,
    Count,
    Polygons,
    Positive,
    Real,
    Section,
    Text,
)
from jobs.config.live import LiveSettings
from jobs.config.night import (
    CullingSettings,
    JudgingSettings,
    ModelsSettings,
    ResolutionSettings,
    TrainingSettings,
)
from jobs.config.secrets import fill_in
from jobs.config.service import ServiceSettings
from jobs.config.storage import StorageSettings
from jobs.config.weights import StudentSettings, TeacherSettings
from streams.base import redact_url

CAMERA_NAME = re.compile(r"[a-z0-9_-]+")


def _cpu_count(value: object) -> object:
    if value != "auto":
        return value
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def _url_alone(value: object) -> object:
    """`storage: s3://bucket/folder` is short for its `url`."""
    if value is None:
        return StorageSettings()
    return {"url": value} if isinstance(value, str) else value


class DiskSettings(Section):
    """How much room frames may take, and how much is to stay free. GB are 10⁹ bytes."""

    budget_gb: Positive = 50.0
    min_free_gb: Annotated[Real, Field(ge=0)] = 1.0


class ReportsSettings(Section):
    """How long reports stay on disk; null: for ever."""

    keep_days: Count | None = 365


class CameraDefaults(Section):
    """Everything a camera can override."""

    fps: Annotated[Positive, Field(le=60)] = 1.0
    schedule: Text | None = "03:00"
    time_zone: Text | None = None
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
    models: ModelsSettings = ModelsSettings()
    live: LiveSettings = LiveSettings()

    @field_validator("schedule")
    @classmethod
    def _is_a_schedule(cls, schedule: str | None) -> str | None:
        if schedule is not None and schedule != "03:00":  # what it needs takes time to import
            from jobs.config.wall_clock import WallClock, time_zone

            WallClock(schedule, time_zone("UTC"))
        return schedule

    @field_validator("time_zone")
    @classmethod
    def _is_a_time_zone(cls, name: str | None) -> str | None:
        if name is not None:
            from jobs.config.wall_clock import time_zone

            time_zone(name)
        return name


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
        """Changes whenever a setting of this camera changes (but for the password, for when its
        nights are, and for how many versions are kept)."""
        shown = self.model_copy(update={"source": self.source_shown})
        settings = shown.model_dump_json(exclude={"schedule", "time_zone", "models"})
        return hashlib.sha256(settings.encode()).hexdigest()[:16]


class Config(Section):
    """The whole configuration: the machine, and each camera by its name."""

    data_dir: Path = Path("culling-data")
    workers: Annotated[Count, BeforeValidator(_cpu_count)] = "auto"  # type: ignore[assignment]
    device: Literal["auto", "cpu", "cuda"] = "auto"
    disk: DiskSettings = DiskSettings()
    reports: ReportsSettings = ReportsSettings()
    database: Annotated[Text | None, Field(repr=False)] = None
    storage: Annotated[StorageSettings, BeforeValidator(_url_alone)] = StorageSettings()
    service: ServiceSettings = ServiceSettings()
    cameras: dict[str, CameraConfig] = Field(default_factory=dict)

    @field_validator("database")
    @classmethod
    def _fill_in_secrets(cls, url: str | None, info: ValidationInfo) -> str | None:
        context = info.context or {}
        if url is None or context.get("as_written", False):
            return url
        return fill_in(url, context.get("folder", Path()))

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

    def corrections_dir(self, camera: str) -> Path:
        """Where the frames lie whose labels people have corrected."""
        return self.data_dir / "corrections" / camera

    def views_dir(self, camera: str) -> Path:
        """Where lies how a camera has looked on earlier days."""
        return self.data_dir / "views" / camera

    def report_dir(self, camera: str, run_id: str) -> Path:
        """Where one night's report lies."""
        return self.data_dir / "reports" / camera / run_id
