"""A camera's night, put together: configuration → objects → `culling_pipeline.night.night`."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import torch

from culling_pipeline.day.day import EmptyDayError
from culling_pipeline.day.watched_day import WatchedDay
from culling_pipeline.labels.corrections import load_corrections
from culling_pipeline.labels.replay import ReplayStore
from culling_pipeline.monitoring.reference_views import ReferenceViews
from culling_pipeline.night.inputs import Journal, NightParts, NightPlan
from culling_pipeline.night.night import run_night
from culling_pipeline.records.night import AnyNight, NightRecord
from culling_pipeline.run.progress import Progress
from culling_pipeline.training.loop import TrainingError
from jobs.bucket.bucket import NIGHT_PATIENCE_S
from jobs.bucket.sharing import open_sharing
from jobs.cameras.detectors import full_size
from jobs.cameras.incumbent import ensure_incumbent
from jobs.cameras.nets import nets_of
from jobs.cameras.sources import Period, open_camera, period_of
from jobs.cameras.watched_days import date_of_night, watched_day
from jobs.config.settings import CameraConfig, Config
from jobs.database.nights import Night
from jobs.database.store import Store
from jobs.disk.cleanup import tidy_up
from jobs.errors import NightError
from jobs.nights.experience import LAST
from jobs.nights.plans import night_plan
from jobs.nights.tonights_budget import Known, SeenDay, tonights_budget
from models.registry import ModelRegistry


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
        clear_other_nights(work)
        registry, shared = sharing.registry(config), sharing.night(journal)
        try:
            shared.begin()
            done = store.nights(name, state="done", limit=LAST)
            known = Known(store.history.of(name), tuple(done), store.last_record(name))
            inputs = night_inputs(config, journal.night, registry, shared.journal, progress, known)
            record = run_night(*inputs)
            shared.publish(record)
        except (EmptyDayError, TrainingError) as error:
            message = f"camera {name!r}: {error}"
            raise NightError(message) from error
        journal.finish(record)
    shutil.rmtree(work)  # not before: a night killed in between could not write its report again
    shared.over(record)
    tidy_up(config, camera, store, registry)
    return record


def clear_other_nights(work: Path) -> None:
    """Remove what given-up nights of this camera left of their work; nobody can use it."""
    for folder in work.parent.glob("*"):
        if folder.is_dir() and folder != work:
            shutil.rmtree(folder)


def night_inputs(
    config: Config,
    night: Night,
    registry: ModelRegistry,
    journal: Journal,
    progress: Progress,
    known: Known,
) -> tuple[NightPlan, NightParts]:
    """A night's plan and its working parts; weights that are not here are downloaded."""
    camera = config.cameras[night.camera]
    day = watched_day(config, camera.name, night.night_date)
    period = period_of(night, list(known.nights))
    seen = _look_at(camera, day, period)
    _make_ready(camera, registry, progress)
    replay = replay_store(config, camera, seen)
    known = known._replace(earlier=len(replay.usable(night.night_date)))
    budget = tonights_budget(config, camera, seen, journal=journal, known=known, progress=progress)
    plan = night_plan(
        config,
        camera,
        night,
        source=seen.source,
        size=full_size(*seen.shape, max_side_px=camera.student.max_side_px),
        budget=budget,
    )
    plan = replace(plan, ingest=replace(plan.ingest, trained=trained_on(known.last)))
    if seen.coverage:
        plan = replace(plan, notes=(*plan.notes, seen.coverage))
    parts = NightParts(
        open_source=lambda: open_camera(camera, period=period),
        watched_day=day,
        start=lambda: (
            ensure_incumbent(
                registry, camera, size=plan.full_size, device=plan.device, on_start=progress.note
            ).name
        ),
        open_teacher=nets_of(camera).open_teacher(seen.shape, device=plan.device),
        registry=registry,
        frames=config.frames_dir(camera.name, night.run_id),
        work=config.work_dir(camera.name, night.run_id),
        report=config.report_dir(camera.name, night.run_id),
        journal=journal,
        progress=progress,
        views=ReferenceViews(config.views_dir(camera.name)),
        replay=replay,
        earlier_control=_control_store(config, camera, replay),
        history=known.history,
        corrections=load_corrections(config.corrections_dir(camera.name)),
    )
    return plan, parts


def trained_on(last: NightRecord | None) -> tuple[datetime, ...]:
    """When the frames were taken that a night has trained on."""
    if last is None:
        return ()
    return tuple(frame.wall_time for frame in last.ingest.frames_of(last.cull.kept))


def replay_store(config: Config, camera: CameraConfig, seen: SeenDay) -> ReplayStore:
    """The camera's frames of earlier nights, if it trains on any again."""
    training = camera.training
    return ReplayStore(
        config.replay_dir(camera.name),
        most=training.replay_frames if training.replay else 0,
        kind=camera.kind_of_labels(seen.height_px, seen.width_px),
    )


def _control_store(config: Config, camera: CameraConfig, replay: ReplayStore) -> ReplayStore:
    """The camera's control frames of earlier nights, of the same kind of labels."""
    folder, most = config.earlier_control_dir(camera.name), camera.judging.earlier_frames
    return replace(replay, folder=folder, most=most)


def _make_ready(camera: CameraConfig, registry: ModelRegistry, progress: Progress) -> None:
    """The camera's models here: what others have added, and the weights to begin with."""
    registry.clear_debris(camera.name)
    registry.refresh(camera.name)
    nets_of(camera).bring(progress, student=registry.incumbent(camera.name) is None)


def _look_at(camera: CameraConfig, day: WatchedDay | None, period: Period) -> SeenDay:
    """The source as it may be shown, and what is known of the day's pictures."""
    if day is None:
        with open_camera(camera, period=period) as source:
            info, coverage = source.info, source.coverage
            frames = source.expected(camera.sample_interval_s)
        return SeenDay(
            info.location,
            info.height_px,
            info.width_px,
            frames,
            watched=False,
            coverage=coverage,
        )
    shape = day.shape
    if shape is None:
        message = f"camera {camera.name!r}: {day.folder} holds no frame yet"
        raise NightError(message)
    frames = math.ceil(day.clock.duration_s / camera.sample_interval_s)
    return SeenDay(camera.source_shown, *shape, frames, watched=True)
