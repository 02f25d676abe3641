"""When nights may begin, and how much detector work they may take."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta, tzinfo

from jobs.config.service import clock_times


@dataclass(frozen=True, slots=True)
class Window:
    """A part of each day, such as 01:00–05:00, by the clock of a time zone; None: the whole day."""

    text: str | None
    zone: tzinfo

    def opened(self, now: datetime) -> datetime | None:
        """When the window that contains `now` began; None outside of it. Without a window, a day
        begins at noon, so that no night is cut in two."""
        local = now.astimezone(self.zone)
        first, last = (720, 720) if self.text is None else clock_times(self.text)
        minute = 60 * local.hour + local.minute
        since = (minute - first) % 1440
        if self.text is not None and since >= (last - first) % 1440:
            return None
        day = local.date() if minute >= first else local.date() - timedelta(days=1)
        return datetime.combine(day, time(first // 60, first % 60), self.zone)


@dataclass(frozen=True, slots=True)
class Budget:
    """Seconds of detector work that may begin in one window; None: unlimited."""

    seconds: float | None

    def allows(self, cost_s: float, *, spent_s: float) -> bool:
        """Whether one more night fits. The first of a window always does: otherwise a camera whose
        nights exceed the budget would never have one."""
        return self.seconds is None or spent_s == 0 or spent_s + cost_s <= self.seconds
