"""Times in reports are by the camera's clock, whose zone is named."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from benchmarks.testbed.example_night import (
    MIDNIGHT,
    disagreement,
    example_exhibits,
    example_judge,
    example_night,
    stored_frame,
)
from culling_pipeline import svg
from culling_pipeline.judging.blindness import blindness
from culling_pipeline.records.judging import CountPoint
from culling_pipeline.report.clock import UTC_CLOCK, Clock
from culling_pipeline.report.page import render_report
from culling_pipeline.report.unusable import Glimpse, render_unusable
from tests.unit.test_report import read
from tests.unit.test_unusable_night import unusable_night

KATHMANDU = Clock.of(ZoneInfo("Asia/Kathmandu"))
"""5:45 hours ahead: no whole hour, so that nothing fits by chance."""


def test_a_report_is_by_the_camera_s_clock_and_names_it() -> None:
    points = tuple(
        CountPoint(wall_time=MIDNIGHT + timedelta(hours=k), teacher=2.0, before=1.0, after=2.0)
        for k in range(4)
    )
    night = example_night(judge=example_judge(counts=points), notes=())
    page = render_report(night, example_exhibits(2), clock=KATHMANDU)
    text = read(page).text
    assert "UTC" not in page
    assert "2026-03-15 05:55 Asia/Kathmandu" in text  # when the night was started
    assert text.count("time of day, Asia/Kathmandu") == 2
    assert 'aria-label="Frame of 06:05:34 Asia/Kathmandu' in page
    assert "Times are in Asia/Kathmandu." in text
    assert "Counts from 2026-03-14 05:45 Asia/Kathmandu" in page
    assert "08:45:00: teacher 2, new 2" in page


def test_marks_of_a_day_are_round_by_the_camera_s_clock() -> None:
    start = MIDNIGHT.timestamp()
    marks = KATHMANDU.marks((start, start + 86_400), svg.time_ticks)
    assert len(marks) > 3
    assert all(re.fullmatch(r"\d\d:00", name) for _, name in marks)
    seconds = [datetime.fromtimestamp(at, UTC).minute for at, _ in marks]
    assert set(seconds) == {15}


def test_the_page_of_an_unusable_night_is_by_the_camera_s_clock() -> None:
    glimpse = Glimpse(np.zeros((96, 160, 3), np.uint8), stored_frame(0, loss=0.0))
    page = render_unusable(unusable_night(), [glimpse], clock=KATHMANDU)
    assert "UTC" not in page
    assert "What the camera saw at 2026-03-14 05:45 Asia/Kathmandu" in page


def test_a_moment_without_a_zone_is_one_of_utc() -> None:
    bare = MIDNIGHT.replace(tzinfo=None)
    assert UTC_CLOCK.stamp(bare) == "2026-03-14 00:00 UTC"
    assert KATHMANDU.stamp(bare, seconds=True) == "2026-03-14 05:45:00 Asia/Kathmandu"
    assert (KATHMANDU.time(bare), KATHMANDU.hour(bare)) == ("05:45:00", 5)


def test_what_the_student_misses_is_by_the_hours_of_the_camera_s_clock() -> None:
    frame = stored_frame(0, loss=1.0)  # midnight in UTC, 5:45 in Kathmandu
    errors = disagreement(0, missed=1, invented=0).changed(missed_labels=(0,))
    spots = blindness(
        [frame], [errors], blocks=[0], class_names=("person",), rng=np.random.default_rng(0),
        zone=KATHMANDU.zone,
    )  # fmt: skip
    assert [spot.hours for spot in spots if spot.hours] == [(4, 8)]
