"""`culling bootstrap`: configuration → a first student for cameras that have none yet.

    draw evenly → teacher labels → train → measure on each camera → put to work where it is better

What each step leaves lies in DATA/bootstrap/KEY until all is done, so that the same command goes on
where it was cut off; a training that was cut off begins again. No version is replaced or removed.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from culling_pipeline.day.day import EmptyDayError
from culling_pipeline.day.even_sample import EvenSample, draw_days, draw_recording
from culling_pipeline.day.watched_day import WatchedDay
from culling_pipeline.judging.verdict import judge
from culling_pipeline.labels.teacher_labels import (
    as_labels,
    detect,
    load_detections,
    save_detections,
)
from culling_pipeline.night.stages import OpenStudent
from culling_pipeline.records import Accuracy
from culling_pipeline.run.progress import Progress
from culling_pipeline.run.workers import Workers
from culling_pipeline.stage_names import FIRST_STUDENT, JUDGE, LABEL, TRAIN
from culling_pipeline.training.first_student import Lesson, first_plan, train_first_student
from culling_pipeline.training.loop import TrainingError
from jobs.bucket.sharing import open_registry
from jobs.cameras.day_plan import ingest_plan
from jobs.cameras.detectors import (
    OpenDetector,
    bring_weights,
    configured_detector,
    described,
    full_size,
)
from jobs.cameras.sources import open_camera
from jobs.cameras.student_origin import BOOTSTRAP
from jobs.cameras.watched_days import watched_day, watched_days
from jobs.config.settings import CameraConfig, Config
from jobs.config.weights import UNTRAINED, StudentSettings
from jobs.errors import NightError, UsageError
from jobs.nights.alike import check_alike, shared_classes
from jobs.nights.plans import code_version, night_judging, pick_device
from models.boxes.classes import ClassMap
from models.boxes.detections import Detections
from models.boxes.detector import TorchDetector
from models.boxes.student import fit_to_camera, load_detector, meta_of
from models.boxes.zones import OpenIgnoring
from models.checkpoint import load_checkpoint, save_checkpoint
from models.registry import ORIGIN_META
from models.zones import Zones

BACKBONE = "pretrained:resnet18-imagenet"
_TRAINED, _DRAWN, _LABELS, _PLAN = "first.safetensors", "drawn.json", "teacher.npz", "plan.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What was asked for: `frames` to train on, of all cameras together."""

    frames: int = 400
    epochs: int = 24
    from_scratch: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraResult:
    """How the first student measured on one camera, against the one in use if there was a trained
    one; `in_use` says whether it was put to work, `why` in words."""

    camera: str
    version: str
    accuracy: Accuracy
    before: Accuracy | None
    in_use: bool
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bootstrapped:
    """The first student: its weights, how many objects of each class it was shown, each camera."""

    weights: Path
    objects: dict[str, int]
    cameras: tuple[CameraResult, ...]


class Bootstrap:
    """One first student, step by step. `open` objects are made when first needed."""

    def __init__(
        self, config: Config, names: Sequence[str], wish: Wish, progress: Progress
    ) -> None:
        self.config, self.wish, self.progress = config, wish, progress
        self.cameras = [config.cameras[name] for name in names]
        check_alike(self.cameras)
        self.device = pick_device(config.device)
        self.registry = open_registry(config, names, may_lag=False)
        self.folder = config.data_dir / "bootstrap" / self._key()

    def _key(self) -> str:
        asked = [sorted(c.fingerprint for c in self.cameras), repr(self.wish)]
        return hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:12]

    @property
    def per_camera(self) -> int:
        """Frames of each camera to train on."""
        return -(-self.wish.frames // len(self.cameras))

    @property
    def student(self) -> StudentSettings:
        """The net to begin with: a backbone, or random numbers with `--from-scratch`."""
        settings = self.cameras[0].student
        if self.wish.from_scratch:
            return settings.model_copy(update={"weights": UNTRAINED})
        if settings.published is not None and settings.published.is_backbone:
            return settings
        return settings.model_copy(update={"weights": BACKBONE})

    @property
    def processes(self) -> int:
        """So many ask the teacher at a time."""
        return 1 if self.device == "cuda" else self.config.workers

    def bring(self) -> None:
        """Download what has to be."""
        bring_weights(self.cameras[0].teacher, self.progress)
        bring_weights(self.student, self.progress)

    @cached_property
    def classes(self) -> ClassMap:
        """What the first student is to find."""
        names = configured_detector(self.cameras[0].teacher, device=self.device)().class_names
        return shared_classes(self.cameras, names)

    def start(self) -> TorchDetector:
        """The untrained net."""
        opener = configured_detector(self.student, device=self.device)
        known = opener.torch_detector()
        side_px = self.student.max_side_px
        return fit_to_camera(known, self.classes, height_px=side_px, width_px=side_px)

    def teacher(self, camera: CameraConfig, shape: tuple[int, int]) -> OpenDetector:
        """How to open the teacher for pictures of this height and width."""
        size = full_size(*shape, max_side_px=camera.teacher.max_side_px)
        return configured_detector(camera.teacher, device=self.device, size=size)

    # -- the steps -----------------------------------------------------------------------------

    def run(self) -> Bootstrapped:
        """All steps that are not done yet. Raises what its parts raise; nothing is lost then."""
        torch.set_num_threads(1)
        with self._alone():
            return self._run(self._name())

    def _run(self, name: str) -> Bootstrapped:
        try:
            with Workers(self.processes) as workers:
                lessons = {c.name: self._lesson(c, workers) for c in self.cameras}
                self._train(list(lessons.values()))
                results = tuple(
                    self._register(camera, lessons[camera.name], name, workers)
                    for camera in self.cameras
                )
        except (EmptyDayError, TrainingError) as error:
            message = f"bootstrap: {error}"
            raise NightError(message) from error
        weights = self._keep(name)
        shutil.rmtree(self.folder)
        return Bootstrapped(
            weights=weights, objects=self._objects(lessons.values()), cameras=results
        )

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One process at a time makes this student; a killed one holds no lock."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self.folder / ".lock").open("wb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                message = "another `culling bootstrap` of these cameras is running: wait for it"
                raise UsageError(message) from error
            yield

    def _name(self) -> str:
        """The version's name, the same when the command goes on where it was cut off."""
        path = self.folder / _PLAN
        if not path.is_file():
            taken = {v for c in self.cameras for v in self.registry.all_versions(c.name)}
            taken |= {file.stem for file in self.folder.parent.glob("*.safetensors")}
            first = name = f"{BOOTSTRAP}-{datetime.now(UTC).date()}"
            number = 1
            while name in taken:
                number += 1
                name = f"{first}.{number}"
            path.write_text(json.dumps({"name": name}), encoding="utf-8")
        return str(json.loads(path.read_text(encoding="utf-8"))["name"])

    def _lesson(self, camera: CameraConfig, workers: Workers) -> Lesson:
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
        days = self.days(camera)
        if days:
            n_classes = len(camera.classes)
            drawn = draw_days(days, plan, self.per_camera, frames, n_classes=n_classes)
        else:
            with open_camera(camera) as source:
                drawn = draw_recording(source, plan, self.per_camera, frames, self.progress)
        path.write_text(drawn.model_dump_json(), encoding="utf-8")
        return drawn

    def days(self, camera: CameraConfig) -> list[WatchedDay]:
        """What `culling ingest` has watched of this camera; empty for a recording."""
        dates = watched_days(self.config, camera.name)
        days = [watched_day(self.config, camera.name, date) for date in dates]
        return [day for day in days if day is not None]

    def _labelled(
        self, camera: CameraConfig, drawn: EvenSample, folder: Path, workers: Workers
    ) -> dict[int, Detections]:
        opener = OpenIgnoring(
            self.teacher(camera, (drawn.height_px, drawn.width_px)), Zones(camera.ignore_zones)
        )
        pool = workers.detector(opener)
        with self.progress.stage(LABEL.of(camera.name), len(drawn.frames)) as advance:
            found = detect(pool, drawn.frames, folder / "frames", advance)
            return as_labels(
                found,
                self.classes,
                pool.class_names,
                height_px=drawn.height_px,
                width_px=drawn.width_px,
                min_score=camera.teacher.min_score,
                min_side=camera.teacher.min_side_share,
            )

    def _train(self, lessons: Sequence[Lesson]) -> None:
        if (self.folder / _TRAINED).with_suffix(".json").is_file():
            return
        objects = self._objects(lessons)
        if not any(objects.values()):
            message = (
                "bootstrap: the teacher found none of "
                f"{', '.join(objects)} in {sum(len(x.drawn.train) for x in lessons)} frames: "
                "nothing can be learned; draw more (--frames), or see whether the classes are right"
            )
            raise NightError(message)
        plan = first_plan(
            epochs=self.wish.epochs,
            from_scratch=self.wish.from_scratch,
            seed=self.cameras[0].training.seed,
        )
        with self.progress.stage(TRAIN.of(FIRST_STUDENT), plan.epochs) as advance:
            train_first_student(
                self.folder / _TRAINED, self.start(), lessons, plan, on_epoch=lambda _: advance(1)
            )

    def _objects(self, lessons: Any) -> dict[str, int]:
        """How many objects of each class the student was shown."""
        counts = dict.fromkeys(self.classes.names, 0)
        for lesson in lessons:
            for frame in lesson.drawn.train:
                for label in lesson.labels[frame.id].labels.tolist():
                    counts[self.classes.names[label]] += 1
        return counts

    # -- what it is worth on each camera -------------------------------------------------------

    def _register(
        self, camera: CameraConfig, lesson: Lesson, name: str, workers: Workers
    ) -> CameraResult:
        """Keep it as a version; put it to work where there is no trained one, or a worse one."""
        classes, before = ClassMap.from_config(camera.classes), self.registry.incumbent(camera.name)
        student = fit_to_camera(
            load_detector(self.folder / _TRAINED),
            classes,
            height_px=lesson.size[0],
            width_px=lesson.size[1],
        )
        if name not in self.registry.versions(camera.name):
            meta = self._meta(student, camera, lesson, parent=before)
            self.registry.add(camera.name, name, student.model.state_dict(), meta)
        truths = self._truths(lesson, classes)
        found = self._found(self.registry.path(camera.name, name), camera, lesson, workers)
        old = None
        if before is not None and before != name and self._is_trained(camera, before, classes):
            old = self._found(self.registry.path(camera.name, before), camera, lesson, workers)
        verdict = judge(
            truths=truths,
            before=found if old is None else old,
            after=found,
            random=None,
            blocks=lesson.drawn.blocks,
            class_names=classes.names,
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

    def _truths(self, lesson: Lesson, classes: ClassMap) -> list[Detections]:
        labels = [lesson.labels[frame.id] for frame in lesson.drawn.control]
        if classes == self.classes:
            return labels
        return [classes.translate(found, self.classes.names) for found in labels]

    def _found(
        self, path: Path, camera: CameraConfig, lesson: Lesson, workers: Workers
    ) -> list[Detections]:
        opener = OpenIgnoring(OpenStudent(path, self.device, camera.student.backend), lesson.zones)
        control = lesson.drawn.control
        with self.progress.stage(JUDGE.of(camera.name), len(control)) as advance:
            found = detect(workers.detector(opener), control, lesson.folder, advance)
        return [found[frame.id] for frame in control]

    def _meta(
        self, student: TorchDetector, camera: CameraConfig, lesson: Lesson, *, parent: str | None
    ) -> dict[str, Any]:
        return meta_of(
            student,
            parent=parent or described(self.student),
            created_at=datetime.now(UTC).isoformat(),
            settings=camera.fingerprint,
            student=described(self.student),
            teacher=described(camera.teacher),
            frames={"count": self.wish.frames},
            full_size=list(lesson.size),
            scale=1.0,
            code_version=code_version(),
            **{ORIGIN_META: BOOTSTRAP},
        )

    def _keep(self, name: str) -> Path:
        """The weights as a file that other cameras can begin with."""
        state, meta = load_checkpoint(self.folder / _TRAINED)
        path = self.folder.parent / f"{name}.safetensors"
        more = {
            ORIGIN_META: BOOTSTRAP,
            "cameras": [camera.name for camera in self.cameras],
            "created_at": datetime.now(UTC).isoformat(),
            "code_version": code_version(),
        }
        save_checkpoint(path, state, {**meta, **more})
        return path
