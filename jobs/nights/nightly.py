"""A camera's night, put together: configuration → objects → `culling_pipeline.night.night`."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import torch

from culling_pipeline.day.day import EmptyDayError
from culling_pipeline.day.watched_day import WatchedDay
from culling_pipeline.labels.corrections import load_corrections
from culling_pipeline.labels.teacher_labels import load_detections, save_detections
from culling_pipeline.monitoring.reference_views import ReferenceViews
from culling_pipeline.night.inputs import Journal, NightParts
from culling_pipeline.night.night import exhibits, glimpses, run_night
from culling_pipeline.night.stages import TEACHER_FILE
from culling_pipeline.records import AnyNight, DayFigures, UnusableNight
from culling_pipeline.report.page import render_report
from culling_pipeline.report.unusable import render_unusable
from culling_pipeline.run.progress import Progress
from culling_pipeline.run.workers import BuildDetector
from culling_pipeline.stage_names import START
from culling_pipeline.training.loop import TrainingError
from jobs.bucket.bucket import NIGHT_PATIENCE_S
from jobs.bucket.sharing import open_sharing
from jobs.cameras.detectors import bring_weights, configured_detector, ensure_incumbent, full_size
from jobs.cameras.sources import open_camera
from jobs.cameras.watched_days import date_of_night, watched_day
from jobs.config.settings import CameraConfig, Config
from jobs.database.nights import Night
from jobs.database.store import Store
from jobs.disk.cleanup import tidy_up
from jobs.errors import NightError
from jobs.nights.plans import night_plan, pick_device
from models.boxes.classes import ClassMap
from models.errors import ModelError
from models.registry import ModelRegistry

logger = logging.getLogger(__name__)


def retrain_camera(
    config: Config,
    name: str,
    *,
    store: Store,
    progress: Progress,
    fresh: bool = False,
    today: Callable[[], date] | None = None,
) -> AnyNight:
    """One night for one camera: begun, or taken up again where it was cut off. It is the night of
    the day that `culling ingest` watched, if there is one (`days.py`), else of the recording.

    A night whose lens was moved or covered is done as well (`UnusableNight`). Raises what its
    parts raise; the error is noted in the store and the incumbent stays.
    """
    camera = config.cameras[name]
    torch.set_num_threads(1)
    sharing = open_sharing(config, NIGHT_PATIENCE_S)
    elsewhere = sharing.days_elsewhere(name)
    night_date = today() if today else date_of_night(config, name, store, elsewhere=elsewhere)
    with store.running_night(name, night_date, settings=camera.fingerprint, fresh=fresh) as journal:
        work = config.work_dir(name, journal.night.run_id)
        _clear_other_nights(work)
        registry, shared = sharing.registry(config), sharing.night(journal)
        try:
            shared.begin()
            history = store.history.of(name)
            record = _run(
                config, camera, journal.night, registry, shared.journal, progress, history
            )
            shared.publish(record)
        except (EmptyDayError, TrainingError) as error:
            message = f"camera {name!r}: {error}"
            raise NightError(message) from error
        store.finish_night(journal.night.id, record)
    shutil.rmtree(work)  # not before: a night killed in between could not write its report again
    shared.over(record)
    tidy_up(config, camera, store, registry)
    return record


def _clear_other_nights(work: Path) -> None:
    """Remove what given-up nights of this camera left of their work; nobody can use it."""
    for folder in work.parent.glob("*"):
        if folder.is_dir() and folder != work:
            shutil.rmtree(folder)


def _run(
    config: Config,
    camera: CameraConfig,
    night: Night,
    registry: ModelRegistry,
    journal: Journal,
    progress: Progress,
    history: tuple[DayFigures, ...],
) -> AnyNight:
    day = watched_day(config, camera.name, night.night_date)
    source, height_px, width_px = _look_at(camera, day)
    device = pick_device(config.device)
    size = full_size(height_px, width_px, max_side_px=camera.student.max_side_px)
    registry.clear_debris(camera.name)
    registry.refresh(camera.name)
    if registry.incumbent(camera.name) is None:
        bring_weights(camera.student, progress)
    bring_weights(camera.teacher, progress)
    build_teacher = configured_detector(
        camera.teacher,
        device=device,
        size=full_size(height_px, width_px, max_side_px=camera.teacher.max_side_px),
    )
    if journal.load("label") is None:
        _check_teacher(camera, build_teacher)
    incumbent = _incumbent_of_night(journal, registry, camera, size, device, progress)
    untrained = registry.untrained(camera.name, incumbent.name)
    plan = night_plan(config, camera, night, source=source, size=size, untrained=untrained)
    for note in plan.notes:
        logger.warning("camera %s: %s", camera.name, note)
    parts = NightParts(
        open_source=lambda: open_camera(camera),
        watched_day=day,
        corrections=load_corrections(config.corrections_dir(camera.name)),
        incumbent=incumbent,
        build_teacher=build_teacher,
        registry=registry,
        frames=config.frames_dir(camera.name, night.run_id),
        work=config.work_dir(camera.name, night.run_id),
        journal=journal,
        progress=progress,
        views=ReferenceViews(config.views_dir(camera.name)),
        history=history,
    )
    record = run_night(plan, parts)
    if not isinstance(record, UnusableNight):
        _keep_labels(parts)
    write_report(config, record, parts, student_min_score=camera.student.min_score)
    return record


def _keep_labels(parts: NightParts) -> None:
    """The teacher's labels stay with the frames they are of; the rest of the work goes."""
    save_detections(parts.frames / TEACHER_FILE, load_detections(parts.work / TEACHER_FILE))


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
    journal: Journal,
    registry: ModelRegistry,
    camera: CameraConfig,
    size: tuple[int, int],
    device: str,
    progress: Progress,
) -> Path:
    """The student this night began with: a resumed night must not go on from another one."""
    stored = journal.load(START.key)
    if stored is not None:
        registry.bring(camera.name, stored["incumbent"])
        return registry.path(camera.name, stored["incumbent"])
    folder = ensure_incumbent(registry, camera, size=size, device=device, on_start=progress.note)
    journal.save(START.key, {"incumbent": folder.name})
    return folder


def write_report(
    config: Config, record: AnyNight, parts: NightParts, *, student_min_score: float
) -> Path:
    """The night's page, complete or not at all."""
    folder = config.report_dir(record.camera, record.run_id)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if isinstance(record, UnusableNight):
        page = render_unusable(record, glimpses(record, parts))
    else:
        page = render_report(record, exhibits(record, parts, student_min_score=student_min_score))
    aside = folder / "index.html.tmp"
    try:
        aside.write_text(page, encoding="utf-8")
        return aside.replace(folder / "index.html")
    except OSError:
        aside.unlink(missing_ok=True)
        raise


def _look_at(camera: CameraConfig, day: WatchedDay | None) -> tuple[str, int, int]:
    """The source as it may be shown, and its pictures' height and width in pixels."""
    if day is None:
        with open_camera(camera) as source:
            info = source.info
        return info.location, info.height_px, info.width_px
    shape = day.shape
    if shape is None:
        message = f"camera {camera.name!r}: {day.folder} holds no frame yet"
        raise NightError(message)
    return camera.source_shown, *shape
