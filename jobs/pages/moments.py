"""Moments as people read them: by a camera's clock, with the zone named, and how long ago."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo

from culling_pipeline.report.clock import Clock
from jobs.config.local_zone import time_zone
from jobs.config.settings import CameraConfig


def clock_of(camera: CameraConfig | None) -> Clock:
    """A camera's clock; this machine's where the camera has no zone of its own."""
    return Clock.of(time_zone(None if camera is None else camera.time_zone))


def zone_of(camera: CameraConfig | None) -> tuple[tzinfo, str]:
    """A camera's zone and its name; this machine's where the camera has none of its own."""
    clock = clock_of(camera)
    return clock.zone, clock.name


def stamp(moment: datetime, camera: CameraConfig | None = None, *, seconds: bool = False) -> str:
    """Day and time to the minute or second, and the zone's name."""
    return clock_of(camera).stamp(moment, seconds=seconds)


def ago(moment: datetime, now: datetime | None = None) -> str:
    """How long ago, in one unit."""
    seconds = ((now or datetime.now(UTC)) - moment).total_seconds()
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{int(seconds // size)} {unit} ago"
    return f"{max(int(seconds), 0)} s ago"
