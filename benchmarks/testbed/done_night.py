"""A camera after its first night, made in a moment: frames, labels, record and model by hand."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from benchmarks.testbed.small_night import DAY, START, night_record
from culling_pipeline.day.frame_files import frame_name, load_images, write_image
from culling_pipeline.night.files import TEACHER_FILE
from culling_pipeline.records.day import StoredFrame
from culling_pipeline.records.labels import Disagreement
from culling_pipeline.records.night import NightRecord
from culling_pipeline.tasks.boxes.answer_files import save_detections
from jobs.cameras.incumbent import ensure_incumbent
from jobs.config.load import load_config
from jobs.config.settings import Config
from jobs.database.store import Store
from models.boxes.detections import Detections
from models.boxes.student import load_detector
from models.registry import ModelRegistry
from streams.sampler import Sampler
from streams.synthetic.source import SyntheticCamera

CAMERA = "yard"
CLASSES = ("person", "car", "bicycle")
SOURCE = "synthetic://street?seed=5&hours=24&width=160&height=96"
CONTROL, KEPT = (10, 11, 12), (13, 15, 14)
"""Ids of frames, which are the hours they were taken at."""


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


def make_night(folder: Path, *, compared: bool = False) -> AfterNight:
    """Six frames of a small street; what the built-in student finds there is the teacher's word,
    so that there is something to measure. `compared`: two of the kept frames were drawn at random
    too, and in the third the student had missed two objects."""
    path = folder / "config.yaml"
    path.write_text(
        f"data_dir: data\ndevice: cpu\nworkers: 1\ncameras:\n  {CAMERA}:\n"
        f"    source: {SOURCE}\n    classes: [{', '.join(CLASSES)}]\n",
        encoding="utf-8",
    )
    config = load_config(path)
    version = ensure_incumbent(
        ModelRegistry(config.models_root), config.cameras[CAMERA], size=(96, 160), device="cpu"
    )
    record = _record(config)
    if compared:
        record = _compared(record)
    frames = config.frames_dir(CAMERA, record.run_id)
    save_detections(frames / TEACHER_FILE, _labels(version, frames, record))
    with Store(config.data_dir) as store, store.running_night(CAMERA, DAY) as journal:
        store.finish_night(journal.night.id, record)
    return AfterNight(path, config, record)


def _record(config: Config) -> NightRecord:
    record = night_record(CAMERA)
    folder = config.frames_dir(CAMERA, record.run_id)
    folder.mkdir(parents=True)
    rows = []
    with SyntheticCamera.from_url(SOURCE, camera=CAMERA) as source:
        for hour, frame in enumerate(source.frames(Sampler(3600))):
            if hour in (*CONTROL, *KEPT):
                name = frame_name(hour)
                write_image(folder, name, frame.image)
                rows.append(
                    StoredFrame(
                        id=hour,
                        path=name,
                        time_s=3600.0 * hour,
                        wall_time=START + timedelta(hours=hour),
                        part=0,
                        confidence_loss=1.0,
                    )
                )
            if hour == max(*CONTROL, *KEPT):
                break
    ingest = record.ingest.model_copy(
        update={
            "frames": tuple(rows),
            "survivors": KEPT,
            "control": CONTROL,
            "width_px": 160,
            "height_px": 96,
        }
    )
    cull = record.cull.model_copy(update={"kept": KEPT})
    return record.model_copy(update={"ingest": ingest, "cull": cull, "classes": CLASSES})


def _compared(record: NightRecord) -> NightRecord:
    hard = Disagreement(
        frame_id=KEPT[0], teacher_objects=4, missed=2, invented=0, average_precision=0.5
    )
    return record.changed(
        ingest=record.ingest.changed(random=KEPT[1:]),
        cull=record.cull.changed(survivors=(hard,)),
        random_train=record.train,
    )


def _labels(version: Path, frames: Path, record: NightRecord) -> dict[int, Detections]:
    student = load_detector(version)
    stored = record.ingest.frames
    found = student.predict(list(load_images(frames, stored)))
    return {frame.id: d.above(0.3) for frame, d in zip(stored, found, strict=True)}
