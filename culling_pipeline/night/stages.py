"""The stages of a night, each from the records before it to its own, in the order they run.

`night.py` says when each runs and keeps its record; what a stage does in detail is in the module
it calls.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Literal, Self

import numpy as np

from culling_pipeline.culling.candidates import Candidates
from culling_pipeline.culling.resolution import Search, opt_resolution, smallest_scale_for
from culling_pipeline.day.frame_files import load_images
from culling_pipeline.day.recording import ingest
from culling_pipeline.day.watched_day import WatchedDay
from culling_pipeline.judging.verdict import judge
from culling_pipeline.labels.teacher_labels import (
    as_labels,
    detect,
    load_detections,
    save_detections,
)
from culling_pipeline.monitoring.background import background_of
from culling_pipeline.monitoring.daily_figures import day_figures
from culling_pipeline.night.inputs import NightParts, NightPlan
from culling_pipeline.night.lineage import lineage
from culling_pipeline.records import (
    Activity,
    ArmsRecord,
    Cost,
    CullRecord,
    DayFigures,
    IngestRecord,
    JudgeRecord,
    LabelRecord,
    PromotionRecord,
    Purpose,
    ResolutionRecord,
    StoredFrame,
    TrainRecord,
    ViewRecord,
)
from culling_pipeline.run.workers import PooledDetector, Workers, batched_images
from culling_pipeline.stage_names import (
    CONTROL_SLICE,
    INGEST,
    JUDGE,
    LABEL,
    RANDOM_FRAMES,
    RESOLUTION,
    SURVIVORS,
    TRAIN,
    VIEW,
)
from culling_pipeline.tasks.boxes.disagreement import disagreement
from culling_pipeline.training.job import Arm, TrainJob, run_training
from models.base import backend_of, device_of
from models.boxes.backend import Backend, at_work
from models.boxes.detections import Detections
from models.boxes.detector import TorchDetector
from models.boxes.lean.detector import LeanDetector
from models.boxes.student import load_detector, meta_of
from models.boxes.zones import IgnoringDetector, OpenIgnoring
from models.images import scaled

STUDENT_FILE = "student.npz"
"""What the student said of the stored frames, in the night's work folder …"""
TEACHER_FILE = "teacher.npz"
"""… and the teacher's labels."""


@dataclass(frozen=True, slots=True)
class OpenStudent:
    """Opens a student of ours, in whichever process it is called."""

    path: Path
    device: str
    backend: Backend = "auto"

    def __call__(self) -> TorchDetector | LeanDetector:
        return at_work(load_detector(self.path, device=self.device), self.backend)


@dataclass(frozen=True, slots=True)
class Stages:
    """The stages of one night."""

    plan: NightPlan
    parts: NightParts
    workers: Workers

    # -- the day -------------------------------------------------------------------------------

    def watch_the_day(self) -> IngestRecord:
        """Student on every sampled frame; survivors, control slice and random frames stay."""
        pool = self._student(self.parts.incumbent)
        stored = self.parts.watched_day
        record, found = self._watched(pool) if stored is None else self._collected(pool, stored)
        figures = self._figures(record, found, student=self.parts.incumbent.name)
        record = record.model_copy(update={"figures": figures})
        self.parts.work.mkdir(parents=True, exist_ok=True, mode=0o700)
        save_detections(self.parts.work / STUDENT_FILE, found)
        return record

    def _watched(self, pool: PooledDetector) -> tuple[IngestRecord, dict[int, Detections]]:
        """A recording, now."""
        with self.parts.open_source() as source:
            return ingest(
                source,
                pool,
                self.plan.strategy,
                plan=self.plan.ingest,
                n_classes=len(self.plan.classes.names),
                folder=self.parts.frames,
                progress=self.parts.progress,
            )

    def _collected(
        self, pool: PooledDetector, stored: WatchedDay
    ) -> tuple[IngestRecord, dict[int, Detections]]:
        """A live camera's day, which was watched as it went by."""
        with self.parts.progress.stage(INGEST.words, None):
            return stored.collect(
                pool,
                self.plan.strategy,
                plan=self.plan.ingest,
                n_classes=len(self.plan.classes.names),
                model=self.parts.incumbent.name,
                folder=self.parts.frames,
                until=datetime.now(UTC),
            )

    def _figures(
        self, day: IngestRecord, found: Mapping[int, Detections], *, student: str
    ) -> DayFigures:
        """What a student's detections make of the control slice (`drift.py`)."""
        return day_figures(
            frames_of(day, day.control),
            found,
            day=self.plan.date,
            student=student,
            n_classes=len(self.plan.classes.names),
            confidence=self.plan.ingest.confidence,
        )

    def _student(self, path: Path) -> PooledDetector:
        """A student at work in all processes; what it finds in the ignore zones does not count."""
        return self.workers.detector(OpenIgnoring(self._opener(path), self.plan.zones))

    def _opener(self, path: Path) -> OpenStudent:
        return OpenStudent(path, self.plan.device, self.plan.student_backend)

    def look_at_the_view(self, day: IngestRecord) -> ViewRecord:
        """Whether the camera still looks where it did (`viewpoint.py`), by its control frames."""
        with self.parts.progress.stage(VIEW.words, None):
            frames = frames_of(day, day.control)
            return self.parts.views.judge(
                background_of(self.parts.frames, frames, day=self.plan.date)
            )

    def label(self, day: IngestRecord) -> LabelRecord:
        """The teacher on what survived, on the control slice, and on the random frames."""
        groups: list[tuple[str, Purpose, Sequence[int]]] = [
            (SURVIVORS, "own", day.survivors),
            (CONTROL_SLICE, "control", day.control),
        ]
        if self._compares(day):
            groups.append((RANDOM_FRAMES, "comparison", self._random_frames(day)))
        labels: dict[int, Detections] = {}
        costs: list[Cost] = []
        total = sum(len(ids) for _, _, ids in groups)
        pool = self.workers.detector(OpenIgnoring(self.parts.build_teacher, self.plan.zones))
        with self.parts.progress.stage(LABEL.words, total) as advance:
            names = pool.class_names
            for part, purpose, ids in groups:
                todo = [i for i in ids if i not in labels]
                advance(len(ids) - len(todo))
                before = _Spent.by(pool)
                found = detect(pool, frames_of(day, todo), self.parts.frames, advance)
                labels |= as_labels(
                    found,
                    self.plan.classes,
                    names,
                    height_px=day.height_px,
                    width_px=day.width_px,
                    min_score=self.plan.teacher_min_score,
                    min_side=self.plan.teacher_min_side,
                )
                spent = _Spent.by(pool, since=before)
                costs.append(spent.cost(LABEL.of(part), "label", purpose))
        corrected = self.parts.corrections.labels_of(
            frames_of(day, list(labels)), self.plan.classes.names, self.plan.zones
        )
        labels |= corrected
        save_detections(self.parts.work / TEACHER_FILE, labels)
        return LabelRecord(
            labelled=len(labels),
            objects=sum(len(d) for d in labels.values()),
            corrected=len(corrected),
            costs=tuple(costs),
        )

    # -- what to keep, at which size -----------------------------------------------------------

    def cull(self, day: IngestRecord) -> CullRecord:
        """Precision culling: student against teacher on the survivors (sec. 2.1)."""
        student = load_detections(self.parts.work / STUDENT_FILE)
        teacher = load_detections(self.parts.work / TEACHER_FILE)
        disagreements = [
            disagreement(
                i,
                student[i],
                teacher[i],
                n_classes=len(self.plan.classes.names),
                student_min_score=self.plan.student_min_score,
            )
            for i in day.survivors
        ]
        candidates = Candidates.from_frames(
            frames_of(day, day.survivors), n_parts=self.plan.ingest.parts
        )
        rng = np.random.default_rng([self.plan.ingest.seed, 41])
        return CullRecord(
            strategy=self.plan.strategy_name,
            kept=self.plan.strategy.kept_set(candidates, disagreements, self.plan.keep, rng),
            survivors=tuple(disagreements),
            teacher_calls=len(day.survivors),
        )

    def find_resolution(self, day: IngestRecord, cull: CullRecord) -> ResolutionRecord:
        """optResolution on the kept set (sec. 2.2)."""
        plan = self.plan
        search, allowed = Search(1.0, (), 0), None
        costs: tuple[Cost, ...] = ()
        if plan.find_resolution:
            labels = load_detections(self.parts.work / TEACHER_FILE)
            allowed = smallest_scale_for(
                [labels[i] for i in cull.kept],
                shrink=plan.full_size[0] / day.height_px,
                min_object_px=plan.min_object_px,
            )
            search, costs = self._search(frames_of(day, cull.kept), max(plan.min_scale, allowed))
        return ResolutionRecord(
            scale=search.scale,
            height_px=plan.full_size[0],
            width_px=plan.full_size[1],
            threshold=plan.resolution_threshold,
            points=search.points,
            student_passes=search.student_passes,
            costs=costs,
            objects_allow=allowed,
        )

    def _search(
        self, frames: Sequence[StoredFrame], min_scale: float
    ) -> tuple[Search, tuple[Cost, ...]]:
        """Which scale L_conf allows, and what it took to ask; nothing where it has no say."""
        plan, began = self.plan, time.perf_counter()
        student = cache(self._opener(self.parts.incumbent))
        with self.parts.progress.stage(RESOLUTION.words, None) as advance:

            def losses_at(scale: float, positions: Sequence[int]) -> np.ndarray:
                sized = student().at_size(*scaled(*plan.full_size, scale))
                images = load_images(self.parts.frames, [frames[p] for p in positions])
                looking = IgnoringDetector(sized, plan.zones)
                found = [d for batch in batched_images(images, 8) for d in looking.predict(batch)]
                advance(len(found))
                return np.array([plan.ingest.confidence.loss_of(d) for d in found])

            search = opt_resolution(
                losses_at, len(frames), threshold=plan.resolution_threshold, min_scale=min_scale
            )
        if not search.student_passes:
            return search, ()
        detector, seconds = student(), time.perf_counter() - began
        spent = _Spent(search.student_passes, seconds, device_of(detector), backend_of(detector))
        return search, (spent.cost(RESOLUTION.words, "look", "own"),)

    # -- retraining ----------------------------------------------------------------------------

    def train(self, day: IngestRecord, cull: CullRecord, size: ResolutionRecord) -> ArmsRecord:
        """The candidate on the kept set and, beside it, a second one on random frames."""
        plan = self.plan
        random: Future[TrainRecord] | None = None
        if self._compares(day):
            job = self._job("random", day, self._random_frames(day), size, others=())
            random = self.workers.beside(run_training, job)
        with self.parts.progress.stage(TRAIN.words, plan.training.epochs) as advance:
            kept = set(cull.kept)
            others = [i for i in day.survivors if i not in kept]
            job = self._job("culled", day, cull.kept, size, others=others)
            culled = run_training(job, lambda _: advance(1))
        if random is None:
            return ArmsRecord(culled=culled, random=None)
        with self.parts.progress.stage(TRAIN.of(RANDOM_FRAMES), None):
            return ArmsRecord(culled=culled, random=random.result())

    def _job(
        self,
        arm: Literal["culled", "random"],
        day: IngestRecord,
        ids: Sequence[int],
        size: ResolutionRecord,
        *,
        others: Sequence[int],
    ) -> TrainJob:
        plan, corrections, frames = self.plan, self.parts.corrections, frames_of(day, ids)
        corrected = corrections.to_train_on(
            plan.classes.names,
            beside=frames,
            control=frames_of(day, day.control),
            gap_s=plan.ingest.control.block_s,
            most=plan.corrected_frames,
        )
        return TrainJob(
            arm=arm,
            start=self.parts.incumbent,
            size=scaled(*self.plan.full_size, size.scale),
            frames=tuple(frames),
            others=tuple(frames_of(day, others)),
            folder=self.parts.frames,
            labels=self.parts.work / TEACHER_FILE,
            out=self._candidate(arm),
            plan=self.plan.training,
            device=self.plan.device,
            zones=self.plan.zones,
            corrected=corrected,
            corrections=corrections.folder,
        )

    def _candidate(self, arm: str) -> Path:
        return self.parts.work / f"{arm}.safetensors"

    # -- what it was worth ---------------------------------------------------------------------

    def judge(self, day: IngestRecord, arms: ArmsRecord) -> JudgeRecord:
        """Old and new student on the control slice, which nobody trained on."""
        frames = frames_of(day, day.control)
        labels = load_detections(self.parts.work / TEACHER_FILE)
        before = load_detections(self.parts.work / STUDENT_FILE)
        models: list[Arm] = ["culled"] if arms.random is None else ["culled", "random"]
        found, costs = {}, []
        with self.parts.progress.stage(JUDGE.words, len(models) * len(frames)) as advance:
            for arm in models:
                pool = self._student(self._candidate(arm))
                found[arm] = detect(pool, frames, self.parts.frames, advance)
                costs.append(_Spent.by(pool).judging(arm))
        verdict = judge(
            truths=[labels[i] for i in day.control],
            before=[before[i] for i in day.control],
            after=[found["culled"][i] for i in day.control],
            random=None if arms.random is None else [found["random"][i] for i in day.control],
            blocks=day.control_blocks,
            class_names=self.plan.classes.names,
            plan=self.plan.judging,
            costs=tuple(costs),
        )
        figures = self._figures(day, found["culled"], student=self.plan.run_id)
        return verdict.model_copy(update={"figures": figures})

    def promote(
        self,
        day: IngestRecord,
        label: LabelRecord,
        cull: CullRecord,
        size: ResolutionRecord,
        arms: ArmsRecord,
        verdict: JudgeRecord,
    ) -> PromotionRecord:
        """Keep the candidate as a version; put it to work if it measured better, unless another
        model has been put to work by hand since the night began."""
        plan, registry, parent = self.plan, self.parts.registry, self.parts.incumbent.name
        if registry.incumbent(plan.camera) == plan.run_id:  # killed just after promotion
            return PromotionRecord(version=plan.run_id, promoted=True)
        candidate = load_detector(self._candidate("culled"))
        origin = lineage(
            plan, parent, day=day, label=label, cull=cull, size=size, arms=arms, verdict=verdict
        )
        meta = meta_of(candidate, **origin)
        registry.add(plan.camera, plan.run_id, candidate.model.state_dict(), meta)
        promoted = verdict.promoted and registry.promote(
            plan.camera, plan.run_id, instead_of=parent
        )
        return PromotionRecord(version=plan.run_id, promoted=promoted)

    # -- small things --------------------------------------------------------------------------

    def _compares(self, day: IngestRecord) -> bool:
        return self.plan.judging.compare_random and bool(day.random)

    def _random_frames(self, day: IngestRecord) -> tuple[int, ...]:
        return day.random[: self.plan.keep]


@dataclass(frozen=True, slots=True)
class _Spent:
    """What a detector has done and what it took, for the ledger."""

    images: int
    seconds: float
    device: str
    backend: str

    @classmethod
    def by(cls, pool: PooledDetector, *, since: Self | None = None) -> Self:
        """All that a pool has done, or what came after `since`."""
        images, seconds = (0, 0.0) if since is None else (since.images, since.seconds)
        return cls(pool.images - images, pool.seconds - seconds, pool.device, pool.backend)

    def cost(self, stage: str, activity: Activity, purpose: Purpose) -> Cost:
        """The line of the ledger."""
        return Cost(stage=stage, activity=activity, purpose=purpose, **asdict(self))

    def judging(self, arm: Arm) -> Cost:
        """The line of having measured one of the night's students."""
        if arm == "random":
            return self.cost(JUDGE.of(RANDOM_FRAMES), "measure", "comparison")
        return self.cost(JUDGE.words, "measure", "control")


def frames_of(day: IngestRecord, ids: Sequence[int]) -> list[StoredFrame]:
    by_id = {frame.id: frame for frame in day.frames}
    return [by_id[i] for i in ids]
