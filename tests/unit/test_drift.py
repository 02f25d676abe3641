"""Daily figures and the test for drift on them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from benchmarks.testbed.small_night import night_record
from culling_pipeline.day.day import IngestPlan
from culling_pipeline.day.daybook import DayClock
from culling_pipeline.day.watched_day import DayWriter, WatchedDay
from culling_pipeline.monitoring.daily_figures import (
    SLOTS,
    as_table,
    day_figures,
    figure_names,
    figures_of_watched_day,
    slot_of,
)
from culling_pipeline.monitoring.drift import DriftPlan, watch_drift
from culling_pipeline.records.day import DayFigures, IngestRecord, SlotFigures, StoredFrame
from culling_pipeline.records.judging import JudgeRecord
from culling_pipeline.records.monitoring import DriftRecord
from models.boxes.detections import Detections
from streams.base import Frame
from tests.unit.plans import box_task, confidence_plan, control_plan, gate_plan

MONDAY = date(2026, 1, 5)
NAMES = ("person", "car")
PLAN = DriftPlan()
FRAMES = 20
"""Control frames in each slot of a made-up day."""


def figures(
    day: int,
    *,
    student: str = "start",
    loss: float = 1.0,
    people: float = 0.5,
    cars: float = 2.0,
    slots: Sequence[int] = range(SLOTS),
    frames: int = FRAMES,
) -> DayFigures:
    """A day of so much L_conf and so many people and cars a frame; the second half of the day is
    three times as busy as the first."""
    return DayFigures(
        date=MONDAY + timedelta(days=day),
        student=student,
        slots=tuple(
            SlotFigures(
                slot=slot,
                frames=frames,
                busy=frames // 2,
                loss=loss * frames * weight,
                detections=round(2 * (people + cars) * frames * weight),
                objects=(people * frames * weight, cars * frames * weight),
            )
            for slot in slots
            for weight in [0.5 if slot < SLOTS // 2 else 1.5]
        ),
    )


def days(count: int, first: int = 0, **levels: float) -> list[DayFigures]:
    return [figures(day, **levels) for day in range(first, first + count)]  # type: ignore[arg-type]


def noisy_days(
    count: int, *, seed: int, weekend: float = 1.0, spread: float = 0.15
) -> list[DayFigures]:
    """Days that differ as days do: weather moves all figures, each has luck of its own, and on
    Saturdays and Sundays there is `weekend` times as much."""
    rng = np.random.default_rng(seed)
    found = []
    for day in range(count):
        common = rng.normal(0, spread)
        level = weekend if day % 7 >= 5 else 1.0
        loss, people, cars = level * np.exp(common + rng.normal(0, spread / 2, 3))
        found.append(figures(day, loss=loss, people=0.5 * people, cars=2 * cars))
    return found


def verdict(history: Sequence[DayFigures]) -> DriftRecord:
    found = watch_drift(history, NAMES)
    assert found is not None
    return found


def alarms(record: DriftRecord) -> list[date]:
    return [point.date for point in record.course if point.alarm]


# -- the alarm -------------------------------------------------------------------------------------


def test_twice_the_cars_are_told_on_the_third_day_and_dated_to_the_first() -> None:
    # 14 equal days, so the spread is its floor of 5 %; a doubling is cut to z = 4 and adds
    # 4 − 1 = 3 a day to the CUSUM, whose limit for five figures is 6 + ln 5 = 7.6.
    history = days(14)
    states = []
    for day in range(14, 17):
        history.append(figures(day, cars=4.0))
        states.append(verdict(history))
    assert [s.state for s in states] == ["quiet", "quiet", "drift"]
    assert [s.course[-1].statistic for s in states] == [3.0, 6.0, 9.0]
    told = next(f for f in states[-1].figures if f.name == "car objects a frame")
    assert states[-1].threshold == pytest.approx(6 + np.log(5))
    assert told.since == MONDAY + timedelta(days=14)
    assert told.value == pytest.approx(4.0)
    assert told.usual == pytest.approx(2.0, rel=0.01)
    assert (
        "car objects a frame: 4 instead of 2 (2.0 times as much) since 2026-01-19"
        in states[-1].reason
    )
    assert "L_conf" not in states[-1].reason


def test_a_fall_is_told_as_one() -> None:
    record = verdict(days(14) + days(3, 14, cars=1.0))
    assert record.state == "drift"
    assert record.figures[0].statistic == -9.0
    assert "(-50%)" in record.reason


def test_a_class_that_was_never_there_and_now_is() -> None:
    record = verdict(days(14, people=0.0) + days(3, 14, people=1.0))
    assert "person objects a frame: 1 instead of" in record.reason


def test_nothing_is_said_while_the_usual_is_learned() -> None:
    record = verdict(days(5) + days(9, 5, cars=9.0))
    assert record.state == "learning"
    assert record.figures == ()
    assert record.reason == "learning what is usual: day 14 of 14"


def test_one_odd_day_is_no_drift() -> None:
    odd = figures(14, loss=9.0, people=9.0, cars=30.0)
    assert alarms(verdict([*days(14), odd, *days(20, 15)])) == []


def test_one_object_in_a_class_that_is_never_there_is_no_drift() -> None:
    seldom = [figures(14 + d, people=0.002 if d % 2 else 0.0) for d in range(20)]
    assert alarms(verdict([*days(14, people=0.0), *seldom])) == []


@pytest.mark.parametrize("seed", range(3))
def test_days_that_differ_as_days_do_raise_no_alarm(seed: int) -> None:
    assert alarms(verdict(noisy_days(180, seed=seed))) == []


@pytest.mark.parametrize("seed", range(3))
def test_weekends_are_no_drift(seed: int) -> None:
    assert alarms(verdict(noisy_days(180, seed=seed, weekend=0.4))) == []


def test_a_drift_among_noise_and_weekends_is_found_within_a_week() -> None:
    history = noisy_days(60, seed=7, weekend=0.5)
    more = [d.model_copy(update={"slots": tuple(_times(s, 2.0) for s in d.slots)}) for d in history]
    found = alarms(verdict(history[:40] + more[40:]))
    assert found[:1]
    assert timedelta(days=40) <= found[0] - MONDAY <= timedelta(days=47)


def _times(slot: SlotFigures, much: float) -> SlotFigures:
    return slot.model_copy(update={"objects": tuple(much * o for o in slot.objects)})


def test_after_an_alarm_the_new_days_become_the_usual() -> None:
    history = days(14) + days(30, 14, cars=4.0)
    told = verdict(history[:17])
    assert told.state == "drift"
    next_day = verdict(history[:18])
    assert next_day.state == "learning"
    assert (
        next_day.reason == "learning what is usual: day 4 of 14"
    )  # three of them before the alarm
    at_the_end = verdict(history)
    assert at_the_end.state == "quiet"
    assert alarms(at_the_end) == [told.date]


def test_more_figures_have_a_higher_limit() -> None:
    assert PLAN.limit(1) == PLAN.threshold
    assert PLAN.limit(1) < PLAN.limit(6) < PLAN.limit(20)


# -- days that are missing or short ----------------------------------------------------------------


def test_missing_nights_do_not_count() -> None:
    history = [*days(14), *days(1, 24), *days(1, 26, cars=4.0), *days(1, 31, cars=4.0)]
    assert verdict(history).state == "quiet"
    assert verdict([*history, *days(1, 40, cars=4.0)]).state == "drift"


def test_after_a_long_gap_learning_begins_anew() -> None:
    record = verdict([*days(14), *days(1, 14 + PLAN.longest_gap, cars=4.0)])
    assert record.state == "learning"
    assert len(record.course) == 1


def test_an_afternoon_is_compared_with_afternoons() -> None:
    afternoons = [figures(14 + d, slots=range(6, 12)) for d in range(10)]
    record = verdict([*days(14), *afternoons])
    assert alarms(record) == []
    assert record.course[-1].statistic == pytest.approx(0.0, abs=0.1)
    assert record.figures[-1].usual == pytest.approx(record.figures[-1].value, rel=0.02)


def test_a_day_with_less_than_half_of_what_is_usual_is_not_judged() -> None:
    mornings = [figures(14 + d, slots=range(6), cars=9.0) for d in range(5)]
    record = verdict([*days(14), *mornings])
    assert alarms(record) == []


def test_days_with_too_few_frames_are_left_out() -> None:
    few = [figures(14 + d, frames=3, cars=9.0) for d in range(5)]
    assert len(verdict([*days(14), *few]).course) == 14
    assert watch_drift(few, NAMES) is None
    assert watch_drift([], NAMES) is None


# -- another student -------------------------------------------------------------------------------


def test_a_promotion_is_no_drift() -> None:
    promoted = figures(13, student="2026-01-18", loss=0.4, cars=3.0)
    after = [figures(14 + d, student="2026-01-18", loss=0.4, cars=3.0) for d in range(10)]
    record = verdict([*days(14), promoted, *after])
    assert record.state == "quiet"
    assert alarms(record) == []
    assert max(p.statistic for p in record.course if p.statistic is not None) == 0.0
    assert [p.date for p in record.course] == [MONDAY + timedelta(days=d) for d in range(24)]


def test_a_promotion_does_not_hide_a_drift() -> None:
    drifting = [figures(14 + d, cars=4.0) for d in range(2)]
    promoted = figures(15, student="new", loss=0.4, cars=6.0)
    record = verdict(
        [*days(14), *drifting, promoted, figures(16, student="new", loss=0.4, cars=6.0)]
    )
    assert record.state == "drift"
    assert "car objects a frame: 6 instead of 3" in record.reason
    assert "L_conf" not in record.reason


def test_several_nights_of_one_day_are_one_day() -> None:
    again = [figures(13), figures(13, student="b", cars=3.0), figures(13, student="b", cars=3.0)]
    third = [figures(13, student="c", cars=1.0), figures(14, student="c", cars=1.0)]
    record = verdict([*days(13), *again, *third])
    assert len(record.course) == 15
    assert record.course[-1].statistic == 0.0


def test_of_two_records_of_a_day_the_later_counts() -> None:
    record = verdict([*days(14), figures(14, cars=9.0), figures(14)])
    assert len(record.course) == 15
    assert record.course[-1].statistic == 0.0


def test_without_a_link_learning_begins_anew() -> None:
    record = verdict([*days(20), figures(20, student="other", loss=0.4)])
    assert record.state == "learning"
    assert len(record.course) == 1


def test_other_classes_begin_anew() -> None:
    other = figures(20)
    slots = tuple(s.model_copy(update={"objects": (1.0,)}) for s in other.slots)
    assert len(verdict([*days(20), other.model_copy(update={"slots": slots})]).course) == 1


# -- the figures -----------------------------------------------------------------------------------


def found(*pairs: tuple[int, float]) -> Detections:
    boxes = np.tile(np.array([1, 1, 9, 9], np.float32), (len(pairs), 1))
    labels, scores = zip(*pairs, strict=True) if pairs else ((), ())
    return Detections(boxes, np.array(scores, np.float32), np.array(labels, np.int64))


def local(hour: int) -> datetime:
    return datetime(2026, 1, 5, hour, 30).astimezone().astimezone(UTC)


def frame(number: int, hour: int) -> StoredFrame:
    return StoredFrame(
        id=number, path="x.jpg", time_s=0.0, wall_time=local(hour), part=0, confidence_loss=0.0
    )


def test_figures_of_three_frames_by_hand() -> None:
    confidence = confidence_plan()
    seen = {0: found((0, 0.5), (1, 0.9), (1, 0.1)), 1: found((1, 0.3)), 2: found()}
    record = day_figures(
        [frame(0, 9), frame(1, 8), frame(2, 23)],
        seen, box_task(*NAMES, confidence=confidence), day=MONDAY, student="start",
    )  # fmt: skip
    morning, night = record.slots
    assert (morning.slot, night.slot) == (4, 11)
    assert (morning.frames, morning.busy, morning.detections) == (2, 2, 3)  # 0.1 is below 0.2
    assert morning.objects == pytest.approx((0.5, 1.2))
    assert morning.loss == pytest.approx(sum(confidence.loss_of(seen[i]) for i in (0, 1)))
    assert night == SlotFigures(
        slot=11, frames=1, busy=0, loss=0.0, detections=0, objects=(0.0, 0.0)
    )
    assert DayFigures.model_validate(record.model_dump(mode="json")) == record


def test_slots_go_by_the_local_clock() -> None:
    assert [slot_of(local(hour)) for hour in (0, 1, 2, 12, 23)] == [0, 0, 1, 6, 11]


def test_slots_follow_the_machines_time_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    moment = datetime(2026, 1, 5, 1, tzinfo=UTC)
    try:
        monkeypatch.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        assert slot_of(moment) == 5  # ten in the morning
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_table_has_a_column_for_each_figure() -> None:
    table = as_table([figures(0, slots=[3]), figures(1, slots=[4])])
    assert table.sums.shape == (2, len(figure_names(NAMES)), SLOTS)
    assert table.units[0, 0, 4] == 0
    assert table.values()[0] == pytest.approx([0.5, 0.5, 0.5, 0.25, 1.0])


def test_a_table_of_a_day_without_detections_has_no_mean_score() -> None:
    nothing = figures(0)
    slots = tuple(s.model_copy(update={"detections": 0}) for s in nothing.slots)
    values = as_table([nothing.model_copy(update={"slots": slots})]).values()[0]
    assert np.isnan(values).tolist() == [False, False, True, False, False]


def test_a_watched_day_gives_figures_without_a_night(tmp_path: Path) -> None:
    plan = IngestPlan(
        interval_s=60.0, survivors=6, random=6, held=6, looks=None, parts=12,
        control=control_plan(frames=12),
        task=box_task(*NAMES), gate=gate_plan(), seed=0,
    )  # fmt: skip
    clock = DayClock.on(MONDAY)
    watched, image = WatchedDay(tmp_path, clock), np.zeros((8, 8, 3), np.uint8)
    with DayWriter(tmp_path, plan, clock=clock) as writer:
        assert figures_of_watched_day(watched, plan) is None
        for minute in range(1440):
            at = clock.midnight + timedelta(minutes=minute)
            frame = Frame(image, 60.0 * minute, at, "yard")
            model = "old" if minute < 600 else "new"
            writer.take(frame, found((1, 0.5)), scored=True, model=model)
        day = writer.day
    record = figures_of_watched_day(watched, plan)
    assert record is not None
    assert (record.date, record.student) == (MONDAY, "new")
    assert {s.slot for s in record.slots} <= set(range(5, 12))
    assert sum(s.frames for s in record.slots) == sum(
        day.frames[i].model == "new" for i in day.control_ids
    )
    assert all(s.objects == pytest.approx((0.0, 0.5 * s.frames)) for s in record.slots)


def test_records_of_older_nights_still_load() -> None:
    night = night_record()
    for record, kind in ((night.ingest, IngestRecord), (night.judge, JudgeRecord)):
        stored = record.model_dump(mode="json")
        del stored["figures"]
        assert kind.model_validate(stored).figures is None
