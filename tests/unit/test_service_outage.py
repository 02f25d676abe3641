"""The database or the disk is away for a while: the service watches on and catches up."""

from __future__ import annotations

import errno
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
import time_machine

from benchmarks.testbed.nights import ORIGIN, Quick, config_of, service_of
from benchmarks.testbed.small_night import night_record
from jobs.bucket.courier import Courier
from jobs.database.connection import AwayError, Database, StoreError
from jobs.database.patience import patiently
from jobs.database.store import Store
from jobs.errors import NightError
from jobs.executors.base import Outcome, Task
from jobs.executors.task import run_task
from jobs.service.nights import Nights
from jobs.service.notify import Notifier
from jobs.service.service import Service
from jobs.watch.watch import CameraWatch
from tests.unit.stores import Where

EVENING = datetime(2026, 11, 20, 20, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Where(tmp_path).open() as store:
        yield store


@contextmanager
def away(store: Store) -> Iterator[None]:
    """Meanwhile, the store's database cannot be opened."""
    engine = store.database.engine
    store.database.engine = sa.create_engine("sqlite:////no/such/folder/culling.db")
    try:
        yield
    finally:
        store.database.engine = engine


@contextmanager
def read_only(store: Store) -> Iterator[None]:
    """Meanwhile, the store's database can be read and not written, as on a read-only disk."""

    @sa.event.listens_for(store.database.engine, "begin")
    def refuse(connection: sa.Connection) -> None:
        connection.exec_driver_sql("PRAGMA query_only = ON")

    try:
        yield
    finally:
        sa.event.remove(store.database.engine, "begin", refuse)
        store.database.engine.dispose()


def tick(nights: Nights, clock: time_machine.Coordinates, times: int = 1) -> int:
    """How often it could not be done."""
    failed = 0
    for _ in range(times):
        clock.shift(20)
        try:
            nights.tick()
        except StoreError:
            failed += 1
    return failed


@pytest.mark.parametrize("outage", [away, read_only])
def test_the_end_of_a_night_is_kept_until_it_can_be_written(
    tmp_path: Path, store: Store, outage: object
) -> None:
    assert callable(outage)
    with time_machine.travel(EVENING, tick=False) as clock:
        executor = Quick(store)
        nights = service_of(config_of(tmp_path), store, executor)
        store.dues.ask("yard", EVENING)
        assert tick(nights, clock) == 0
        (task,) = executor.running
        done = executor.finished()
        assert store.dues.all()[0].state == "running"
        executor.finished = lambda: [done.pop()] if done else []  # type: ignore[method-assign]
        with outage(store):
            assert tick(nights, clock, 3) == 3
            assert not done  # it has been collected, and cannot be written
        assert tick(nights, clock) == 0
        (due,) = store.dues.all()
    assert (due.id, due.state, due.attempt) == (task.due_id, "done", 1)


def test_a_night_that_was_due_meanwhile_is_asked_for_once_afterwards(
    tmp_path: Path, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    with time_machine.travel(EVENING, tick=False) as clock:
        nights = service_of(config_of(tmp_path), store, Quick(store))
        with away(store):
            assert tick(nights, clock, 1300) > 0  # past 03:00 in Berlin
        tick(nights, clock, 3)
        assert [due.state for due in store.dues.all()] == ["done"]
    assert "raised an exception" not in caplog.text


def test_a_night_of_which_nobody_knows_whether_it_was_claimed_is_not_lost(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = store.dues.claim

    def answer_is_lost(due_id: int) -> bool:
        claim(due_id)
        message = "the server closed the connection"
        raise StoreError(message)

    with time_machine.travel(EVENING, tick=False) as clock:
        nights = service_of(config_of(tmp_path), store, Quick(store))
        store.dues.ask("yard", EVENING)
        monkeypatch.setattr(store.dues, "claim", answer_is_lost)
        assert tick(nights, clock) == 1
        assert store.dues.all()[0].state == "running"
        monkeypatch.undo()
        assert tick(nights, clock, 3) == 0
        (due,) = store.dues.all()
    assert (due.state, due.attempt) == ("done", 1)


def test_a_night_whose_process_cannot_be_started_is_tried_again(
    tmp_path: Path, store: Store
) -> None:
    class Full(Quick):
        def start(self, task: Task) -> None:
            raise OSError(11, "Resource temporarily unavailable")

    with time_machine.travel(EVENING, tick=False) as clock:
        nights = service_of(config_of(tmp_path), store, Full(store))
        store.dues.ask("yard", EVENING)
        tick(nights, clock, 2)
        (due,) = store.dues.all()
    assert (due.state, due.attempt) == ("queued", 1)


def test_stopping_meanwhile_leaves_the_nights_to_the_next_service(
    tmp_path: Path, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    with time_machine.travel(EVENING, tick=False) as clock:
        nights = service_of(config_of(tmp_path), store, Quick(store))
        store.dues.ask("yard", EVENING)
        tick(nights, clock)
        with away(store):
            nights.stop()
    assert "the next service takes up the nights of this one" in caplog.text


def test_the_service_watches_on_and_says_so_once(
    tmp_path: Path, store: Store, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr("jobs.service.service.TICK_S", 0.01)
    service = Service(config_of(tmp_path, port=None), ORIGIN, store, Quick(store))
    thread = threading.Thread(target=service.run)
    thread.start()
    said = "cameras are watched on, nights wait until it is back"
    with away(store):
        store.database.engine.dispose()
        wait_for(lambda: said in caplog.text)
        time.sleep(0.2)  # twenty more attempts
        assert thread.is_alive()
    store.dues.ask("yard", datetime.now(UTC))
    wait_for(lambda: store.dues.all()[0].state == "done")
    service.stop()
    thread.join(60)
    assert caplog.text.count(said) == 1
    assert caplog.text.count("nights go on after") == 1


def test_watching_goes_on_while_nobody_knows_which_days_are_done(
    tmp_path: Path, store: Store, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_of(tmp_path)
    monkeypatch.setattr("jobs.watch.watch.DISK_S", 0.0)
    (tmp_path / "days" / "yard").mkdir(parents=True)
    watch = CameraWatch(config, [], store)
    with away(store):
        monkeypatch.setattr(watch._disk_budget, "enforce", lambda _: store.nights())
        watch._look_around()
        watch._look_around()
    assert caplog.text.count("nothing is deleted to make room now") == 1


def test_the_courier_goes_on(
    tmp_path: Path, store: Store, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = config_of(tmp_path)
    courier = Courier(shared, ["yard"], store)
    monkeypatch.setattr(courier._sharing, "days", object(), raising=False)
    with away(store):
        courier._carry(with_today=False)
    assert "not sent or brought now" in caplog.text


def test_people_hear_of_a_night_that_keeps_waiting_once(
    tmp_path: Path, store: Store, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(Notifier, "__call__", lambda _, *what: told.append(what[2]))
    with time_machine.travel(EVENING, tick=False) as clock:
        executor = Quick(store)
        executor.fails["yard"] = Outcome(0, error="the disk is full", away=True)
        nights = service_of(config_of(tmp_path, tries=1), store, executor)
        store.dues.ask("yard", EVENING)
        tick(nights, clock, 2)
        assert (told, store.dues.all()[0].attempt) == ([], 0)
        tick(nights, clock, 5)
        assert told == ["yard: its night waits"]
        executor.fails.clear()
        tick(nights, clock, 5)
    assert store.dues.all()[0].state == "done"


@pytest.mark.parametrize("outage", [away, read_only])
def test_a_night_that_cannot_be_put_back_now_is_not_logged_again_and_again(
    tmp_path: Path, store: Store, caplog: pytest.LogCaptureFixture, outage: object
) -> None:
    assert callable(outage)
    with time_machine.travel(EVENING, tick=False) as clock:
        executor = Quick(store)
        executor.fails["yard"] = Outcome(0, error="no labels", exit_code=5)
        nights = service_of(config_of(tmp_path), store, executor)
        store.dues.ask("yard", EVENING)
        tick(nights, clock)
        with outage(store):
            assert tick(nights, clock, 3) == 3
        tick(nights, clock)
    assert caplog.text.count("no labels; tried again in") == 1


def a_task(folder: Path) -> Task:
    path = folder / "config.yaml"
    path.write_text("data_dir: data\ncameras: {yard: {source: yard.mp4, classes: [person]}}\n")
    return Task(1, "yard", path)


def test_a_night_without_its_database_has_not_been_tried(tmp_path: Path) -> None:
    (tmp_path / "data" / "culling.db").mkdir(parents=True)
    outcome = run_task(a_task(tmp_path))
    assert "unable to open database file" in (outcome.error or "")
    assert outcome.away


@pytest.mark.parametrize(
    ("number", "is_away"),
    [(errno.ENOSPC, True), (errno.EDQUOT, True), (errno.EROFS, True), (errno.ENOENT, False)],
)
def test_a_night_whose_disk_takes_nothing_has_not_been_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, is_away: bool
) -> None:
    def fails(*_: object, **__: object) -> None:
        try:
            raise OSError(number, os.strerror(number), "frame.jpg")
        except OSError as error:
            raise NightError("cannot be written") from error  # noqa: EM101

    monkeypatch.setattr("jobs.nights.nightly.retrain_camera", fails)
    assert run_task(a_task(tmp_path)).away is is_away


def test_a_night_waits_for_its_database(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.database.patience.PAUSE_S", 0.0)
    fails = [AwayError("refused")] * 3

    def work() -> str:
        if fails:
            raise fails.pop()
        return "done"

    assert patiently(work) == "done"
    assert caplog.text.count("refused: the night waits for it, up to 300 s") == 1
    assert caplog.text.count("the database is back") == 1
    monkeypatch.setattr("jobs.database.patience.PATIENCE_S", 0.0)
    fails.extend([AwayError("refused")] * 9)
    with pytest.raises(AwayError):
        patiently(work)


def test_a_night_whose_end_was_written_already_is_not_in_the_history_twice(store: Store) -> None:
    with store.running_night("yard", EVENING.date()) as journal:
        journal.finish(night_record())
        before = store.history.of("yard"), store.nights()
        journal.finish(night_record())
        assert before == (store.history.of("yard"), store.nights())


def test_a_database_that_is_away_at_the_start_is_made_ready_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.service.service.TICK_S", 0.01)
    is_there = threading.Event()
    migrate = Database._migrate

    def perhaps(database: Database) -> None:
        if not is_there.is_set():
            raise AwayError("connection refused")  # noqa: EM101
        migrate(database)

    monkeypatch.setattr(Database, "_migrate", perhaps)
    with pytest.raises(AwayError):
        Store(tmp_path)
    store = Store(tmp_path, may_be_away=True)
    service = Service(config_of(tmp_path, port=None), ORIGIN, store, Quick(store))
    thread = threading.Thread(target=service.run)
    thread.start()
    wait_for(lambda: "nights wait until it is back" in caplog.text)
    is_there.set()
    wait_for(lambda: store.database.is_ready)
    store.dues.ask("yard", datetime.now(UTC))
    wait_for(lambda: store.dues.all()[0].state == "done")
    service.stop()
    thread.join(60)
    store.close()
    assert caplog.text.count("nights wait until it is back") == 1


def wait_for(is_so: object) -> None:
    assert callable(is_so)
    deadline_s = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
