"""What a first student is taught: frames drawn evenly from each camera, labelled by the teacher."""

from __future__ import annotations

from pathlib import Path

from culling_pipeline.day.even_sample import EvenSample, draw_days, draw_recording
from culling_pipeline.labels.teacher_labels import (
    as_labels,
    detect,
    load_detections,
    save_detections,
)
from culling_pipeline.run.progress import Progress
from culling_pipeline.run.workers import Workers
from culling_pipeline.stage_names import LABEL
from culling_pipeline.training.first_student import Lesson
from jobs.cameras.day_plan import ingest_plan
from jobs.cameras.detectors import full_size
from jobs.cameras.sources import open_camera
from jobs.config.settings import CameraConfig
from jobs.nights.bootstrap_inputs import BootstrapInputs
from models.boxes.detections import Detections
from models.boxes.zones import OpenIgnoring
from models.zones import Zones

_DRAWN, _LABELS = "drawn.json", "teacher.npz"


class LessonMaker:
    """Makes each camera's lesson in `folder`, and takes up what lies there already."""

    def __init__(self, inputs: BootstrapInputs, progress: Progress, folder: Path) -> None:
        self.inputs, self.progress, self.folder = inputs, progress, folder

    def lesson(self, camera: CameraConfig, workers: Workers) -> Lesson:
        """A camera's frames with the teacher's labels."""
        folder = self.folder / camera.name
        drawn = self._drawn(camera, folder)
        path = folder / _LABELS
        if not path.is_file():
            save_detections(path, self._labelled(camera, drawn, folder, workers))
        return Lesson(
            drawn=drawn,
            folder=folder / "frames",
            labels=load_detections(path),
            size=full_size(drawn.height_px, drawn.width_px, max_side_px=camera.student.max_side_px),
            zones=Zones(camera.ignore_zones),
        )

    def _drawn(self, camera: CameraConfig, folder: Path) -> EvenSample:
        path = folder / _DRAWN
        if path.is_file():
            return EvenSample.model_validate_json(path.read_text(encoding="utf-8"))
        plan, frames = ingest_plan(camera), folder / "frames"
        days = self.inputs.days(camera)
        if days:
            n_classes = len(camera.classes)
            drawn = draw_days(days, plan, self.inputs.per_camera, frames, n_classes=n_classes)
        else:
            with open_camera(camera) as source:
                drawn = draw_recording(source, plan, self.inputs.per_camera, frames, self.progress)
        path.write_text(drawn.model_dump_json(), encoding="utf-8")
        return drawn

    def _labelled(
        self, camera: CameraConfig, drawn: EvenSample, folder: Path, workers: Workers
    ) -> dict[int, Detections]:
        opener = OpenIgnoring(
            self.inputs.teacher(camera, (drawn.height_px, drawn.width_px)),
            Zones(camera.ignore_zones),
        )
        pool = workers.detector(opener)
        name = LABEL.of(camera.name)
        with self.progress.stage(name, len(drawn.frames)) as advance:
            found = detect(pool, drawn.frames, folder / "frames", advance)
            return as_labels(
                found,
                self.inputs.classes,
                pool.class_names,
                height_px=drawn.height_px,
                width_px=drawn.width_px,
                min_score=camera.teacher.min_score,
                min_side=camera.teacher.min_side_share,
            )
