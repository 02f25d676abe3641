"""All settings as frozen models, with every default in this one place.

Each field says what it means; `make config-docs` writes config.yaml, docs/reference/config.md and
the editors' schema from it. `jobs.config.load` reads a file.
"""

from __future__ import annotations

import hashlib
import os
import re
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from culling_pipeline.ranges import Count, NotNegative, Positive
from jobs.config.count import CountSettings
from jobs.config.fields import NO_UNIT, Classes, Polygons, Section, Text, setting
from jobs.config.live import LiveSettings
from jobs.config.night import (
    CullingSettings,
    JudgingSettings,
    ModelsSettings,
    ResolutionSettings,
    TrainingSettings,
)
from jobs.config.pictures import PicturesSettings
from jobs.config.recordings import RecordingsSettings
from jobs.config.secrets import fill_in
from jobs.config.service import ServiceSettings
from jobs.config.storage import StorageSettings
from jobs.config.weights import StudentSettings, TeacherSettings
from streams.base import redact_url

Workers = Count | Literal["auto"]
TaskName = Literal["boxes", "count"]
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
    """How much disk space frames may take, and how much must stay free. GB are 10⁹ bytes."""

    budget_gb: Positive = setting(
        50.0,
        "for all cameras together; what is least needed is removed first",
        unit="10⁹ bytes",
        more="Removed first are frames of finished nights, then days that have had their night, "
        "then the easiest frames of days that wait, and last their control slices; in each group "
        "the oldest first. `culling ingest` removes them as it runs. A night does so at its end, "
        "and leaves days that wait alone.",
    )
    min_free_gb: NotNegative = setting(
        1.0,
        "with less than this free on the disk, no frame is stored",
        unit="10⁹ bytes",
        more="`culling ingest` says so, and goes on when there is room again.",
    )


class ReportsSettings(Section):
    """How long reports stay on disk; null: for ever."""

    keep_days: Count | None = setting(
        365,
        "when a report is removed; a camera's latest report stays; null: never",
        unit="days",
        more="Reports are removed at the end of the camera's next night, and once a day by "
        "`culling run`.",
    )


class CameraDefaults(Section):
    """Everything a camera can override."""

    fps: Annotated[Positive, Field(le=60)] = setting(
        1.0, "how often a frame is sampled", unit="frames per second"
    )
    schedule: Text | None = setting(
        "03:00",
        'when its nights start: a time, or a crontab\'s "30 3 * * 1-5"; null: never',
        more="For `culling run`. In a crontab's five fields, Sunday is 0 or 7, and of a day of the "
        "month and a day of the week either counts. A time that is skipped "
        "when clocks go forward is made up as much later; a time that comes twice counts once.",
    )
    time_zone: Text | None = setting(
        None,
        "time zone of `schedule` and of the times in reports and on pages, such as Europe/Berlin; "
        "null: the machine's",
    )
    mask: Polygons = setting(
        (),
        "areas to black out for privacy: polygons of [x, y], as shares of width and height, "
        "such as [[[0, 0], [0.3, 0], [0, 0.5]]]",
        unit=NO_UNIT,
        more="Each has at least three corners, counted from the top left. They are black before a "
        "frame is stored, scored or shown.",
    )
    ignore_zones: Polygons = setting(
        (),
        "areas where objects do not count, polygons as for `mask`",
        unit=NO_UNIT,
        more="The picture stays. A box whose centre lies there counts for nothing: not in "
        "scoring, not in labels, not in mAP. Training does not take the area as background "
        "either. For a road behind the fence, a screen, a mirror.",
    )
    disk_budget_gb: Positive | None = setting(
        None, "room for this camera's frames; null: only disk.budget_gb limits it", unit="10⁹ bytes"
    )
    task: TaskName = setting(
        "boxes",
        "what the student answers: boxes, or a density map and its count",
        more="`count` is for crowds, herds and car parks, where boxes would overlap; see `count` "
        "and [Cameras that count](../guide/counting-cameras.md).",
    )
    count: CountSettings = setting(CountSettings(), "only for `task: count`")
    classes: Classes = Field(
        default_factory=dict,
        description="what to find: a list of the detector's names, or name: [its names for it]",
        json_schema_extra={
            "more": "A list such as `[person, car]`, or a mapping from your name to the "
            "detector's names for it, such as `vehicle: [car, truck, bus]`. Quote names such as "
            "`no` and `on`, which YAML reads as true and false."
        },
    )
    student: StudentSettings = setting(StudentSettings(), "the small detector")
    teacher: TeacherSettings = setting(TeacherSettings(), "the large detector that labels")
    culling: CullingSettings = setting(CullingSettings(), "what to keep of a day")
    resolution: ResolutionSettings = setting(
        ResolutionSettings(), "optResolution: the smallest image that still works"
    )
    training: TrainingSettings = setting(
        TrainingSettings(), "how the student is trained on the kept set"
    )
    judging: JudgingSettings = setting(JudgingSettings(), "new student or old")
    models: ModelsSettings = setting(ModelsSettings(), "the camera's model versions")
    live: LiveSettings = setting(LiveSettings(), "how a camera that never ends is read")
    pictures: PicturesSettings = setting(
        PicturesSettings(), "when the pictures of a folder were taken, and which days are used"
    )
    recordings: RecordingsSettings = setting(
        RecordingsSettings(), "how a recorder's folder (source: recordings:/PATH) is read"
    )

    @field_validator("schedule")
    @classmethod
    def _is_a_schedule(cls, schedule: str | None) -> str | None:
        if schedule is not None and schedule != "03:00":  # what it needs takes time to import
            from jobs.config.wall_clock import check_schedule

            check_schedule(schedule)
        return schedule

    @field_validator("time_zone")
    @classmethod
    def _is_a_time_zone(cls, name: str | None) -> str | None:
        if name is not None:
            from jobs.config.wall_clock import time_zone

            time_zone(name)
        return name

    @property
    def wanted(self) -> dict[str, tuple[str, ...]]:
        """The camera's classes and the teacher's names for each, whatever its task."""
        if self.classes or self.count.what is None:
            return self.classes
        return {self.count.what: (self.count.what,)}

    @property
    def trusted_from(self) -> float | None:
        """`culling.trusted_from`, which is in mAP50; for other metrics any student is trusted, as
        long as its unsureness ranks its errors."""
        return self.culling.trusted_from if self.task == "boxes" else None


class CameraConfig(CameraDefaults):
    """One camera with all its settings, defaults filled in."""

    name: str
    source: str = Field(
        min_length=1,
        repr=False,
        description="a video file, a folder of pictures, a recorder's folder (recordings:/PATH), "
        "an address or synthetic://street",
        json_schema_extra={
            "more": "Addresses: `rtsp://…`, `http(s)://…` (video, HLS, MJPEG, a snapshot, a page "
            "such as YouTube's) and `device:0`. A recorder's folder: `recordings:/PATH` "
            "(`recordings`). Made up: "
            "`synthetic://street?seed=7&hours=24` is a street, "
            "`synthetic://court?seed=3&hours=1` a sports court, "
            "`synthetic://plaza?seed=3&hours=24` a square seen from above."
        },
    )

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
        if self.task == "count":
            self._check_counted()
        elif not self.classes:
            message = "classes: missing, name what this camera is to find, such as [person, car]"
            raise ValueError(message)
        return self

    def _check_counted(self) -> None:
        """A counting camera counts one class; what it is may be said in either place."""
        names, what = tuple(self.classes), self.count.what
        if not names and what is None:
            message = "count: what: missing, name what this camera is to count, such as person"
            raise ValueError(message)
        if len(names) > 1:
            message = f"classes: got {', '.join(names)}, but `task: count` counts one: name one"
            raise ValueError(message)
        if names and what not in (None, names[0]):
            message = f"count: what: got {what!r}, but classes has {names[0]!r}: name the same"
            raise ValueError(message)

    @property
    def sample_interval_s(self) -> float:
        """Seconds between two sampled frames."""
        return 1 / self.fps

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes this camera's student finds, in the order of their labels."""
        return tuple(self.wanted)

    @property
    def source_shown(self) -> str:
        """The address without user name and password."""
        return redact_url(self.source)

    @property
    def fingerprint(self) -> str:
        """Changes whenever a setting of this camera changes (except its password, the time of its
        nights, the number of versions kept and what a file of weights may take to open)."""
        culling = self.culling
        before = {"strategy": "strata", "keep": 256}  # the defaults of 0.1 and 0.2
        unset = {k: v for k, v in before.items() if k not in culling.model_fields_set}
        shown = self.changed(source=self.source_shown, culling=culling.changed(**unset))
        left_out: dict[str, Any] = dict.fromkeys(("schedule", "time_zone", "models"), True)
        for detector in ("student", "teacher"):
            left_out[detector] = dict.fromkeys(("load_limit_s", "load_limit_gb"), True)
        if (io := self.teacher.io) is not None:  # as 0.1 and 0.2 wrote it: its nights go on
            shown = shown.changed(teacher=self.teacher.changed(io=io.changed(**io.as_before)))
            io = shown.teacher.io
        if io is not None and io.box_units == "pixels":
            left_out["teacher"]["io"] = {"box_units"}
        if not self.recordings.model_fields_set:  # as of nights begun before there was any
            left_out["recordings"] = True
        # These came with 0.3: nights begun before go on.
        new = {"budget", "looks", "seconds", "trusted_from"}
        left_out["culling"] = new - culling.model_fields_set
        left_out["training"] = {"crops", "replay", "replay_frames"} - self.training.model_fields_set
        left_out["judging"] = {"earlier_frames"} - self.judging.model_fields_set
        if "pictures" not in self.model_fields_set:
            left_out["pictures"] = True
        if self.task == "boxes":
            left_out |= {"task": True, "count": True}
        settings = shown.model_dump_json(exclude=left_out)
        return hashlib.sha256(settings.encode()).hexdigest()[:16]

    def kind_of_labels(self, height_px: int, width_px: int) -> str:
        """Changes with whatever the labels of a picture of this size depend on: classes, teacher,
        and what of the picture is hidden."""
        teacher = self.teacher.model_dump_json(exclude={"load_limit_s", "load_limit_gb"})
        keys = {"classes", "mask", "ignore_zones"}
        if self.task == "count":
            keys |= {"task", "count"}
        seen = self.model_dump_json(include=keys)
        said = f"{height_px}x{width_px} {seen} {teacher}"
        return hashlib.sha256(said.encode()).hexdigest()[:16]


class Config(Section):
    """The whole configuration: the machine, and each camera by its name."""

    data_dir: Path = setting(
        Path("culling-data"),
        "folder of the database, frames, models and reports; only you can read it",
        more="It belongs to one machine; with `storage` it is that machine's working copy.",
    )
    workers: Annotated[Count, BeforeValidator(_cpu_count, json_schema_input_type=Workers)] = (
        setting("auto", "worker processes; auto: one for each core", unit="processes")
    )
    device: Literal["auto", "cpu", "cuda"] = setting(
        "auto", "where models run; auto: cuda where there is a GPU"
    )
    disk: DiskSettings = setting(DiskSettings(), "room for frames; models and reports do not count")
    reports: ReportsSettings = setting(ReportsSettings(), "how long reports stay")
    database: Annotated[Text | None, Field(repr=False)] = setting(
        None,
        "postgresql://USER:${PASSWORD}@HOST/NAME, which several machines can share; null: SQLite "
        "in data_dir",
        more="PostgreSQL needs `pip install 'culling-pipeline[postgres]'`, and `data_dir` on a "
        "shared disk or `storage`.",
    )
    storage: Annotated[
        StorageSettings,
        BeforeValidator(_url_alone, json_schema_input_type=StorageSettings | str | None),
    ] = setting(
        StorageSettings(), "frames and models, for several machines with disks of their own"
    )
    service: ServiceSettings = setting(ServiceSettings(), "`culling run`")
    groups: dict[str, tuple[Text, ...]] = setting(
        {},
        "cameras that share one student, such as {entrance: [north, south]}; a camera is in one "
        "at most",
        more="One student is trained on the frames and labels of all cameras of a group, and each "
        "camera gets the same version, or none does. They need the same `schedule`, `classes`, "
        "`student`, `teacher` and `training`. `culling plan --groups` proposes groups.",
    )
    cameras: dict[str, CameraConfig] = Field(
        default_factory=dict,
        description="each camera by its name, of a-z, 0-9, _ and -; it names folders",
    )

    @field_validator("database")
    @classmethod
    def _fill_in_secrets(cls, url: str | None, info: ValidationInfo) -> str | None:
        context = info.context or {}
        if url is None or context.get("as_written", False):
            return url
        return fill_in(url, context.get("folder", Path()))

    @property
    def models_root(self) -> Path:
        """The folder of all cameras' model versions."""
        return self.data_dir / "models"

    def day_dir(self, camera: str, day: date) -> Path:
        """The folder of a live camera's day."""
        return self.data_dir / "days" / camera / day.isoformat()

    def frames_dir(self, camera: str, run_id: str) -> Path:
        """The folder of one night's frames."""
        return self.data_dir / "frames" / camera / run_id

    def work_dir(self, camera: str, run_id: str) -> Path:
        """The folder of one night's labels and unfinished work."""
        return self.data_dir / "work" / camera / run_id

    def corrections_dir(self, camera: str) -> Path:
        """The folder of the frames with corrected labels."""
        return self.data_dir / "corrections" / camera

    def earlier_control_dir(self, camera: str) -> Path:
        """Control frames of earlier nights: both students are measured on them as well."""
        return self.replay_dir(camera) / "control"

    def replay_dir(self, camera: str) -> Path:
        """The folder of the earlier nights' frames that are trained on again."""
        return self.data_dir / "replay" / camera

    def views_dir(self, camera: str) -> Path:
        """The folder of a camera's earlier views."""
        return self.data_dir / "views" / camera

    def report_dir(self, camera: str, run_id: str) -> Path:
        """The folder of one night's report."""
        return self.data_dir / "reports" / camera / run_id
