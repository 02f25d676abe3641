"""What old, new and random student say of each control frame, and where the new one is worse."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np

from benchmarks.testbed.example_night import example_judge, stored_frame
from culling_pipeline.records.judging import ControlFrame, CountPoint, Errors, JudgeRecord
from culling_pipeline.tasks.frame_by_frame import (
    FrameErrors,
    Said,
    control_frames,
    count_points,
    worse_frames,
)
from models.boxes.detections import Detections
from tests.unit.brightness import Brightness
from tests.unit.plans import box_task
from tests.unit.test_tasks_density import TASK as COUNTING
from tests.unit.test_tasks_density import counted

FRAMES = [stored_frame(number, loss=1.0) for number in (9, 2)]
"""Not in the order of time."""


def boxes(*labels: int) -> Detections:
    """One box of each of these classes, side by side."""
    corners = [[20 * place, 10, 20 * place + 15, 40] for place in range(len(labels))]
    return Detections(
        np.array(corners, np.float32).reshape(-1, 4),
        np.full(len(labels), 0.9, np.float32),
        np.array(labels, np.int64),
    )


def test_each_frame_says_what_each_student_found_missed_and_invented() -> None:
    task = box_task("person", "car")
    said = Said(
        teacher={9: boxes(0, 1), 2: boxes()},
        before={9: boxes(0), 2: boxes(1)},
        after={9: boxes(0, 1), 2: boxes()},
        random={9: boxes(1), 2: boxes()},
    )
    first, second = control_frames(task, FRAMES, said)
    assert first == ControlFrame(
        frame_id=9,
        before=Errors(found=(0,), missed=(1,)),
        after=Errors(found=(0, 1)),
        random=Errors(missed=(0, 1), invented=(1,)),
    )
    assert (second.before, second.after) == (Errors(invented=(1,)), Errors())
    assert count_points(task, FRAMES, said) == ()


def test_without_a_random_student_there_is_no_word_of_it() -> None:
    said = Said({9: boxes(0), 2: boxes()}, {9: boxes(), 2: boxes()}, {9: boxes(), 2: boxes()})
    assert [frame.random for frame in control_frames(box_task(), FRAMES, said)] == [None, None]


def test_counts_are_in_the_order_of_time_and_name_their_frames() -> None:
    whole, none = counted(), counted(np.zeros((0, 2), np.float32))
    said = Said({9: whole, 2: none}, {9: none, 2: none}, {9: whole, 2: whole}, {9: none, 2: none})
    early, late = count_points(COUNTING, FRAMES, said)
    assert (early.frame_id, round(early.after), early.random) == (2, 3, 0)
    assert (late.frame_id, round(late.teacher), round(late.before)) == (9, 3, 0)
    assert control_frames(COUNTING, FRAMES, said) == ()


def test_a_task_without_classes_of_objects_has_neither() -> None:
    said = Said({9: 50.0, 2: 50.0}, {9: 48.0, 2: 50.0}, {9: 50.0, 2: 50.0})
    assert control_frames(Brightness(), FRAMES, said) == ()
    assert count_points(Brightness(), FRAMES, said) == ()


def seen(number: int, *, before: int, after: int) -> ControlFrame:
    """A frame with so many missed objects each."""
    return ControlFrame(
        frame_id=number, before=Errors(missed=(0,) * before), after=Errors(missed=(0,) * after)
    )


def test_the_worst_frame_is_the_one_that_lost_most() -> None:
    judge = example_judge(
        frames=(
            seen(1, before=0, after=1),
            seen(2, before=1, after=4),
            seen(3, before=2, after=2),
            seen(4, before=3, after=4),
            seen(5, before=9, after=0),
        )
    )
    assert worse_frames(judge) == [FrameErrors(2, 1, 4), FrameErrors(4, 3, 4), FrameErrors(1, 0, 1)]


def test_a_count_is_worse_where_it_is_further_off_whichever_side() -> None:
    def point(number: int, before: float, after: float) -> CountPoint:
        at = datetime(2026, 3, 14, tzinfo=UTC) + timedelta(minutes=number)
        return CountPoint(
            wall_time=at, teacher=10.0, before=before, after=after, frame_id=number or None
        )

    judge = example_judge(counts=(point(0, 10, 90), point(1, 9, 15), point(2, 13, 8)))
    assert worse_frames(judge) == [FrameErrors(1, 1.0, 5.0)]


def test_a_night_that_noted_no_frames_is_read_as_before() -> None:
    stored = example_judge().model_dump(mode="json")
    del stored["frames"]
    old = JudgeRecord.model_validate(stored)
    assert old.frames == ()
    assert worse_frames(old) == []
    point = {"wall_time": "2026-03-14T00:00:00Z", "teacher": 1.0, "before": 2.0, "after": 3.0}
    counting = JudgeRecord.model_validate({**stored, "counts": [point]})
    assert (counting.counts[0].random, counting.counts[0].frame_id) == (None, None)
    assert worse_frames(counting) == []
