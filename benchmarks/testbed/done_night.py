"""A camera after its first night, made in a moment: frames, labels, record and model by hand."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml

from benchmarks.testbed.small_night import DAY, START, night_record
from culling_pipeline.day.frame_files import frame_name, load_images, write_image
from culling_pipeline.night.files import TEACHER_FILE
from culling_pipeline.records.day import StoredFrame
from culling_pipeline.records.labels import Disagreement
from culling_pipeline.records.night import NightRecord
from jobs.cameras.incumbent import ensure_incumbent
from jobs.cameras.sources import open_camera
from jobs.cameras.task import task_of
from jobs.config.load import load_config
from jobs.config.settings import Config, TaskName
from jobs.database.store import Store
from models.registry import ModelRegistry
from streams.sampler import Sampler

CAMERA = "yard"
CLASSES = ("person", "car", "bicycle")
PLAZA = "builtin:plaza-teacher"
SETTINGS: dict[TaskName, dict[str, Any]] = {
    "boxes": {
        "source": "synthetic://street?seed=5&hours=24&width=160&height=96",
        "classes": list(CLASSES),
        "teacher": {"min_score": 0.3},
    },
    "count": {
        "source": "synthetic://plaza?seed=5&hours=24&width=160&height=96",
        "task": "count",
        "count": {"what": "person", "student": PLAZA, "teacher": PLAZA},
    },
}
"""The camera of each task. Its student knows the scene, so that there is something to measure."""
CONTROL, KEPT = (10, 11, 12), (13, 15, 14)
"""Ids of frames, which are the hours they were taken at."""
MANY, MANY_EVERY_S = tuple(range(13, 73)), 1140.0
"""As many as a sitting has to check, and how far apart they are, so that the day has so many."""


@dataclass(frozen=True)
class AfterNight:
    """Where it lies."""

    path: Path
    config: Config
    record: NightRecord

    @property
    def frames(self) -> Path:
        return self.config.frames_dir(CAMERA, self.record.run_id)

    @property
    def labels(self) -> Path:
        return self.frames / TEACHER_FILE


def make_night(
    folder: Path, *, task: TaskName = "boxes", compared: bool = False, many: bool = False
) -> AfterNight:
    """Six frames of a small street or square, or `many`; what the built-in student finds there is
    the teacher's word. `compared`: but for one the kept frames were drawn at random too, and in
    that one the student had missed two objects."""
    path = folder / "config.yaml"
    content = {
        "data_dir": "data", "device": "cpu", "workers": 1, "cameras": {CAMERA: SETTINGS[task]},
    }  # fmt: skip
    path.write_text(
        yaml.safe_dump(content, default_flow_style=None, sort_keys=False), encoding="utf-8"
    )
    config = load_config(path)
    version = ensure_incumbent(
        ModelRegistry(config.models_root), config.cameras[CAMERA], size=(96, 160), device="cpu"
    )
    record = _record(config, *((MANY, MANY_EVERY_S) if many else (KEPT, 3600.0)))
    if compared:
        record = _compared(record)
    _write_labels(config, record, version)
    with Store(config.data_dir) as store, store.running_night(CAMERA, DAY) as journal:
        store.finish_night(journal.night.id, record)
    return AfterNight(path, config, record)


def _record(config: Config, kept: tuple[int, ...], every_s: float) -> NightRecord:
    record, camera = night_record(CAMERA), config.cameras[CAMERA]
    folder = config.frames_dir(CAMERA, record.run_id)
    folder.mkdir(parents=True)
    rows = []
    with open_camera(camera) as source:
        for number, frame in enumerate(source.frames(Sampler(every_s))):
            if number in (*CONTROL, *kept):
                name = frame_name(number)
                write_image(folder, name, frame.image)
                rows.append(
                    StoredFrame(
                        id=number,
                        path=name,
                        time_s=every_s * number,
                        wall_time=START + timedelta(seconds=every_s * number),
                        part=0,
                        confidence_loss=1.0,
                    )
                )
            if number == max(*CONTROL, *kept):
                break
    ingest = record.ingest.changed(
        frames=tuple(rows), survivors=kept, control=CONTROL, width_px=160, height_px=96
    )
    score = task_of(camera).metric.score(0.5)
    judged = {"before": record.judge.before, "after": record.judge.after}
    return record.changed(
        ingest=ingest,
        cull=record.cull.changed(kept=kept),
        classes=camera.class_names,
        judge=record.judge.changed(**{k: v.changed(score=score) for k, v in judged.items()}),
    )


def _compared(record: NightRecord) -> NightRecord:
    kept = record.cull.kept
    hard = Disagreement(
        frame_id=kept[0], teacher_objects=4, missed=2, invented=0, average_precision=0.5
    )
    return record.changed(
        ingest=record.ingest.changed(random=kept[1:]),
        cull=record.cull.changed(survivors=(hard,)),
        random_train=record.train,
    )


def _write_labels(config: Config, record: NightRecord, version: Path) -> None:
    task, folder = task_of(config.cameras[CAMERA]), config.frames_dir(CAMERA, record.run_id)
    student, frames = task.open_student(version, device="cpu"), record.ingest.frames
    said = student.predict(list(load_images(folder, frames)))
    truths = {
        frame.id: task.truth(found, student.class_names, height_px=96, width_px=160)
        for frame, found in zip(frames, said, strict=True)
    }
    task.save(folder / TEACHER_FILE, truths)
