"""Rolls a first student out: it is measured on each camera, registered as a version, and put to
work if it is better than the one in use."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from culling_pipeline.judging.verdict import judge
from culling_pipeline.labels.teacher_labels import answers_of
from culling_pipeline.records.scores import Accuracy
from culling_pipeline.run.progress import Progress
from culling_pipeline.run.workers import Workers
from culling_pipeline.stage_names import JUDGE
from culling_pipeline.training.first_student import CameraShare
from jobs.cameras.detectors import described
from jobs.cameras.student_origin import BOOTSTRAP
from jobs.cameras.task import task_of
from jobs.config.settings import CameraConfig
from jobs.nights.bootstrap_inputs import BootstrapInputs
from jobs.nights.plans import night_judging
from jobs.program import code_version
from models.boxes.classes import ClassMap
from models.boxes.detections import Detections
from models.boxes.detector import TorchDetector
from models.boxes.student import fit_to_camera, load_detector
from models.registry import ModelRegistry
from models.versions import ORIGIN_META


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraResult:
    """The first student's accuracy on one camera, `before` that of the trained one in use, if there
    was one. `in_use` says whether it was put to work, `why` in words."""

    camera: str
    version: str
    accuracy: Accuracy
    before: Accuracy | None
    in_use: bool
    why: str


class Rollout:
    """Registers one trained student (`weights`) as version `name` of its cameras."""

    def __init__(
        self,
        inputs: BootstrapInputs,
        registry: ModelRegistry,
        progress: Progress,
        *,
        weights: Path,
        name: str,
    ) -> None:
        self.inputs, self.registry, self.progress = inputs, registry, progress
        self.weights, self.name = weights, name

    def register(self, camera: CameraConfig, share: CameraShare, workers: Workers) -> CameraResult:
        """Register the student as a version of this camera. Put it to work if no trained one is in
        use, or if it measures better."""
        name = self.name
        classes, before = ClassMap.from_config(camera.classes), self.registry.incumbent(camera.name)
        student = fit_to_camera(
            load_detector(self.weights),
            classes,
            height_px=share.size[0],
            width_px=share.size[1],
        )
        if name not in self.registry.versions(camera.name):
            meta = self._meta(student, camera, share, parent=before)
            self.registry.add(camera.name, name, student.model.state_dict(), meta)
        truths = self._truths(share, classes)
        found = self._found(self.registry.path(camera.name, name), camera, share, workers)
        old = None
        if before is not None and before != name and self._is_trained(camera, before, classes):
            old = self._found(self.registry.path(camera.name, before), camera, share, workers)
        verdict = judge(
            task=task_of(camera),
            truths=truths,
            before=found if old is None else old,
            after=found,
            random=None,
            blocks=share.drawn.blocks,
            plan=night_judging(camera),
            costs=(),
        )
        wanted = old is None or verdict.promoted
        if wanted and before != name:
            wanted = self.registry.promote(camera.name, name, instead_of=before)
        return CameraResult(
            camera=camera.name,
            version=name,
            accuracy=verdict.after,
            before=None if old is None else verdict.before,
            in_use=wanted,
            why="there was no trained student" if old is None else verdict.reason,
        )

    def _is_trained(self, camera: CameraConfig, version: str, classes: ClassMap) -> bool:
        if self.registry.untrained(camera.name, version) is not None:
            return False
        return load_detector(self.registry.path(camera.name, version)).class_names == classes.names

    def _truths(self, share: CameraShare, classes: ClassMap) -> list[Detections]:
        labels = [share.truths[frame.id] for frame in share.drawn.control]
        if classes == self.inputs.classes:
            return labels
        return [classes.translate(found, self.inputs.classes.names) for found in labels]

    def _found(
        self, path: Path, camera: CameraConfig, share: CameraShare, workers: Workers
    ) -> list[Detections]:
        opener = task_of(camera).student_opener(path, device=self.inputs.device)
        control = share.drawn.control
        with self.progress.stage(JUDGE.of(camera.name), len(control)) as advance:
            found = answers_of(workers.model(opener), control, share.folder, advance)
        return [found[frame.id] for frame in control]

    def _meta(
        self,
        student: TorchDetector,
        camera: CameraConfig,
        share: CameraShare,
        *,
        parent: str | None,
    ) -> dict[str, Any]:
        return student.meta(
            parent=parent or described(self.inputs.student),
            created_at=datetime.now(UTC).isoformat(),
            settings=camera.fingerprint,
            student=described(self.inputs.student),
            teacher=described(camera.teacher),
            frames={"count": self.inputs.wish.frames},
            full_size=list(share.size),
            scale=1.0,
            code_version=code_version(),
            **{ORIGIN_META: BOOTSTRAP},
        )
