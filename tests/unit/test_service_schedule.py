"""When nights are due: each wall-clock time once, whatever is done to the clocks."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from jobs.config.load import parse_config
from jobs.config.wall_clock import WallClock, check_schedule, ticker, time_zone
from jobs.errors import ConfigError

BERLIN = ZoneInfo("Europe/Berlin")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")
"""Its clocks go forward and back by half an hour."""


def times(schedule: str, zone: ZoneInfo, start: datetime, count: int) -> list[datetime]:
    trigger, found = WallClock(schedule, zone), []
    for _ in range(count):
        moment = trigger.next_after(found[-1] if found else start)
        assert moment is not None
        found.append(moment)
    return found


@pytest.mark.parametrize("zone", [BERLIN, LORD_HOWE, ZoneInfo("America/New_York")])
@pytest.mark.parametrize(
    "schedule", ["00:00", "01:30", "01:45", "02:00", "02:30", "03:00", "23:59"]
)
def test_each_day_of_a_year_has_its_night_once(schedule: str, zone: ZoneInfo) -> None:
    start = datetime(2026, 6, 1, tzinfo=zone)
    found = [t.astimezone(zone) for t in times(schedule, zone, start - timedelta(seconds=1), 365)]
    assert [t.date() for t in found] == [start.date() + timedelta(days=k) for k in range(365)]
    odd = [t for t in found if f"{t:%H:%M}" != schedule]
    assert len(odd) <= 1  # a time that is skipped comes as much later
    gaps = {b - a for a, b in pairwise(found)}
    assert all(timedelta(hours=22) < gap < timedelta(hours=26) for gap in gaps)


def test_a_skipped_time_comes_later_and_a_doubled_one_once() -> None:
    spring = times("02:30", BERLIN, datetime(2027, 3, 27, 12, tzinfo=UTC), 2)
    assert [f"{t.astimezone(BERLIN):%d %H:%M%z}" for t in spring] == [
        "28 03:30+0200",
        "29 02:30+0200",
    ]
    autumn = times("02:30", BERLIN, datetime(2026, 10, 24, 12, tzinfo=UTC), 2)
    assert [f"{t.astimezone(BERLIN):%d %H:%M%z}" for t in autumn] == [
        "25 02:30+0200",
        "26 02:30+0100",
    ]


def test_hourly_nights_across_both_changes_are_in_order() -> None:
    for day in (datetime(2027, 3, 27, 22, tzinfo=UTC), datetime(2026, 10, 24, 21, tzinfo=UTC)):
        found = times("0 * * * *", BERLIN, day, 12)
        assert all(a < b for a, b in pairwise(found))
        walls = [t.astimezone(BERLIN).replace(tzinfo=None) for t in found]
        assert len(set(walls)) == 12


@pytest.mark.parametrize(
    ("schedule", "days"),
    [
        ("0 3 * * 0", ["Sun"]),
        ("0 3 * * 7", ["Sun"]),
        ("0 3 * * 1-5", ["Mon", "Tue", "Wed", "Thu", "Fri"]),
        ("0 3 * * fri-mon", ["Fri", "Mon", "Sat", "Sun"]),
        ("0 3 * * 6,2", ["Sat", "Tue"]),
        ("0 3 * * */3", ["Sat", "Sun", "Wed"]),
        ("0 3 * * *", ["Fri", "Mon", "Sat", "Sun", "Thu", "Tue", "Wed"]),
    ],
)
def test_days_of_the_week_are_a_crontabs(schedule: str, days: list[str]) -> None:
    found = times(schedule, BERLIN, datetime(2026, 11, 21, tzinfo=UTC), 14)
    assert sorted({f"{t:%a}" for t in found}) == sorted(days)


def test_a_day_of_the_month_or_of_the_week_as_in_a_crontab() -> None:
    """`0 3 13 * 5` is every 13th and every Friday; both at once would come twice a year."""
    found = times("0 3 13 * 5", BERLIN, datetime(2026, 10, 31, tzinfo=UTC), 6)
    assert [f"{t.astimezone(BERLIN):%d}" for t in found] == ["06", "13", "20", "27", "04", "11"]
    found = times("0 3 1 * 5", BERLIN, datetime(2026, 10, 31, tzinfo=UTC), 3)
    assert [f"{t.astimezone(BERLIN):%d}" for t in found] == ["01", "06", "13"]


@pytest.mark.parametrize("schedule", ["0 3 31 2 *", "0 3 30 2 *", "0 3 31 4,6,9,11 *"])
def test_a_schedule_that_never_comes_is_refused(schedule: str) -> None:
    camera = {"source": "a.mp4", "classes": ["person"], "schedule": schedule}
    text = json.dumps({"cameras": {"yard": camera}})
    with pytest.raises(ConfigError, match=r"yard\.schedule: never comes: no month"):
        parse_config(text, Path("config.yaml"))


def test_a_leap_day_comes() -> None:
    check_schedule("0 3 29 2 *")


@pytest.mark.parametrize(
    "schedule", ["", "3 Uhr", "25:00", "0 3 * *", "0 3 * * 8", "0 3 * * x", "61 3 * * *"]
)
def test_what_is_no_schedule_is_refused(schedule: str) -> None:
    with pytest.raises(ValueError, match="must be a time such as 03:00, or a crontab's five"):
        WallClock(schedule, BERLIN)


def test_what_is_no_time_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="must be a time zone such as Europe/Berlin"):
        time_zone("Berlin")
    assert time_zone(None) is not None


def test_the_last_time_until_now_is_what_was_missed() -> None:
    trigger = WallClock("03:00", BERLIN)
    now = datetime(2026, 11, 21, 12, tzinfo=BERLIN)
    due = datetime(2026, 11, 21, 3, tzinfo=BERLIN)
    assert trigger.last_until(now, after=now - timedelta(days=3)) == due
    assert trigger.last_until(due, after=now - timedelta(days=3)) == due
    assert trigger.last_until(now, after=due) is None
    assert trigger.last_until(now, after=now - timedelta(days=900)) == due


def test_the_ticker_calls_for_each_camera_once_however_late() -> None:
    import time_machine

    asked: list[tuple[str, datetime]] = []
    triggers = {"yard": WallClock("03:00", BERLIN), "door": WallClock("0 4 * * *", BERLIN)}
    start = datetime(2026, 10, 24, 1, 10, tzinfo=UTC)
    with time_machine.travel(start, tick=False) as clock:
        clockwork = ticker(lambda camera: asked.append((camera, datetime.now(UTC))), triggers)
        for _ in range(4 * 24):
            clock.shift(timedelta(minutes=30))
            clockwork.tick()
        at = [(camera, f"{when.astimezone(BERLIN):%d %H:%M}") for camera, when in asked]
        assert at == [("door", "24 04:10"), ("yard", "25 03:10"), ("door", "25 04:10")]
        clock.shift(timedelta(days=3))
        clockwork.tick()
        assert sorted(camera for camera, _ in asked[3:]) == ["door", "yard"]
        clockwork.shutdown()
