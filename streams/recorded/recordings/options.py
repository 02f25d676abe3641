"""What to read of a recorder's folder."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from streams.recorded.recordings.layouts import AUTO
from streams.recorded.recordings.listing import Period

HOURS = 25.0
"""A day, also the one that is an hour longer when clocks are set back."""


THREADS = min(4, os.cpu_count() or 1)
"""Segments read at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingsOptions:
    """`layout` is a name of `layouts.NAMES`, `auto` or a pattern; `zone` is what the recorder's
    clock shows (`in_utc` layouts are in UTC whatever it is); `recorder_camera` the camera's name
    there, None where there is but one. Read is from `since` to `until` (by default now), never more
    than the last `hours` of it."""

    layout: str = AUTO
    zone: tzinfo = UTC
    recorder_camera: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    hours: float = HOURS
    threads: int = THREADS
    by_moments: bool = True
    """Whether single frames may be asked for (`FrameSource.frames_at`)."""

    def period(self) -> Period:
        """What is read, as seconds since 1970."""
        until = self.until or datetime.now(UTC)
        since = until - timedelta(hours=self.hours)
        if self.since is not None:
            since = max(since, self.since)
        return Period(since.timestamp(), until.timestamp())
