"""The control slice by hour and class, and where the new student is worse."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

import numpy as np

from benchmarks.testbed.example_night import (
    MIDNIGHT,
    accuracy,
    example_judge,
    example_night,
    example_worse,
    stored_frame,
)
from culling_pipeline.records.judging import ControlFrame, CountPoint, Errors
from culling_pipeline.records.night import NightRecord
from culling_pipeline.report.clock import UTC_CLOCK, Clock
from culling_pipeline.report.control import ControlView, control_view
from culling_pipeline.report.control_chart import by_hour
from culling_pipeline.report.page import render_report
from culling_pipeline.report.worse import MAX_WORSE, embedded, worse_pairs
from culling_pipeline.tasks.frame_by_frame import Said
from tests.unit.plans import box_task
from tests.unit.test_frame_by_frame import boxes
from tests.unit.test_report import read

HOUR = 3600
PERSON, CAR = 0, 1


def night_of(frames: tuple[ControlFrame, ...], *classes: str) -> NightRecord:
    """A night whose control slice is these frames; their ids are seconds since midnight."""
    night = example_night(judge=example_judge(frames=frames), classes=classes or ("person", "car"))
    stored = tuple(stored_frame(frame.frame_id, loss=1.0) for frame in frames)
    return night.changed(ingest=night.ingest.changed(frames=stored, survivors=(), random=()))


def frame(number: int, *, random: Errors | None = None, **students: Errors) -> ControlFrame:
    return ControlFrame(frame_id=number, random=random, **students)


BOTH = (
    frame(
        0, before=Errors(found=(PERSON,), missed=(CAR,)), after=Errors(found=(PERSON, CAR)),
        random=Errors(missed=(PERSON, CAR)),
    ),
    frame(
        5 * HOUR, before=Errors(found=(PERSON, PERSON)),
        after=Errors(found=(PERSON,), missed=(PERSON,), invented=(CAR, CAR)),
        random=Errors(found=(PERSON, PERSON), invented=(PERSON,)),
    ),
)  # fmt: skip


def view_of(night: NightRecord, clock: Clock = UTC_CLOCK) -> ControlView:
    view = control_view(night, clock)
    assert view is not None
    return view


def test_the_tables_say_by_class_and_by_hour_what_each_student_found_and_invented() -> None:
    by_class, by_the_hour, both = view_of(night_of(BOTH)).tables
    assert by_class.head[0] == "Class"
    assert by_class.rows == (
        ("person", "2", "3", "3 (100 %)", "2 (67 %)", "2 (67 %)", "0", "0", "1"),
        ("car", "2", "1", "0 (0 %)", "1 (100 %)", "0 (0 %)", "0", "2", "0"),
        ("all", "2", "4", "3 (75 %)", "3 (75 %)", "2 (50 %)", "0", "2", "1"),
    )
    assert [row[:5] for row in by_the_hour.rows] == [
        ("00:00–01:00", "1", "2", "1 (50 %)", "2 (100 %)"),
        ("05:00–06:00", "1", "2", "2 (100 %)", "1 (50 %)"),
    ]
    assert [row[0] for row in both.rows] == [
        "person, 00:00–01:00", "person, 05:00–06:00", "car, 00:00–01:00", "car, 05:00–06:00",
    ]  # fmt: skip
    assert both.rows[3][2:5] == ("0", "–", "–")


def test_hours_are_by_the_camera_s_clock() -> None:
    view = view_of(night_of(BOTH), Clock.of(ZoneInfo("Asia/Kathmandu")))
    assert view.tables[1].head[0] == "Hour, Asia/Kathmandu"
    assert [row[0] for row in view.tables[1].rows] == ["05:00–06:00", "10:00–11:00"]


def test_without_a_random_student_it_has_no_column() -> None:
    view = view_of(night_of(tuple(one.changed(random=None) for one in BOTH)))
    assert view.arms == ("old", "new")
    assert len(view.tables[0].head) == len(view.tables[0].rows[0]) == 7
    assert "random" not in str(by_hour(view, UTC_CLOCK))


def test_where_the_new_one_is_worse_is_a_sentence_with_its_sample() -> None:
    view = view_of(night_of(BOTH))
    assert view.said == (
        "On 1 of 2 control frames the new model makes more errors (an object missed or invented) "
        "than the old one, on 1 fewer; on 0 both do equally well."
    )
    assert view.worse == (
        "car, 05:00–06:00: of 0 objects it found 0 and invented 2; the old one found 0 and "
        "invented 0. These are few: it may be chance.",
        "person, 05:00–06:00: of 2 objects it found 1 and invented 0; the old one found 2 and "
        "invented 0. These are few: it may be chance.",
    )
    many = tuple(frame(k, before=Errors(found=(0,)), after=Errors(missed=(0,))) for k in range(40))
    (said,) = view_of(night_of(many)).worse
    assert said == (
        "person, 00:00–01:00: of 40 objects it found 0 and invented 0; the old one found 40 and "
        "invented 0."
    )


def test_a_camera_that_counts_says_how_far_its_counts_are_off() -> None:
    def point(hour: int, before: float, after: float) -> CountPoint:
        at = MIDNIGHT + timedelta(hours=hour)
        return CountPoint(
            wall_time=at, teacher=10.0, before=before, after=after, random=13.0, frame_id=hour
        )

    counts = (point(3, 12.0, 17.0), point(3, 10.0, 15.0), point(9, 20.0, 10.2))
    view = view_of(example_night(judge=example_judge(counts=counts)))
    (table,) = view.tables
    assert table.rows == (
        ("03:00–04:00", "2", "10.0", "1.0", "6.0", "3.0"),
        ("09:00–10:00", "1", "10.0", "10.0", "0.2", "3.0"),
        ("all", "3", "10.0", "4.0", "4.1", "3.0"),
    )
    assert view.said.startswith("On 2 of 3 control frames the new model is further from the")
    assert view.worse == (
        "03:00–04:00: on 2 frames it is off by 6.0 on average, the old one by 1.0. These are few: "
        "it may be chance.",
    )


def test_the_chart_has_a_bar_for_each_student_and_hour_and_says_its_figure() -> None:
    drawn = str(by_hour(view_of(night_of(BOTH)), UTC_CLOCK))
    assert drawn.count("<rect") == 2 * 3
    assert "05:00–06:00: new found 1 of 2 objects" in drawn
    one_hour = view_of(night_of(BOTH[:1]))
    assert by_hour(one_hour, UTC_CLOCK) == ""


def test_the_worst_frames_come_first_as_far_as_their_answers_are_kept() -> None:
    lost = tuple(
        frame(k, before=Errors(found=(PERSON,) * k), after=Errors(missed=(PERSON,) * k))
        for k in range(10)
    )
    night = night_of(lost)
    truth = {k: boxes(*[PERSON] * k) for k in range(10)}
    nothing = {k: boxes() for k in range(9)}  # the worst frame's answer is gone
    pairs = worse_pairs(night, box_task("person", "car"), Said(truth, truth, nothing))
    assert [pair.frame.id for pair in pairs] == [8, 7, 6, 5, 4, 3]
    assert len(pairs) == MAX_WORSE
    old, new = pairs[0].halves
    assert (old.said, new.said) == ("all right", "missed 8 person")
    assert str(old.drawing).count("odd") == 0
    assert str(new.drawing).count("box teacher odd") == 8


def test_an_image_is_in_the_report_once_and_shown_twice() -> None:
    night = night_of(tuple(frame(k, before=Errors(), after=Errors(missed=(0,))) for k in (1, 2)))
    truth = {1: boxes(PERSON), 2: boxes(PERSON)}
    said = Said(truth, truth, {1: boxes(), 2: boxes()})
    pairs = worse_pairs(night, box_task("person", "car"), said)
    image = np.zeros((96, 160, 3), np.uint8)
    sides = embedded(pairs, [image, image], UTC_CLOCK)
    page = render_report(night, [], worse=sides)
    assert page.count("data:image/jpeg") == 2
    assert page.count('<use href="#worse-1"') == page.count('id="worse-1"') == 1
    assert "Frame of 00:00:01 UTC, new model: missed 1 person" in page
    read(page)


def test_a_report_says_it_and_a_night_that_noted_no_frames_says_as_before() -> None:
    text = read(render_report(example_night(), [], worse=example_worse())).text
    assert "On 52 of 480 control frames the new model makes more errors" in text
    assert "bicycle, 19:00–20:00: of 21 objects it found 0" in text
    assert "Frames on which it lost most" in text
    assert "Hour by hour, as a table" in text

    old = example_night(judge=example_judge())
    assert control_view(old, UTC_CLOCK) is None
    assert "Where is the new model better" not in render_report(old, [])
    after = accuracy(0.861, 0.548, person=0.6, car=0.915, bicycle=0.826)
    worse = example_night(judge=example_judge(after=after))
    assert "person: 0.68 → 0.60" in read(render_report(worse, [])).text
