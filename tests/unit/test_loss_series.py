"""What went by in a day: all frames' L_conf and times, and what the record says of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np

from culling_pipeline.day.loss_series import LossSeries, Seen
from culling_pipeline.tasks.boxes.confidence import standardised_losses
from models.boxes.detections import Detections
from tests.unit.plans import confidence_plan

BEGAN = datetime(2026, 3, 29, 0, 59, 59, 999_999, tzinfo=UTC)


def noted(course: LossSeries, count: int) -> list[Detections]:
    """Frames a third of a second apart, with up to three detections of two classes each."""
    rng, given = np.random.default_rng(2), []
    for k in range(count):
        n = int(rng.integers(4))
        boxes = np.tile(np.array([[1, 2, 5, 9]], np.float32), (n, 1))
        given.append(Detections(boxes, rng.random(n, np.float32), rng.integers(2, size=n)))
        moment = BEGAN + k * timedelta(microseconds=333_333)
        seen = Seen(time_s=k / 3, wall_time=moment, shape=(4, 6), loss=float(k), scored=True)
        course.note(seen, given[-1])
    return given


def test_a_course_has_every_frame_at_its_microsecond() -> None:
    course = LossSeries(confidence_plan(), 2)
    noted(course, 50)
    losses = course.losses()
    points = course.points(losses)
    assert losses.tolist() == [float(k) for k in range(50)]
    assert not course.wants_detections
    assert [p.mean for p in points] == losses.tolist()  # fewer frames than points: one each
    assert [p.wall_time for p in points] == [
        BEGAN + k * timedelta(microseconds=333_333) for k in range(50)
    ]
    assert points[0].wall_time.tzinfo is UTC


def test_a_long_course_is_cut_into_equal_slices() -> None:
    course = LossSeries(confidence_plan(), 2)
    noted(course, 960)
    points = course.points(course.losses())
    assert len(points) == 96
    assert {p.frames for p in points} == {10}
    assert (points[1].mean, points[1].p90) == (14.5, 18.1)
    assert points[1].wall_time == BEGAN + 15 * timedelta(microseconds=333_333)


def test_standardised_frame_by_frame_is_as_of_the_whole_day() -> None:
    plan = confidence_plan(standardise=True, q=2.0, b=0.25, min_score=0.3)
    course = LossSeries(plan, 2)
    given = noted(course, 40)
    assert course.wants_detections
    expected = standardised_losses(given, 2, min_score=0.3, q=2.0, b=0.25)
    assert course.losses().tolist() == expected.tolist()
