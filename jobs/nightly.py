"""A camera's night, put together: configuration → objects → `culling_pipeline.night`."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, date, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from culling_pipeline.control import ControlPlan
from culling_pipeline.gate import GatePlan
from culling_pipeline.ingest import ConfidencePlan, EmptyDayError, IngestPlan
from culling_pipeline.judge import JudgePlan
from culling_pipeline.night import exhibits, run_night
from culling_pipeline.parallel import BuildDetector
from culling_pipeline.plan import NightParts, NightPlan
from culling_pipeline.progress import Progress
from culling_pipeline.records import NightRecord
from culling_pipeline.report import render_report
from culling_pipeline.strategies import STRATEGIES
from culling_pipeline.train import TrainingError
from jobs.detectors import configured_detector, described, ensure_incumbent, full_size
from jobs.errors import NightError, UsageError
from jobs.settings import CameraConfig, Config
from jobs.store import Night, NightJournal, Store
from models.boxes import ModelError
from models.classes import ClassMap
from models.registry import ModelRegistry
from streams.base import FrameSource, SourceInfo
from streams.open import open_source


def retrain_camera(
    config: Config,
    name: str,
    *,
    store: Store,
    progress: Progress,
    fresh: bool = False,
    today: Callable[[], date] = lambda: datetime.now(UTC).date(),
) -> NightRecord:
    """One night for one camera: begun, or taken up again where it was cut off.

    Raises what its parts raise; the error is noted in the store and the incumbent stays.
    """
    camera = config.cameras[name]
    torch.set_num_threads(1)
    with store.running_night(name, today(), settings=camera.fingerprint, fresh=fresh) as journal:
        work = config.work_dir(name, journal.night.run_id)
        _clear_other_nights(work)
        try:
            record = _run(config, camera, journal, progress)
        except (EmptyDayError, TrainingError) as error:
            message = f"camera {name!r}: {error}"
            raise NightError(message) from error
        store.finish_night(journal.night.id, record)
    shutil.rmtree(work)  # not before: a night killed in between could not write its report again
    return record


def _clear_other_nights(work: Path) -> None:
    """Remove what given-up nights of this camera left of their work; nobody can use it."""
    for folder in work.parent.glob("*"):
        if folder.is_dir() and folder != work:
            shutil.rmtree(folder)


def _run(
    config: Config, camera: CameraConfig, journal: NightJournal, progress: Progress
) -> NightRecord:
    night = journal.night
    info = _probe(camera)
    device = pick_device(config.device)
    size = full_size(info.height_px, info.width_px, max_side_px=camera.student.max_side_px)
    registry = ModelRegistry(config.models_root)
    registry.clear_debris(camera.name)
    plan = night_plan(config, camera, night, source=info.location, size=size)
    build_teacher = configured_detector(
        camera.teacher,
        device=device,
        size=full_size(info.height_px, info.width_px, max_side_px=camera.teacher.max_side_px),
    )
    if journal.load("label") is None:
        _check_teacher(camera, build_teacher)
    parts = NightParts(
        open_source=lambda: _open(camera),
        incumbent=_incumbent_of_night(journal, registry, camera, size, device, progress),
        build_teacher=build_teacher,
        registry=registry,
        frames=config.frames_dir(camera.name, night.run_id),
        work=config.work_dir(camera.name, night.run_id),
        journal=journal,
        progress=progress,
    )
    record = run_night(plan, parts)
    write_report(config, record, parts, student_min_score=camera.student.min_score)
    return record


def _check_teacher(camera: CameraConfig, build_teacher: BuildDetector) -> None:
    """Open the teacher once before the day is watched: it is not asked before the day is over,
    too late to learn that its weights are damaged or that it does not know a class."""
    names = build_teacher().class_names
    try:
        ClassMap.from_config(camera.classes).check(names)
    except ModelError as error:
        message = f"camera {camera.name!r}: teacher {camera.teacher.weights}: {error}"
        raise ModelError(message) from error


def _incumbent_of_night(
    journal: NightJournal,
    registry: ModelRegistry,
    camera: CameraConfig,
    size: tuple[int, int],
    device: str,
    progress: Progress,
) -> Path:
    """The student this night began with: a resumed night must not go on from another one."""
    stored = journal.load("start")
    if stored is not None:
        return registry.path(camera.name, stored["incumbent"])
    folder = ensure_incumbent(registry, camera, size=size, device=device, on_start=progress.note)
    journal.save("start", {"incumbent": folder.name})
    return folder


def night_plan(
    config: Config,
    camera: CameraConfig,
    night: Night,
    *,
    source: str,
    size: tuple[int, int],
) -> NightPlan:
    """The camera's settings as the science takes them."""
    culling, training, judging = camera.culling, camera.training, camera.judging
    confidence, control = culling.confidence, culling.control
    strategy = STRATEGIES[culling.strategy]
    return NightPlan(
        camera=camera.name,
        source=source,
        date=night.night_date,
        run_id=night.run_id,
        classes=ClassMap.from_config(camera.classes),
        strategy_name=culling.strategy,
        strategy=strategy,
        ingest=IngestPlan(
            interval_s=camera.sample_interval_s,
            survivors=culling.survivors if strategy.uses_teacher else culling.keep,
            random=culling.keep,
            parts=culling.parts,
            control=ControlPlan(
                frames=control.frames,
                share=control.share,
                block_s=control.block_s,
                placement=control.placement,
            ),
            confidence=ConfidencePlan(**confidence.model_dump()),
            gate=GatePlan(**culling.gate.model_dump(), min_score=camera.student.min_score),
            seed=training.seed,
        ),
        keep=culling.keep,
        student_min_score=camera.student.min_score,
        teacher_min_score=camera.teacher.min_score,
        teacher_min_side=camera.teacher.min_side_share,
        find_resolution=camera.resolution.enabled,
        resolution_threshold=camera.resolution.threshold,
        min_scale=camera.resolution.min_scale,
        training=training.to_plan(),
        judging=JudgePlan(
            compare_random=judging.compare_random and culling.strategy != "random",
            min_gain=judging.min_gain,
            seed=training.seed,
        ),
        full_size=size,
        workers=1 if pick_device(config.device) == "cuda" else config.workers,
        device=pick_device(config.device),
        student_name=described(camera.student),
        teacher_name=described(camera.teacher),
        code_version=code_version(),
    )


def write_report(
    config: Config, record: NightRecord, parts: NightParts, *, student_min_score: float
) -> Path:
    """The night's page, complete or not at all."""
    folder = config.report_dir(record.camera, record.run_id)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    page = render_report(record, exhibits(record, parts, student_min_score=student_min_score))
    aside = folder / "index.html.tmp"
    try:
        aside.write_text(page, encoding="utf-8")
        return aside.replace(folder / "index.html")
    except OSError:
        aside.unlink(missing_ok=True)
        raise


def pick_device(wanted: str) -> str:
    """`auto` takes a GPU where there is one; asking for one that is not there is an error."""
    has_cuda = torch.cuda.is_available()
    if wanted == "cuda" and not has_cuda:
        message = "device: cuda is asked for, but torch finds no GPU: use auto or cpu"
        raise UsageError(message)
    return "cuda" if has_cuda and wanted != "cpu" else "cpu"


def code_version() -> str:
    """The installed version of this program."""
    try:
        return version("culling-pipeline")
    except PackageNotFoundError:
        return "unknown"


def _open(camera: CameraConfig) -> FrameSource:
    return open_source(camera.source, camera=camera.name)


def _probe(camera: CameraConfig) -> SourceInfo:
    with _open(camera) as source:
        return source.info
