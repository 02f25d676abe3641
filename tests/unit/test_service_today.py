"""What the service knows of a day that still goes on: its L_conf, its drift, an early night.

The daybooks, the store, the order and the test for drift are real; only the nights are made up.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest
import time_machine

from benchmarks.testbed.nights import Quick, config_of, service_of
from benchmarks.testbed.small_night import DAY, night_record
from culling_pipeline.day.daybook import DAYBOOK, DayClock
from culling_pipeline.day.watched_day import WatchedDay
from culling_pipeline.monitoring.daily_figures import figures_of_watched_day
from culling_pipeline.monitoring.drift import drift_of_night, watch_drift
from culling_pipeline.records.day import DayFigures, IngestRecord, LossPoint
from culling_pipeline.records.monitoring import ViewRecord
from culling_pipeline.records.night import NightRecord
from jobs.cameras.day_plan import ingest_plan
from jobs.cameras.watched_days import date_of_night
from jobs.commands.tonight import tonight
from jobs.config.settings import Config
from jobs.database.history import REACH
from jobs.database.store import Store
from jobs.service.forecast import forecast
from jobs.service.today import Today
from tests.unit.stores import Where
from tests.unit.watched import write_day

USUAL, MANY = 1, 5
"""People in each frame."""


@pytest.fixture
def where(tmp_path: Path) -> Where:
    return Where(tmp_path)


@pytest.fixture
def store(where: Where) -> Iterator[Store]:
    with where.open() as store:
        yield store


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return config_of(tmp_path)


@pytest.fixture
def clock() -> Iterator[time_machine.Coordinates]:
    noon = DayClock.on(DAY).midnight.astimezone(UTC) + timedelta(hours=16)
    with time_machine.travel(noon, tick=False) as clock:
        yield clock


@cache
def figures(people: int) -> DayFigures:
    """Of a whole day, as its night would have them."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_day(folder, DAY, people=people)
        plan = ingest_plan(config_of(folder).cameras["yard"])
        found = figures_of_watched_day(WatchedDay(folder, DayClock.on(DAY)), plan)
    assert found is not None
    return found


def of_day(
    day: date, people: int = USUAL, *, student: str = "start", after: DayFigures | None = None,
    view: ViewRecord | None = None,
) -> NightRecord:  # fmt: skip
    """A night's record with the figures of its day; with `after` its student was promoted."""
    record = night_record(run_id=str(day))
    own = figures(people).model_copy(update={"date": day, "student": student})
    return record.model_copy(
        update={
            "date": day,
            "ingest": record.ingest.model_copy(update={"figures": own}),
            "judge": record.judge.model_copy(update={"figures": after}),
            "version": None if after is None else after.student,
            "view": view,
        }
    )


def finish(store: Store, record: NightRecord) -> None:
    night = store.open_night(record.camera, record.date)
    store.finish_night(night.id, record)


def history_before(store: Store, day: date, *, drifted: int = 0, usual: int = 16) -> None:
    for back in range(usual + drifted, 0, -1):
        people = MANY if back <= drifted else USUAL
        finish(store, of_day(day - timedelta(days=back), people))


# -- the history -----------------------------------------------------------------------------------


def test_a_day_is_added_by_its_night_and_twice_where_a_student_was_promoted(store: Store) -> None:
    finish(store, of_day(DAY - timedelta(days=1)))
    new = figures(USUAL).model_copy(update={"student": "v2"})
    finish(store, of_day(DAY, after=new))
    assert [(f.date, f.student) for f in store.history.of("yard")] == [
        (DAY - timedelta(days=1), "start"), (DAY, "start"), (DAY, "v2")
    ]  # fmt: skip
    assert store.history.of("yard")[2] == new
    assert store.history.of("door") == ()


def test_a_candidate_that_was_not_promoted_is_no_history(store: Store) -> None:
    record = of_day(DAY, after=figures(USUAL).model_copy(update={"student": "v2"}))
    finish(store, record.model_copy(update={"version": None}))
    assert [f.student for f in store.history.of("yard")] == ["start"]


def test_a_settled_view_begins_a_new_history(store: Store) -> None:
    history_before(store, DAY, usual=3)
    settled = ViewRecord(date=DAY, state="settled", reason="three days")
    record = of_day(DAY, view=settled)
    finish(store, record)
    assert [f.date for f in store.history.of("yard")] == [DAY]
    verdict = drift_of_night(record, [figures(MANY)] * 20, ["person"])
    assert verdict is not None
    assert len(verdict.course) == 1


def test_a_day_made_up_later_and_one_long_ago_do_not_count(store: Store) -> None:
    finish(store, of_day(DAY - REACH))
    finish(store, of_day(DAY))
    late = of_day(DAY - timedelta(days=1))
    finish(store, late)
    assert [f.date for f in store.history.of("yard")] == [DAY - REACH, DAY]
    assert drift_of_night(late, store.history.of("yard"), ["person"]) is None
    finish(store, of_day(DAY + timedelta(days=1)))
    assert [f.date for f in store.history.of("yard")] == [DAY, DAY + timedelta(days=1)]


def test_a_nights_verdict_is_that_of_its_history(store: Store) -> None:
    history_before(store, DAY, drifted=2)
    verdict = drift_of_night(of_day(DAY, MANY), store.history.of("yard"), ["person"])
    assert verdict is not None
    assert verdict.state == "drift"
    assert "objects a frame" in verdict.reason
    finish(store, of_day(DAY, MANY).model_copy(update={"drift": verdict}))
    told = store.latest_nights()["yard"].figures
    assert told is not None
    assert told.drift == verdict.reason


def test_two_nights_of_a_day_are_linked_by_what_each_saw(store: Store) -> None:
    """An early night promoted a student that finds five where the old one finds one; the day's own
    night then saw the whole day, with the new student only."""
    history_before(store, DAY)
    seen_by_new = figures(MANY).model_copy(update={"student": "v2"})
    finish(store, of_day(DAY, after=seen_by_new))
    finish(store, of_day(DAY, MANY, student="v2"))
    verdict = watch_drift(store.history.of("yard"), ["person"])
    assert verdict is not None
    assert len(verdict.course) == 17
    assert verdict.state == "quiet"
    assert max(abs(f.statistic) for f in verdict.figures) < 1


# -- today -----------------------------------------------------------------------------------------


def test_todays_loss_is_that_of_the_day_the_night_is_about(
    store: Store, config: Config, clock: time_machine.Coordinates
) -> None:
    today = Today(config, store)
    assert today.mean_loss("yard") is None  # a recording
    clock.shift(timedelta(hours=1))
    write_day(config.day_dir("yard", DAY - timedelta(days=1)), DAY, people=1, loss=2.5)
    write_day(config.day_dir("yard", DAY), DAY, people=1, hours=1, loss=0.25)
    assert today.mean_loss("yard") == pytest.approx(2.5)
    record = of_day(DAY - timedelta(days=1))
    finish(store, record.model_copy(update={"ingest": with_course(record)}))
    assert today.mean_loss("yard") == pytest.approx(2.5)  # read an hour ago at most
    clock.shift(timedelta(hours=1))
    assert today.mean_loss("yard") == pytest.approx(0.25)
    assert "L_conf -75%" in tonight(config, store).lines[0].why


def test_the_order_of_nights_goes_by_todays_loss(store: Store) -> None:
    for camera in ("calm", "odd"):
        night = store.open_night(camera, DAY)
        record = night_record(camera, night.run_id)
        store.finish_night(night.id, record.model_copy(update={"ingest": with_course(record)}))
    losses = {"calm": 1.0, "odd": 3.0}
    plan = forecast(store, ["calm", "odd"], starve_nights=7, today_loss=losses.get)
    assert [p.camera for p in plan.order] == ["odd", "calm"]
    assert "L_conf +200%" in plan.order[0].why


def with_course(record: NightRecord) -> IngestRecord:
    """A day with a mean L_conf of 1."""
    point = LossPoint(wall_time=record.started_at, frames=100, mean=1.0, p90=2.0)
    return record.ingest.model_copy(update={"course": (point,)})


def dues(store: Store) -> list[tuple[str, str]]:
    return [(due.reason, due.state) for due in store.dues.all("yard")]


@pytest.mark.parametrize("early", [True, False])
def test_a_day_that_drifts_has_its_night_early_and_once(
    store: Store, config: Config, clock: time_machine.Coordinates, early: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    config = config_of(config.data_dir, early_nights=early)
    with time_machine.travel(datetime.now(UTC) - timedelta(days=1), tick=False):
        history_before(store, DAY, drifted=2)
    write_day(config.day_dir("yard", DAY), DAY, people=MANY, hours=16)
    nights = service_of(config, store, Quick(store))
    nights.tick()
    assert dues(store) == []  # looked at once an hour
    for _ in range(2):
        clock.shift(timedelta(hours=1))
        nights.tick()
        nights.tick()
    assert dues(store) == ([("drift", "done")] if early else [])
    assert "yard: drift: " in caplog.text


def test_a_day_that_cannot_be_read_stops_no_nights(
    store: Store, config: Config, clock: time_machine.Coordinates, caplog: pytest.LogCaptureFixture
) -> None:
    config = config_of(config.data_dir, ("yard", "door"))
    with time_machine.travel(datetime.now(UTC) - timedelta(days=1), tick=False):
        history_before(store, DAY, usual=2)
    write_day(config.day_dir("yard", DAY), DAY, people=USUAL, hours=16)
    with (config.day_dir("yard", DAY) / DAYBOOK).open("a") as daybook:
        daybook.write('{"at": "noon"}\n')
    executor = Quick(store)
    nights = service_of(config, store, executor)
    for camera in ("yard", "door"):
        store.dues.ask(camera, datetime.now(UTC), reason="asked")
    for _ in range(6):
        clock.shift(timedelta(minutes=20))
        nights.tick()
    assert {camera for camera, _ in executor.begun} == {"yard", "door"}
    assert "yard: its day could not be read" in caplog.text


def test_a_usual_day_and_one_that_had_its_night_have_no_early_one(
    store: Store, config: Config, clock: time_machine.Coordinates
) -> None:
    history_before(store, DAY, drifted=2)
    write_day(config.day_dir("yard", DAY), DAY, people=USUAL, hours=16)
    today = Today(config, store)
    clock.shift(timedelta(hours=1))
    assert today.alarm() is None
    write_day(config.day_dir("yard", DAY), DAY, people=MANY, hours=16)
    assert today.alarm() is None  # not its turn yet
    clock.shift(timedelta(hours=1))
    assert today.alarm() is not None
    finish(store, of_day(DAY, MANY))
    clock.shift(timedelta(hours=1))
    assert today.alarm() is None


def test_an_early_night_does_not_use_its_day_up(
    store: Store, config: Config, clock: time_machine.Coordinates
) -> None:
    write_day(config.day_dir("yard", DAY), DAY, people=USUAL, hours=1)
    finish(store, of_day(DAY))
    clock.shift(timedelta(hours=12))
    tomorrow = DAY + timedelta(days=1)
    write_day(config.day_dir("yard", tomorrow), tomorrow, people=USUAL, hours=1)
    assert date_of_night(config, "yard", store) == DAY
    finish(store, of_day(DAY))
    assert date_of_night(config, "yard", store) == tomorrow
