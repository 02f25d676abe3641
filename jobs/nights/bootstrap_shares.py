"""What a first student is taught: frames drawn evenly from each camera, labelled by the teacher."""

from __future__ import annotations

from pathlib import Path

from culling_pipeline.day.even_sample import EvenSample, draw_days, draw_recording
from culling_pipeline.labels.teacher_labels import answers_of, truths_of
from culling_pipeline.run.progress import Progress
from culling_pipeline.run.workers import Workers
from culling_pipeline.stage_names import LABEL
from culling_pipeline.tasks.answers import Truth
from culling_pipeline.training.first_student import CameraShare
from jobs.cameras.day_plan import ingest_plan
from jobs.cameras.detectors import full_size
from jobs.cameras.sources import open_camera
from jobs.cameras.task import task_of
from jobs.config.settings import CameraConfig
from jobs.nights.bootstrap_inputs import BootstrapInputs
from models.zones import Zones

_DRAWN, _LABELS = "drawn.json", "teacher.npz"


class ShareMaker:
    """Makes each camera's share in `folder`; what is there already is reused."""

    def __init__(self, inputs: BootstrapInputs, progress: Progress, folder: Path) -> None:
        self.inputs, self.progress, self.folder = inputs, progress, folder

    def share(self, camera: CameraConfig, workers: Workers) -> CameraShare:
        """A camera's frames with the teacher's labels."""
        folder = self.folder / camera.name
        drawn = self._drawn(camera, folder)
        path = folder / _LABELS
        if not path.is_file():
            self.inputs.task.save(path, self._labelled(camera, drawn, folder, workers))
        return CameraShare(
            drawn=drawn,
            folder=folder / "frames",
            truths=self.inputs.task.load(path),
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
            drawn = draw_days(days, plan, self.inputs.per_camera, frames)
        else:
            with open_camera(camera) as source:
                drawn = draw_recording(source, plan, self.inputs.per_camera, frames, self.progress)
        path.write_text(drawn.model_dump_json(), encoding="utf-8")
        return drawn

    def _labelled(
        self, camera: CameraConfig, drawn: EvenSample, folder: Path, workers: Workers
    ) -> dict[int, Truth]:
        task = task_of(camera, self.inputs.classes)
        teacher = self.inputs.teacher(camera, (drawn.height_px, drawn.width_px))
        pool = workers.model(task.teacher_opener(teacher))
        with self.progress.stage(LABEL.of(camera.name), len(drawn.frames)) as advance:
            said = answers_of(pool, drawn.frames, folder / "frames", advance)
        return truths_of(
            said, task, pool.class_names, height_px=drawn.height_px, width_px=drawn.width_px
        )
