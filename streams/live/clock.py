"""The clock that live sources use, and one for tests that only moves when it is set."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Seconds that never jump, for durations; and the time of day, in UTC."""

    def monotonic(self) -> float: ...

    def now(self) -> datetime: ...


class SystemClock:
    """The machine's own."""

    def monotonic(self) -> float:
        return time.monotonic()

    def now(self) -> datetime:
        return datetime.now(UTC)


class FakeClock:
    """Starts at 0 s and 2026-01-05T00:00:00Z."""

    def __init__(self) -> None:
        self._seconds = 0.0
        self._midnight = datetime(2026, 1, 5, tzinfo=UTC)

    def monotonic(self) -> float:
        return self._seconds

    def now(self) -> datetime:
        return self._midnight + timedelta(seconds=self._seconds)

    def advance(self, seconds: float) -> None:
        self._seconds += seconds
