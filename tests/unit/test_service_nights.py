"""The nights of a service: asked for once, shared, tried again, made up; with a clock of our own
through the real scheduler and the real store. Only the nights themselves are made up here.

`tests/integration/test_service_postgres.py` runs the same with PostgreSQL.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import time_machine

from benchmarks.nights import simulate
from benchmarks.testbed.nights import Quick, config_of, service_of
from benchmarks.testbed.small_night import night_record
from jobs.database.store import Store
from jobs.errors import EXIT_INTERRUPTED, EXIT_NIGHT
from jobs.executors.base import Outcome
from jobs.service.forecast import Forecast, forecast
from jobs.service.nights import Nights, Origin
from tests.unit.stores import Where

ORIGIN = Origin(Path("config.yaml"), {})
EIGHT = tuple(f"camera-{k}" for k in range(8))


@pytest.fixture
def clock() -> Iterator[time_machine.Coordinates]:
    with time_machine.travel(datetime(2026, 11, 20, 20, tzinfo=UTC), tick=False) as clock:
        yield clock


@pytest.fixture
def where(tmp_path: Path) -> Where:
    return Where(tmp_path)


@pytest.fixture
def store(where: Where) -> Iterator[Store]:
    with where.open() as store:
        yield store


def pass_time(
    nights: Nights, clock: time_machine.Coordinates, hours: float, step_s: int = 900
) -> None:
    for _ in range(int(3600 * hours / step_s)):
        clock.shift(step_s)
        nights.tick()


# -- exactly once ----------------------------------------------------------------------------------


@pytest.mark.parametrize("start", ["2026-10-23", "2027-03-26"])  # each with a change of clocks
def test_nights_run_once_each_through_restarts_and_an_outage(where: Where, start: str) -> None:
    """A short form of `benchmarks.nights`, which has thirty nights of eight cameras."""
    found = simulate(where.open, start, nights=6, cameras=2, step_s=1800)
    assert found["made_twice"] == found["not_made"] == found["nights_without_due"] == 0
    assert found["camera_nights"] == found["expected"] == 2 * (6 - 1)


def test_a_missed_night_is_made_up_once_and_not_of_a_new_camera(
    tmp_path: Path, store: Store, clock: time_machine.Coordinates
) -> None:
    config = config_of(tmp_path)
    nights = service_of(config, store, Quick(store))
    assert store.dues.all() == []  # it was not due before there was a service
    pass_time(nights, clock, 10)
    nights.stop()
    clock.shift(timedelta(hours=50))
    nights = service_of(config, store, Quick(store))
    again = service_of(config, store, Quick(store))
    for _ in range(3):
        clock.shift(1)
        nights.tick()
        again.tick()
    assert [due.state for due in store.dues.all()] == ["done", "done"]
    assert len(store.nights()) == 2


def test_two_services_share_the_nights(
    tmp_path: Path, where: Where, clock: time_machine.Coordinates
) -> None:
    config = config_of(tmp_path, EIGHT)
    with where.open() as one, where.open() as two:
        executors = [Quick(one), Quick(two)]
        both = [service_of(config, s, e) for s, e in zip((one, two), executors, strict=True)]
        clock.shift(timedelta(hours=10))  # all are due at once
        for _ in range(8):
            for nights in both:
                nights.tick()
        shares = [len(e.begun) for e in executors]
    assert sum(shares) == 8
    assert min(shares) > 0
    assert {name for e in executors for name, _ in e.begun} == set(EIGHT)


# -- what goes wrong -------------------------------------------------------------------------------


def test_a_failing_night_is_tried_again_with_longer_pauses_and_given_up(
    tmp_path: Path, store: Store, clock: time_machine.Coordinates
) -> None:
    executor = Quick(store)
    executor.fails["yard"] = Outcome(0, error="no labels", exit_code=EXIT_NIGHT)
    nights = service_of(config_of(tmp_path, tries=3, retry_after_s=60.0), store, executor)
    pass_time(nights, clock, 4.75)  # until a quarter of an hour before it is due
    pass_time(nights, clock, 0.5, step_s=10)
    began = [when for _, when in executor.begun]
    pauses = [(b - a).total_seconds() for a, b in pairwise(began)]
    assert pauses == [70.0, 250.0]  # the wait, and a tick to notice
    (due,) = store.dues.all()
    assert (due.state, due.attempt, due.error) == ("failed", 3, "no labels")
    del executor.fails["yard"]
    pass_time(nights, clock, 24)
    assert [due.state for due in store.dues.all()] == ["failed", "done"]


def test_a_night_that_is_tried_again_waits_for_its_pause_alone(
    tmp_path: Path, store: Store, clock: time_machine.Coordinates
) -> None:
    executor = Quick(store, slots=2)
    executor.fails["yard"] = Outcome(0, error="no labels", exit_code=EXIT_NIGHT)
    store.dues.ask("yard", datetime.now(UTC) - timedelta(hours=1))
    nights = service_of(config_of(tmp_path, retry_after_s=1.0), store, executor)
    pass_time(nights, clock, 4 / 3600, step_s=1)
    began = [when for _, when in executor.begun]
    assert [(b - a).total_seconds() for a, b in pairwise(began)] == [2.0]


@pytest.mark.parametrize(
    "ends",
    [
        Outcome(0, error="interrupted", exit_code=EXIT_INTERRUPTED),
        Outcome(0, error="is being run", exit_code=EXIT_NIGHT, busy=True),
        Outcome(0, error="connection refused", exit_code=EXIT_NIGHT, away=True),
    ],
)
def test_what_was_no_try_does_not_count_as_one(
    tmp_path: Path, store: Store, clock: time_machine.Coordinates, ends: Outcome
) -> None:
    executor = Quick(store)
    executor.fails["yard"] = ends
    nights = service_of(config_of(tmp_path, tries=1), store, executor)
    pass_time(nights, clock, 7)
    (due,) = store.dues.all()
    assert (due.state, due.attempt) in {("queued", 0), ("running", 1)}
    del executor.fails["yard"]
    pass_time(nights, clock, 1)
    assert [due.state for due in store.dues.all()] == ["done"]


def test_a_night_that_outlasts_the_next_due_has_one_successor(
    tmp_path: Path, store: Store, clock: time_machine.Coordinates
) -> None:
    executor = Quick(store)
    executor.ends = False
    nights = service_of(config_of(tmp_path), store, executor)
    pass_time(nights, clock, 24 * 3)
    assert len(executor.begun) == 1
    assert [due.state for due in store.dues.all()] == ["running", "dropped", "queued"]
    executor.ends = True
    pass_time(nights, clock, 1)
    assert [due.state for due in store.dues.all()] == ["done", "dropped", "done"]


def test_stopping_puts_nights_back_for_the_next_service(
    tmp_path: Path, store: Store, clock: time_machine.Coordinates
) -> None:
    executor = Quick(store)
    executor.ends = False
    nights = service_of(config_of(tmp_path), store, executor)
    pass_time(nights, clock, 7)
    nights.stop()
    (due,) = store.dues.all()
    assert (due.state, due.attempt) == ("queued", 0)
    pass_time(service_of(config_of(tmp_path), store, Quick(store)), clock, 1)
    assert [due.state for due in store.dues.all()] == ["done"]


def test_the_night_of_a_dead_service_is_taken_up_and_that_of_a_living_one_left(
    tmp_path: Path,
    store: Store,
    clock: time_machine.Coordinates,
    caplog: pytest.LogCaptureFixture,
) -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    dying = Quick(store)
    dying.ends = False
    pass_time(service_of(config_of(tmp_path), store, dying), clock, 7)
    other = service_of(config_of(tmp_path), store, Quick(store))
    pass_time(other, clock, 1)
    assert [due.state for due in store.dues.all()] == ["running"]
    with store.database.engine.begin() as connection:
        connection.execute(sa.text("UPDATE dues SET pid = :pid"), {"pid": child.pid})
    pass_time(other, clock, 1)
    (due,) = store.dues.all()
    assert (due.state, due.attempt) == ("done", 2)
    assert f"process {child.pid} on " in caplog.text
    assert ", which had it, died; its night is taken up" in caplog.text


@pytest.mark.parametrize(("minutes", "state"), [(4, "running"), (6, "done")])
def test_the_night_of_another_machine_is_taken_up_when_its_lease_has_run_out(
    tmp_path: Path, store: Store, clock: time_machine.Coordinates, minutes: int, state: str
) -> None:
    elsewhere = Quick(store)
    elsewhere.ends = False
    pass_time(service_of(config_of(tmp_path), store, elsewhere), clock, 6)
    with store.database.engine.begin() as connection:
        connection.execute(sa.text("UPDATE dues SET host = 'another', pid = 1"))
        lease = datetime.now(UTC).replace(tzinfo=None) + timedelta(minutes=5)
        connection.execute(sa.text("UPDATE dues SET lease_until = :t"), {"t": str(lease)})
    other = service_of(config_of(tmp_path), store, Quick(store))
    pass_time(other, clock, minutes / 60, step_s=10)
    assert [due.state for due in store.dues.all()] == [state]


def test_a_crontabs_night_counts_as_the_services_own(
    tmp_path: Path, store: Store, clock: time_machine.Coordinates
) -> None:
    config = config_of(tmp_path, window="06:00-08:00")
    executor = Quick(store)
    nights = service_of(config, store, executor)
    early = store.open_night("yard", date(2026, 11, 20))
    store.finish_night(early.id, night_record())  # before it was due: does not count
    pass_time(nights, clock, 6)
    (due,) = store.dues.all()
    assert due.state == "queued"
    own = store.open_night("yard", date(2026, 11, 21))
    store.finish_night(own.id, night_record())
    pass_time(nights, clock, 12)
    (due,) = store.dues.all()
    assert (due.state, due.night_id, executor.begun) == ("done", own.id, [])


def test_a_camera_that_left_the_configuration_is_let_go(
    tmp_path: Path, store: Store, clock: time_machine.Coordinates
) -> None:
    store.dues.ask("shed", datetime(2026, 11, 20, 19, tzinfo=UTC))
    nights = service_of(config_of(tmp_path), store, Quick(store))
    pass_time(nights, clock, 1)
    (due,) = store.dues.all()
    assert (due.state, due.error) == ("failed", "not in the configuration")


# -- window, budget, order -------------------------------------------------------------------------


def test_nights_begin_in_the_window_only(
    tmp_path: Path, store: Store, clock: time_machine.Coordinates
) -> None:
    zone = os.environ.get("TZ")
    executor = Quick(store)
    nights = service_of(config_of(tmp_path, EIGHT, window="23:30-00:30"), store, executor)
    pass_time(nights, clock, 48, step_s=300)
    local = {when.astimezone().strftime("%H:%M") for _, when in executor.begun}
    assert len(executor.begun) >= 8, zone
    assert all(t >= "23:30" or t < "00:30" for t in local)


def test_a_budget_lets_some_in_and_starves_nobody(
    tmp_path: Path, store: Store, clock: time_machine.Coordinates
) -> None:
    """Eight cameras whose nights cost 10 minutes each (as no ledger says), room for two."""
    config = config_of(tmp_path, EIGHT, budget_minutes=20, starve_nights=3)
    executor = Quick(store)
    nights = service_of(config, store, executor)
    pass_time(nights, clock, 15)
    assert len(executor.begun) == 2
    pass_time(nights, clock, 1.5)  # past noon another day's budget begins
    assert len(executor.begun) == 4
    pass_time(nights, clock, 24 * 9, step_s=3600)
    counts = Counter(name for name, _ in executor.begun)
    assert set(counts) == set(EIGHT)


def test_nights_beyond_the_budget_are_not_planned_anew_each_second(
    tmp_path: Path, store: Store, clock: time_machine.Coordinates, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = []

    def count(*args: Any, **kwargs: Any) -> Forecast:
        planned.append(datetime.now(UTC))
        return forecast(*args, **kwargs)

    monkeypatch.setattr("jobs.service.nights.forecast", count)
    executor = Quick(store)
    nights = service_of(config_of(tmp_path, EIGHT, budget_minutes=20), store, executor)
    pass_time(nights, clock, 7)
    planned.clear()
    pass_time(nights, clock, 5 / 60, step_s=1)
    assert len(executor.begun) == 2
    assert 10 < len(planned) <= 20  # of 300
