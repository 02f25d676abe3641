"""`culling bootstrap`: configuration → a first student for cameras that have none yet.

    draw evenly → teacher labels → train → measure on each camera → put to work where it is better

Each step leaves its result in DATA/bootstrap/KEY until all are done. The same command goes on where
it was cut off; a training that was cut off begins again. No version is replaced or removed.
"""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import torch

from culling_pipeline.day.day import EmptyDayError
from culling_pipeline.run.progress import Progress
from culling_pipeline.run.workers import Workers
from culling_pipeline.stage_names import FIRST_STUDENT, TRAIN
from culling_pipeline.training.first_student import CameraShare, first_plan, train_first_student
from culling_pipeline.training.loop import TrainingError
from jobs.bucket.sharing import open_registry
from jobs.cameras.student_origin import BOOTSTRAP
from jobs.errors import NightError, UsageError
from jobs.nights.bootstrap_inputs import BootstrapInputs
from jobs.nights.bootstrap_rollout import CameraResult, Rollout
from jobs.nights.bootstrap_shares import ShareMaker
from jobs.program import code_version
from models.checkpoint import load_checkpoint, save_checkpoint
from models.versions import ORIGIN_META

_TRAINED, _PLAN = "first.safetensors", "plan.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bootstrapped:
    """The first student: its weights, how many objects of each class it was trained on, and its
    cameras."""

    weights: Path
    objects: dict[str, int]
    cameras: tuple[CameraResult, ...]


class Bootstrap:
    """Makes one first student, step by step."""

    def __init__(self, inputs: BootstrapInputs, progress: Progress) -> None:
        self.inputs, self.progress = inputs, progress
        names = [camera.name for camera in inputs.cameras]
        self.registry = open_registry(inputs.config, names, may_lag=False)
        self.folder = inputs.config.data_dir / "bootstrap" / inputs.key

    def run(self) -> Bootstrapped:
        """Run all steps that are not done yet. Raises what its parts raise; finished steps are
        kept."""
        torch.set_num_threads(1)
        with self._alone():
            return self._run(self._name())

    def _run(self, name: str) -> Bootstrapped:
        try:
            with Workers(self.inputs.processes) as workers:
                maker = ShareMaker(self.inputs, self.progress, self.folder)
                shares = {c.name: maker.share(c, workers) for c in self.inputs.cameras}
                self._train(list(shares.values()))
                rollout = Rollout(
                    self.inputs,
                    self.registry,
                    self.progress,
                    weights=self.folder / _TRAINED,
                    name=name,
                )
                results = tuple(
                    rollout.register(camera, shares[camera.name], workers)
                    for camera in self.inputs.cameras
                )
        except (EmptyDayError, TrainingError) as error:
            message = f"bootstrap: {error}"
            raise NightError(message) from error
        weights = self._keep(name)
        shutil.rmtree(self.folder)
        return Bootstrapped(
            weights=weights, objects=self._objects(shares.values()), cameras=results
        )

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Only one process at a time makes this student; a killed one holds no lock."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self.folder / ".lock").open("wb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                message = "another `culling bootstrap` of these cameras is running: wait for it"
                raise UsageError(message) from error
            yield

    def _name(self) -> str:
        """The version's name; the same if the command resumes."""
        path = self.folder / _PLAN
        if not path.is_file():
            taken = {v for c in self.inputs.cameras for v in self.registry.all_versions(c.name)}
            taken |= {file.stem for file in self.folder.parent.glob("*.safetensors")}
            first = name = f"{BOOTSTRAP}-{datetime.now(UTC).date()}"
            number = 1
            while name in taken:
                number += 1
                name = f"{first}.{number}"
            path.write_text(json.dumps({"name": name}), encoding="utf-8")
        return str(json.loads(path.read_text(encoding="utf-8"))["name"])

    def _train(self, shares: Sequence[CameraShare]) -> None:
        if (self.folder / _TRAINED).with_suffix(".json").is_file():
            return
        objects = self._objects(shares)
        if not any(objects.values()):
            message = (
                "bootstrap: the teacher found none of "
                f"{', '.join(objects)} in {sum(len(x.drawn.train) for x in shares)} frames: "
                "nothing can be learned; draw more (--frames), or see whether the classes are right"
            )
            raise NightError(message)
        plan = first_plan(
            epochs=self.inputs.wish.epochs,
            from_scratch=self.inputs.wish.from_scratch,
            seed=self.inputs.cameras[0].training.seed,
        )
        with self.progress.stage(TRAIN.of(FIRST_STUDENT), plan.epochs) as advance:
            train_first_student(
                self.folder / _TRAINED,
                self.inputs.start(),
                self.inputs.task,
                shares,
                plan,
                on_epoch=lambda _: advance(1),
            )

    def _objects(self, shares: Iterable[CameraShare]) -> dict[str, int]:
        """How many objects of each class the student was trained on."""
        counts = dict.fromkeys(self.inputs.classes.names, 0)
        for share in shares:
            for frame in share.drawn.train:
                for label in share.truths[frame.id].labels.tolist():
                    counts[self.inputs.classes.names[label]] += 1
        return counts

    def _keep(self, name: str) -> Path:
        """Save the weights as a file that other cameras can start from."""
        state, meta = load_checkpoint(self.folder / _TRAINED)
        path = self.folder.parent / f"{name}.safetensors"
        more = {
            ORIGIN_META: BOOTSTRAP,
            "cameras": [camera.name for camera in self.inputs.cameras],
            "created_at": datetime.now(UTC).isoformat(),
            "code_version": code_version(),
        }
        save_checkpoint(path, state, {**meta, **more})
        return path
