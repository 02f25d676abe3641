"""Times from paths: every letter, both changes of the clock, and patterns that are none."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

import pytest

from streams.recorded.path_times import PathTimes, PatternError

BERLIN = ZoneInfo("Europe/Berlin")
UTC_ZONE: tzinfo = UTC


@pytest.mark.parametrize(
    ("pattern", "path", "moment"),
    [
        ("%Y/%m/%d/yard_%H%M%S.mp4", "2026/07/01/yard_120000.mp4", "2026-07-01T10:00:00"),
        ("%Y-%m-%d/%H/{camera}/%M.%S.mp4", "2026-01-02/03/yard/04.05.mp4", "2026-01-02T02:04:05"),
        ("%F_%T.mkv", "2026-01-02_03:04:05.MKV", "2026-01-02T02:04:05"),
        ("%y%m%d-%H%M%S-%f.ts", "260102-030405-25.ts", "2026-01-02T02:04:05.250000"),
        ("%Y-%j-%H.mp4", "2026-032-00.mp4", "2026-01-31T23:00:00"),
        ("%d%b%Y %I.%M %p.avi", "05Mar2026 12.30 AM.avi", "2026-03-04T23:30:00"),
        ("%d%b%Y %I.%M %p.avi", "05mar2026 12.30 pm.avi", "2026-03-05T11:30:00"),
        ("%Y/%m/cam_%Y%m%d.jpg", "2026/03/cam_20260305.jpg", "2026-03-04T23:00:00"),
        ("*/%s.mp4", "any thing/1767323045.mp4", "2026-01-02T03:04:05"),
        ("%s.mp4", "1767323045250.mp4", "2026-01-02T03:04:05.250000"),
        ("%s-*.jpg", "1767323045.25-abc.jpg", "2026-01-02T03:04:05.250000"),
        ("%Y%m%dT%H%M%S%z.mp4", "20260102T030405+0530.mp4", "2026-01-01T21:34:05"),
        ("%Y%m%dT%H%M%S%z.mp4", "20260102T030405Z.mp4", "2026-01-02T03:04:05"),
        ("%Y-%-m-%-d/%H.mp4", "2026-1-2/03.mp4", "2026-01-02T02:00:00"),
        ("100%%_%s.mp4", "100%_1767323045.mp4", "2026-01-02T03:04:05"),
    ],
)
def test_a_path_has_its_time(pattern: str, path: str, moment: str) -> None:
    expected = datetime.fromisoformat(moment).replace(tzinfo=UTC)
    assert PathTimes(pattern, BERLIN).moment(path) == expected


@pytest.mark.parametrize(
    "path",
    [
        "2026/02/31/yard_120000.mp4",
        "2026/13/01/yard_120000.mp4",
        "2026/01/01/yard_250000.mp4",
        "2026/01/01/yard_126100.mp4",
        "2026/01/01/yard_120061.mp4",
        "2026/01/01/yard_12000.mp4",
        "2026/01/01/gate_120000.mp4",
        "x/2026/01/01/yard_120000.mp4",
        "2026/01/01/yard_120000.mp4.tmp",
        "",
    ],
)
def test_what_is_no_time_is_none(path: str) -> None:
    assert PathTimes("%Y/%m/%d/yard_%H%M%S.mp4", BERLIN).find(path) is None


def test_letters_that_come_twice_must_agree() -> None:
    times = PathTimes("%Y-%m-%d/%Y%m%d%H.mp4", UTC_ZONE)
    assert times.find("2026-01-02/2026010203.mp4") is not None
    assert times.find("2026-01-02/2026010303.mp4") is None


def test_names_come_back() -> None:
    times = PathTimes("{camera}/%Y-%m-%d/%H%M%S.mp4", UTC_ZONE)
    found = times.find("north gate/2026-01-02/030405.mp4")
    assert found is not None
    assert found.names == {"camera": "north gate"}
    assert times.names == ("camera",)
    assert times.folder_names("north gate") == {"camera": "north gate"}


def test_the_hour_that_comes_twice_is_the_first_unless_the_file_was_written_after_the_second() -> (
    None
):
    times = PathTimes("%Y%m%d%H%M%S.mp4", BERLIN)
    path = "20261025023000.mp4"
    first = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    second = first + timedelta(hours=1)
    assert times.moment(path) == first
    assert times.moment(path, written_s=first.timestamp() + 10) == first
    assert times.moment(path, written_s=second.timestamp() + 10) == second
    copied_s = second.timestamp() + 86_400  # says nothing of when it was recorded
    assert times.moment(path, written_s=copied_s) == first


def test_a_change_in_the_middle_of_an_hour() -> None:
    times = PathTimes("%Y%m%d%H%M.mp4", ZoneInfo("Australia/Lord_Howe"))
    before, twice = times.find("202604050129.mp4"), times.find("202604050130.mp4")
    assert before is not None
    assert before.again_s is None
    assert twice is not None
    assert twice.again_s == twice.at_s + 1800


def test_the_hour_that_never_was_is_read_as_if_the_clock_had_not_been_set_yet() -> None:
    times = PathTimes("%Y%m%d%H%M%S.mp4", BERLIN)
    found = times.find("20260329023000.mp4")
    assert found is not None
    assert found.again_s is None
    assert times.moment("20260329023000.mp4") == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    assert times.moment("20260329030000.mp4") == datetime(2026, 3, 29, 1, 0, tzinfo=UTC)


def test_folders_say_which_days_they_may_hold() -> None:
    times = PathTimes("{camera}/%Y/%m/%d/%H.mp4", BERLIN)
    assert times.depth == 4
    assert times.folder_days("yard") is None
    assert times.folder_days("yard/2026") == (date(2026, 1, 1), date(2026, 12, 31))
    assert times.folder_days("yard/2026/02") == (date(2026, 2, 1), date(2026, 2, 28))
    assert times.folder_days("yard/2026/12") == (date(2026, 12, 1), date(2026, 12, 31))
    assert times.folder_days("yard/2026/12/31") == (date(2026, 12, 31), date(2026, 12, 31))
    assert times.fits_folder("yard/2026")
    assert not times.fits_folder("yard/lost")
    assert not times.fits_folder("yard/2026/12/31/more")


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("%H%M%S.mp4", "lacks a whole date"),
        ("%Y-%m/%H.mp4", "lacks a whole date"),
        ("clip.mp4", "lacks a whole date"),
        ("%Y%m%d_%M.mp4", "the hour"),
        ("%Y%m%d_%H%S.mp4", "the minute"),
        ("%Y%m%d_%H%M_%f.mp4", "the second"),
        ("%Y%m%d_%I%M.mp4", "%I and %p together"),
        ("%Y%m%d_%p.mp4", "%I and %p together"),
        ("%Q.mp4", "'%Q' means nothing"),
        ("%Y%m%d%", "means nothing"),
        ("%Y%m%d{Camera}", "means nothing"),
        ("%Y%m%d{camera", "means nothing"),
        ("%Y%m%d{}", "means nothing"),
        ("/%Y%m%d.mp4", "without a stroke"),
        ("%Y//%m%d.mp4", "without a stroke"),
        ("", "without a stroke"),
    ],
)
def test_a_wrong_pattern_is_refused_in_one_line(pattern: str, reason: str) -> None:
    with pytest.raises(PatternError, match=reason) as caught:
        PathTimes(pattern, UTC_ZONE)
    assert "\n" not in str(caught.value)
