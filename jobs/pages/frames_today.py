"""How much of a camera's day has been seen: of a live camera today's frames against those that were
to come, of a recorder what it has recorded."""

from __future__ import annotations

from datetime import UTC, datetime

from culling_pipeline.day.daybook import DayClock
from culling_pipeline.records.night import NightRecord
from culling_pipeline.report import words
from jobs.cameras.watched_days import watched_days
from jobs.config.load import RECORDINGS
from jobs.config.settings import CameraConfig
from jobs.database.connection import StoreError
from jobs.database.nights import Night
from jobs.pages.house import House


def frames_of_today(house: House, camera: CameraConfig, now: datetime | None = None) -> str | None:
    """Today's frames of a camera that this process watches, and of how many since midnight; on its
    first day, since its first frame. None for other cameras."""
    watch = house.watch()
    feed = None if watch is None else watch.feeds.get(camera.name)
    if feed is None:
        return None
    now = now or datetime.now(UTC)
    clock, writer = DayClock.of(now), feed.day
    first = None if writer is None else writer.first
    if writer is None and feed.tally.paused:
        return "no frame is stored now"
    if writer is None or first is None or writer.clock.day != clock.day:
        return "no frame today"
    earlier = any(day < clock.day for day in watched_days(house.config, camera.name))
    since = clock.midnight if earlier else first
    seen = writer.day.count
    expected = max(seen, round((now - since).total_seconds() * camera.fps))
    of = f"{words.count(seen)} of {words.count(expected, 'frame')} today"
    return f"{of} ({words.percent(seen / expected)})"


def coverage_of(house: House, camera: str, night: Night) -> str | None:
    """What a night says of how much its recorder has recorded; None for other cameras."""
    if not house.config.cameras[camera].source.startswith(RECORDINGS):
        return None
    try:
        record = house.store.record(night.id)
    except StoreError:
        return None
    notes = record.notes if isinstance(record, NightRecord) else ()
    return next((note.rstrip(".") for note in notes if "of the time recorded" in note), None)
