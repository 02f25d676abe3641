"""Ingest: the student on every sampled frame; survivors, control slice and random frames stay."""

from __future__ import annotations

from datetime import UTC, datetime

from culling_pipeline.day.recording import watch_recording
from culling_pipeline.day.watched_day import WatchedDay
from culling_pipeline.monitoring.daily_figures import day_figures
from culling_pipeline.night.at_work import Night
from culling_pipeline.records.day import IngestRecord
from culling_pipeline.run.workers import PooledModel
from culling_pipeline.stage_names import INGEST
from culling_pipeline.tasks.answers import Answer


def watch_the_day(night: Night) -> IngestRecord:
    """A recording is watched now; a live camera's day was watched as it went by."""
    pool, watched = night.student(night.incumbent), night.parts.watched_day
    day, found = _watched(night, pool) if watched is None else _collected(night, pool, watched)
    figures = day_figures(
        day.frames_of(day.control),
        found,
        night.task,
        day=night.plan.date,
        student=night.incumbent.name,
    )
    night.parts.work.mkdir(parents=True, exist_ok=True, mode=0o700)
    night.task.save(night.answers, found)
    return day.changed(figures=figures)


def _watched(night: Night, pool: PooledModel) -> tuple[IngestRecord, dict[int, Answer]]:
    with night.parts.open_source() as source:
        return watch_recording(
            source,
            pool,
            night.plan.strategy,
            plan=night.plan.ingest,
            folder=night.parts.frames,
            progress=night.parts.progress,
        )


def _collected(
    night: Night, pool: PooledModel, watched: WatchedDay
) -> tuple[IngestRecord, dict[int, Answer]]:
    with night.parts.progress.stage(INGEST.words, None):
        return watched.collect(
            pool,
            night.plan.strategy,
            plan=night.plan.ingest,
            model=night.incumbent.name,
            folder=night.parts.frames,
            until=datetime.now(UTC),
        )
