"""When nights are due: `03:00` or a cron expression, in local time.

APScheduler is only the clock. Due nights are kept in our own table (`jobs/database/dues`): a
one-off job that is killed while it runs is lost in APScheduler, and two processes on one of its job
stores run everything twice."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from apscheduler.executors.debug import DebugExecutor
from apscheduler.schedulers.base import BaseScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger

from jobs.config.local_zone import time_zone as time_zone

DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun")
"""Days of the week as a crontab counts them: 0 and 7 are Sunday."""
LONGEST_FOLD = timedelta(hours=3)
"""No time zone has shifted its clocks by more than this."""
LONGEST_BACK = timedelta(days=14)
"""How far back a missed night is looked for."""


class WallClock(BaseTrigger):
    """Fires once for each local time that a schedule names, also when clocks change.

    A time that is skipped in spring fires later by the length of the gap; one that occurs twice in
    autumn fires the first time. (APScheduler's own `CronTrigger` fires twice there, and 3.11.3 then
    returns the same moment for ever.)"""

    def __init__(self, schedule: str, zone: tzinfo) -> None:
        """`schedule` is HH:MM or a crontab's five fields. Raises `ValueError`."""
        self._zone = zone
        # The fields are asked in UTC, where no time is skipped, about what the wall clock shows.
        self._fields = _crons(schedule)

    def get_next_fire_time(
        self, previous_fire_time: datetime | None, now: datetime
    ) -> datetime | None:
        """The first moment after `previous_fire_time`, or at or after `now`; None if never."""
        after = now - timedelta(microseconds=1)
        if previous_fire_time is not None:
            after = max(after, previous_fire_time)
        return self.next_after(after)

    def next_after(self, moment: datetime) -> datetime | None:
        """The first moment after `moment` (both with a time zone)."""
        wall = moment.astimezone(self._zone).replace(tzinfo=UTC) - LONGEST_FOLD
        while True:
            each = (fields.get_next_fire_time(None, wall) for fields in self._fields)
            found = min((time for time in each if time is not None), default=None)
            if found is None:
                return None
            fires: datetime = found.replace(tzinfo=self._zone, fold=0).astimezone(UTC)
            if fires > moment:
                return fires
            wall = found + timedelta(seconds=1)

    def last_until(self, moment: datetime, *, after: datetime) -> datetime | None:
        """The last moment up to and with `moment` that is after `after`; None if there is none."""
        last = None
        found = self.next_after(max(after, moment - LONGEST_BACK))
        while found is not None and found <= moment:
            last, found = found, self.next_after(found)
        return last


class Ticker(BaseScheduler):
    """APScheduler without a thread of its own: the service's loop calls `tick`."""

    def wakeup(self) -> None:
        """Nobody sleeps."""

    def tick(self) -> None:
        """Run what is due by now."""
        self._process_jobs()

    def shutdown(self, wait: bool = True) -> None:
        """Forget all jobs."""
        super().shutdown(wait)


def ticker(work: Callable[[str], Any], triggers: dict[str, WallClock]) -> Ticker:
    """A scheduler that calls `work(camera)` at each camera's times. Late times are never dropped
    and come as one."""
    scheduler = Ticker(
        timezone=UTC,
        executors={"default": DebugExecutor()},
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
    )
    for camera, trigger in triggers.items():
        scheduler.add_job(work, trigger, args=[camera], id=camera)
    scheduler.start()
    return scheduler


def check_schedule(schedule: str) -> None:
    """Raise `ValueError` for what is no schedule, or for a day that never comes."""
    if WallClock(schedule, UTC).next_after(datetime.now(UTC)) is None:
        message = "never comes: no month that it names has such a day"
        raise ValueError(message)


def _crons(schedule: str) -> list[CronTrigger]:
    clock = re.fullmatch(r"(\d{1,2}):(\d{2})", schedule.strip())
    fields = [clock[2], clock[1], "*", "*", "*"] if clock else schedule.split()
    try:
        minute, hour, day, month, weekday = fields
        # A crontab means either day where it names one of the month and one of the week.
        either = not day.startswith("*") and not weekday.startswith("*")
        return [
            CronTrigger(
                minute=minute,
                hour=hour,
                day=of_month,
                month=month,
                day_of_week=_weekdays(of_week),
                timezone=UTC,
            )
            for of_month, of_week in ([(day, "*"), ("*", weekday)] if either else [(day, weekday)])
        ]
    except ValueError:
        message = "must be a time such as 03:00, or a crontab's five fields such as 30 3 * * 1-5"
    raise ValueError(message)


def _weekdays(field: str) -> str:
    """A crontab's days of the week by name: APScheduler counts them from Monday."""
    named = []
    for part in field.lower().split(","):
        days, _, step = part.partition("/")
        first, dash, last = days.partition("-")
        if days == "*":
            named.append(part if not step else ",".join(DAYS[0 : 7 : int(step)]))
            continue
        start = _day(first)
        end = _day(last) if dash else start
        if end < start:
            end += 7
        span = range(start, end + 1, int(step) if step else 1)
        named.append(",".join(DAYS[day % 7] for day in span))
    return ",".join(named)


def _day(text: str) -> int:
    return int(text) if text.isdigit() and int(text) <= 7 else DAYS.index(text)
