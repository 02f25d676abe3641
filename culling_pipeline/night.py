"""One night of one camera, from top to bottom.

    watch the day → teacher labels → precision culling → optResolution → retrain → judge → promote

Every stage is a function from plain records to a plain record. Its record goes to the journal
before the next stage begins, and a night that was killed goes on at the first stage without one.
Everything the night needs is handed in; it opens no store and reads no configuration.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np

from culling_pipeline import ledger
from culling_pipeline.confidence import frame_loss
from culling_pipeline.ingest import IngestPlan, ingest, load_image, load_images
from culling_pipeline.judge import JudgePlan, judge
from culling_pipeline.labels import as_labels, detect, load_detections, save_detections
from culling_pipeline.parallel import BuildDetector, Workers, batched
from culling_pipeline.precision import disagreement
from culling_pipeline.progress import Progress
from culling_pipeline.records import (
    Cost,
    CullRecord,
    EpochPoint,
    IngestRecord,
    JudgeRecord,
    LabelRecord,
    NightRecord,
    Record,
    ResolutionRecord,
    StoredFrame,
    TrainRecord,
)
from culling_pipeline.report import Exhibit
from culling_pipeline.resolution import opt_resolution
from culling_pipeline.selection import Candidates, Strategy
from culling_pipeline.train import Course, Sample, TrainPlan, fine_tune
from models.boxes import Detections, WeightsError
from models.checkpoint import save_checkpoint
from models.classes import ClassMap
from models.detector import TorchDetector, scaled
from models.registry import ModelRegistry
from models.student import load_detector, meta_of
from streams.base import FrameSource

STUDENT_FILE = "student.npz"
TEACHER_FILE = "teacher.npz"
EXHIBITS = 24

_Stage = TypeVar("_Stage", bound=Record)


class Journal(Protocol):
    """Where the stages' results are kept between two tries of a night."""

    def load(self, stage: str) -> dict[str, Any] | None:
        """A stage's result, or None if it has not been finished."""

    def save(self, stage: str, result: dict[str, Any]) -> None:
        """Keep a stage's result; durable when this returns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NightPlan:
    """All settings of a night, as plain values; `jobs` fills them in from the configuration."""

    camera: str
    date: date
    run_id: str
    classes: ClassMap
    strategy_name: str
    strategy: Strategy
    ingest: IngestPlan
    keep: int
    student_min_score: float
    teacher_min_score: float
    teacher_min_side: float
    find_resolution: bool
    resolution_threshold: float
    min_scale: float
    training: TrainPlan
    judging: JudgePlan
    full_size: tuple[int, int]
    workers: int = 1
    device: str = "cpu"
    student_name: str = ""
    teacher_name: str = ""
    code_version: str = ""


@dataclass(frozen=True, slots=True)
class NightParts:
    """What a night works with: where frames come from, the two detectors, and places on disk."""

    open_source: Callable[[], FrameSource]
    incumbent: Path
    build_teacher: BuildDetector
    registry: ModelRegistry
    frames: Path
    work: Path
    journal: Journal
    progress: Progress


def run_night(plan: NightPlan, parts: NightParts) -> NightRecord:
    """One camera's night. Raises what its stages raise; the incumbent then stays in use."""
    started = datetime.now(UTC)
    with Workers(plan.workers) as workers:
        return _run(_Night(plan, parts, workers), started)


def _run(night: _Night, started: datetime) -> NightRecord:
    plan = night.plan
    day = night.stage("ingest", IngestRecord, night.watch_the_day)
    label = night.stage("label", LabelRecord, lambda: night.label(day))
    cull = night.stage("cull", CullRecord, lambda: night.cull(day))
    size = night.stage("resolution", ResolutionRecord, lambda: night.find_resolution(day, cull))
    arms = night.stage("train", _Arms, lambda: night.train(day, cull, size))
    verdict = night.stage("judge", JudgeRecord, lambda: night.judge(day, arms))
    night.stage("promote", _Promotion, lambda: night.promote(verdict, size))
    costs = [c for r in (day, label, size, arms.culled, verdict) for c in r.costs]
    price = ledger.price(costs, frames_seen=day.frames_seen, epochs=plan.training.epochs)
    return NightRecord(
        camera=plan.camera,
        date=plan.date,
        run_id=plan.run_id,
        source=night.location,
        classes=plan.classes.names,
        student=plan.student_name,
        teacher=plan.teacher_name,
        code_version=plan.code_version,
        started_at=started,
        finished_at=datetime.now(UTC),
        ingest=day,
        label=label,
        cull=cull,
        resolution=size,
        train=arms.culled,
        random_train=arms.random,
        judge=verdict,
        version=plan.run_id if verdict.promoted else None,
        cost_ratio=price.ratio,
        full_training_s=price.full_s,
        night_s=price.night_s,
        notes=tuple(night.notes),
    )


@dataclass(frozen=True, slots=True)
class _OpenStudent:
    """Opens a student of ours, in whichever process it is called."""

    path: Path
    device: str

    def __call__(self) -> TorchDetector:
        return load_detector(self.path, device=self.device)


class _Arms(Record):
    """The training runs of a night."""

    culled: TrainRecord
    random: TrainRecord | None


class _Promotion(Record):
    """That the registry has been brought up to date."""

    version: str
    promoted: bool


@dataclass
class _Night:
    """The stages, in the order they run."""

    plan: NightPlan
    parts: NightParts
    workers: Workers
    notes: list[str] = field(default_factory=list)
    location: str = ""

    def stage(self, name: str, kind: type[_Stage], work: Callable[[], _Stage]) -> _Stage:
        """The stage's record: from the journal, or made now and written there."""
        stored = self.parts.journal.load(name)
        if stored is not None:
            return kind.model_validate(stored)
        record = work()
        self.parts.journal.save(name, record.model_dump(mode="json"))
        return record

    # -- the day -------------------------------------------------------------------------------

    def watch_the_day(self) -> IngestRecord:
        """Student on every sampled frame; survivors, control slice and random frames stay."""
        pool = self.workers.detector(_OpenStudent(self.parts.incumbent, self.plan.device))
        with self.parts.open_source() as source:
            record, found = ingest(
                source,
                pool,
                self.plan.strategy,
                plan=self.plan.ingest,
                n_classes=len(self.plan.classes.names),
                folder=self.parts.frames,
                progress=self.parts.progress,
            )
        self.parts.work.mkdir(parents=True, exist_ok=True, mode=0o700)
        save_detections(self.parts.work / STUDENT_FILE, found)
        return record

    def label(self, day: IngestRecord) -> LabelRecord:
        """The teacher on what survived, on the control slice, and on the random frames."""
        groups = {"teacher: survivors": day.survivors, "teacher: control slice": day.control}
        if self._compares(day):
            groups["teacher: random frames"] = self._random_frames(day)
        labels: dict[int, Detections] = {}
        costs: list[Cost] = []
        total = sum(len(ids) for ids in groups.values())
        pool = self.workers.detector(self.parts.build_teacher)
        with self.parts.progress.stage("asking the teacher", total) as advance:
            names = pool.class_names
            for stage, ids in groups.items():
                todo = [i for i in ids if i not in labels]
                advance(len(ids) - len(todo))
                before = (pool.images, pool.seconds)
                found = detect(pool, _frames(day, todo), self.parts.frames, advance)
                labels |= as_labels(
                    found,
                    self.plan.classes,
                    names,
                    height_px=day.height_px,
                    width_px=day.width_px,
                    min_score=self.plan.teacher_min_score,
                    min_side=self.plan.teacher_min_side,
                )
                images, seconds = pool.images - before[0], pool.seconds - before[1]
                costs.append(self._cost(stage, images, seconds))
        save_detections(self.parts.work / TEACHER_FILE, labels)
        objects = sum(len(d) for d in labels.values())
        return LabelRecord(labelled=len(labels), objects=objects, costs=tuple(costs))

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
            _frames(day, day.survivors), n_parts=self.plan.ingest.parts
        )
        rng = np.random.default_rng([self.plan.ingest.seed, 41])
        return CullRecord(
            strategy=self.plan.strategy_name,
            kept=self.plan.strategy.keep(candidates, disagreements, self.plan.keep, rng),
            survivors=tuple(disagreements),
            teacher_calls=len(day.survivors),
        )

    def find_resolution(self, day: IngestRecord, cull: CullRecord) -> ResolutionRecord:
        """optResolution on the kept set (sec. 2.2)."""
        plan = self.plan
        if not plan.find_resolution:
            return ResolutionRecord(
                scale=1.0,
                height_px=plan.full_size[0],
                width_px=plan.full_size[1],
                threshold=plan.resolution_threshold,
                points=(),
                student_passes=0,
                costs=(),
            )
        student = load_detector(self.parts.incumbent, device=plan.device)
        frames = _frames(day, cull.kept)
        began = time.perf_counter()
        with self.parts.progress.stage("finding the smallest size", None) as advance:

            def losses_at(scale: float, positions: Sequence[int]) -> np.ndarray:
                sized = student.at_size(*scaled(*plan.full_size, scale))
                images = load_images(self.parts.frames, [frames[p] for p in positions])
                found = [d for batch in batched(images, 8) for d in sized.predict(batch)]
                advance(len(found))
                confidence = plan.ingest.confidence
                return np.array(
                    [
                        frame_loss(
                            d, min_score=confidence.min_score, q=confidence.q, b=confidence.b
                        )
                        for d in found
                    ]
                )

            search = opt_resolution(
                losses_at,
                len(frames),
                threshold=plan.resolution_threshold,
                min_scale=plan.min_scale,
            )
        cost = self._cost("resolution", search.student_passes, time.perf_counter() - began)
        return ResolutionRecord(
            scale=search.scale,
            height_px=plan.full_size[0],
            width_px=plan.full_size[1],
            threshold=plan.resolution_threshold,
            points=search.points,
            student_passes=search.student_passes,
            costs=(cost,),
        )

    # -- retraining ----------------------------------------------------------------------------

    def train(self, day: IngestRecord, cull: CullRecord, size: ResolutionRecord) -> _Arms:
        """The candidate on the kept set and, beside it, a second one on random frames."""
        plan = self.plan
        random: Future[TrainRecord] | None = None
        if self._compares(day):
            job = self._job("random", _frames(day, self._random_frames(day)), size)
            random = self.workers.beside(run_training, job)
        with self.parts.progress.stage("retraining the student", plan.training.epochs) as advance:
            culled = run_training(
                self._job("culled", _frames(day, cull.kept), size), lambda _: advance(1)
            )
        if random is None:
            return _Arms(culled=culled, random=None)
        with self.parts.progress.stage("the same on random frames", None):
            return _Arms(culled=culled, random=random.result())

    def _job(self, arm: str, frames: Sequence[StoredFrame], size: ResolutionRecord) -> TrainJob:
        return TrainJob(
            arm=arm,
            start=self.parts.incumbent,
            size=scaled(*self.plan.full_size, size.scale),
            frames=tuple(frames),
            folder=self.parts.frames,
            labels=self.parts.work / TEACHER_FILE,
            out=self._candidate(arm),
            plan=self.plan.training,
            device=self.plan.device,
        )

    def _candidate(self, arm: str) -> Path:
        return self.parts.work / f"{arm}.safetensors"

    # -- what it was worth ---------------------------------------------------------------------

    def judge(self, day: IngestRecord, arms: _Arms) -> JudgeRecord:
        """Old and new student on the control slice, which nobody trained on."""
        frames = _frames(day, day.control)
        labels = load_detections(self.parts.work / TEACHER_FILE)
        before = load_detections(self.parts.work / STUDENT_FILE)
        models = ["culled"] if arms.random is None else ["culled", "random"]
        found, costs = {}, []
        with self.parts.progress.stage("judging", len(models) * len(frames)) as advance:
            for arm in models:
                pool = self.workers.detector(_OpenStudent(self._candidate(arm), self.plan.device))
                found[arm] = detect(pool, frames, self.parts.frames, advance)
                stage = "judging" if arm == "culled" else "judging: random frames"
                costs.append(self._cost(stage, pool.images, pool.seconds))
        return judge(
            truths=[labels[i] for i in day.control],
            before=[before[i] for i in day.control],
            after=[found["culled"][i] for i in day.control],
            random=None if arms.random is None else [found["random"][i] for i in day.control],
            blocks=day.control_blocks,
            class_names=self.plan.classes.names,
            plan=self.plan.judging,
            costs=tuple(costs),
        )

    def promote(self, verdict: JudgeRecord, size: ResolutionRecord) -> _Promotion:
        """Keep the candidate as a version; put it to work if it measured better."""
        plan, registry = self.plan, self.parts.registry
        if registry.incumbent(plan.camera) != plan.run_id:  # else: killed just after promotion
            candidate = load_detector(self._candidate("culled"))
            meta = meta_of(
                candidate,
                parent=self.parts.incumbent.name,
                full_size=list(plan.full_size),
                scale=size.scale,
                map50=verdict.after.map50,
                code_version=plan.code_version,
            )
            registry.add(plan.camera, plan.run_id, candidate.model.state_dict(), meta)
            if verdict.promoted:
                registry.promote(plan.camera, plan.run_id)
        return _Promotion(version=plan.run_id, promoted=verdict.promoted)

    # -- small things --------------------------------------------------------------------------

    def _compares(self, day: IngestRecord) -> bool:
        return self.plan.judging.compare_random and bool(day.random)

    def _random_frames(self, day: IngestRecord) -> tuple[int, ...]:
        return day.random[: self.plan.keep]

    def _cost(self, stage: str, images: int, seconds: float) -> Cost:
        return Cost(stage=stage, images=images, seconds=seconds, device=self.plan.device)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainJob:
    """One training run as something another process can be given."""

    arm: str
    start: Path
    size: tuple[int, int]
    frames: tuple[StoredFrame, ...]
    folder: Path
    labels: Path
    out: Path
    plan: TrainPlan
    device: str


def run_training(
    job: TrainJob, on_epoch: Callable[[EpochPoint], None] | None = None
) -> TrainRecord:
    """Train a copy of the incumbent on the job's frames and write it to `job.out`."""
    labels = load_detections(job.labels)
    samples = [Sample(load_image(job.folder, f), labels[f.id]) for f in job.frames]
    detector = load_detector(job.start, device=job.device).at_size(*job.size)
    course: Course = fine_tune(detector, samples, job.plan, on_epoch=on_epoch)
    save_candidate(job.out, detector)
    stage = "training" if job.arm == "culled" else "training: random frames"
    cost = Cost(stage=stage, images=course.images, seconds=course.seconds, device=job.device)
    return TrainRecord(
        arm="culled" if job.arm == "culled" else "random",
        schedule=job.plan.schedule,
        images=len(samples),
        epochs=course.epochs,
        computation=course.computation,
        seed=job.plan.seed,
        costs=(cost,),
    )


def save_candidate(path: Path, detector: TorchDetector) -> None:
    """Write a trained student beside the night's other results.

    A disk's error leaves as itself: a cause is lost on the way out of another process, and with
    it the word that the disk is full.
    """
    try:
        save_checkpoint(path, detector.model.state_dict(), meta_of(detector))
    except WeightsError as error:
        if isinstance(error.__cause__, OSError):
            raise OSError(error.__cause__.errno, str(error), str(path)) from error
        raise


def exhibits(record: NightRecord, parts: NightParts, *, student_min_score: float) -> list[Exhibit]:
    """The hardest kept frames with both detectors' boxes, for the report."""
    student = load_detections(parts.work / STUDENT_FILE)
    teacher = load_detections(parts.work / TEACHER_FILE)
    by_id = {d.frame_id: d for d in record.cull.survivors}
    return [
        Exhibit(
            image=load_image(parts.frames, frame),
            frame=frame,
            disagreement=by_id[frame.id],
            student=student[frame.id].above(student_min_score),
            teacher=teacher[frame.id],
        )
        for frame in _frames(record.ingest, record.cull.kept[:EXHIBITS])
    ]


def _frames(day: IngestRecord, ids: Sequence[int]) -> list[StoredFrame]:
    by_id = {frame.id: frame for frame in day.frames}
    return [by_id[i] for i in ids]
