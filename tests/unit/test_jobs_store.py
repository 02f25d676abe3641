"""The store: which night is resumed, which is refused, and that nothing written is lost."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from jobs.errors import NightError, disk_full_cause
from jobs.store import NightJournal, Store, StoreError, metadata
from tests.unit.small_night import DAY, START, night_record


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


def dead_pid() -> int:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def edit(store: Store, **values: object) -> None:
    with sqlite3.connect(store.path) as connection:
        for column, value in values.items():
            connection.execute(f"UPDATE nights SET {column} = ?", (value,))
    connection.close()


# -- nights ----------------------------------------------------------------------------------------


def test_a_done_night_is_followed_by_a_new_one_with_the_next_run_id(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        ids = []
        for _ in range(3):
            night = store.open_night("yard", DAY)
            ids.append(night.run_id)
            store.finish_night(night.id, night_record())
        assert ids == ["2026-11-21", "2026-11-21.2", "2026-11-21.3"]
        other = store.open_night("door", DAY)
        assert (other.run_id, other.attempt, other.state) == ("2026-11-21", 1, "running")


@pytest.mark.parametrize("how", ["killed", "interrupted", "failed"])
def test_an_unfinished_night_is_resumed_with_its_stages(tmp_path: Path, how: str) -> None:
    with Store(tmp_path) as store:
        night = store.open_night("yard", DAY)
        store.save_stage(night.id, "ingest", {"frames": 3})
        if how == "killed":
            edit(store, pid=dead_pid())
        elif how == "interrupted":
            store.interrupt_night(night.id)
        else:
            store.fail_night(night.id, "no labels")
    with Store(tmp_path) as store:
        again = store.open_night("yard", DAY + timedelta(days=1))  # past midnight, the same night
        assert (again.id, again.run_id, again.attempt) == (night.id, night.run_id, 2)
        assert (again.state, again.error, again.started_at) == ("running", None, night.started_at)
        assert NightJournal(store, again).load("ingest") == {"frames": 3}


def test_a_night_is_not_resumed_when_old_or_fresh_or_under_other_settings(tmp_path: Path) -> None:
    clock = Clock()
    with Store(tmp_path, now=clock) as store:
        first = store.open_night("yard", DAY, settings="a")
        store.interrupt_night(first.id)
        other = store.open_night("yard", DAY, settings="b")
        assert other.run_id == "2026-11-21.2"
        store.interrupt_night(other.id)
        fresh = store.open_night("yard", DAY, settings="b", fresh=True)
        assert fresh.run_id == "2026-11-21.3"
        edit(store, pid=dead_pid())
        clock.now += timedelta(hours=24)
        late = store.open_night("yard", DAY + timedelta(days=1), settings="b")
        assert late.run_id == "2026-11-22"
        given_up = store.night(fresh.id)
        assert given_up.state == "failed"
        assert given_up.error == "its process died, and a new night was begun"


def test_a_living_process_is_not_disturbed(tmp_path: Path) -> None:
    with Store(tmp_path) as store, Store(tmp_path) as second:
        night = store.open_night("yard", DAY)
        pattern = rf"camera 'yard': night 2026-11-21 is being run by process {os.getpid()} since"
        for fresh in (False, True):
            with pytest.raises(NightError, match=pattern):
                second.open_night("yard", DAY, fresh=fresh)
        assert store.night(night.id).attempt == 1


def test_another_process_with_the_same_pid_is_not_taken_for_it(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        night = store.open_night("yard", DAY)
        edit(store, process="another boot:1")
        assert store.open_night("yard", DAY).id == night.id


def test_record_and_error_survive(tmp_path: Path) -> None:
    record = night_record()
    with Store(tmp_path) as store:
        assert store.latest_night("yard") is None
        first = store.open_night("yard", DAY)
        store.finish_night(first.id, record)
        second = store.open_night("yard", DAY)
        store.fail_night(second.id, "the teacher is gone")
    with Store(tmp_path) as store:
        latest = store.latest_night("yard")
        assert latest is not None
        assert (latest.run_id, latest.state) == ("2026-11-21.2", "failed")
        assert (latest.error, latest.record) == ("the teacher is gone", None)
        done = store.latest_night("yard", state="done")
        assert done is not None
        assert done.record == record
        assert done.finished_at is not None
        assert done.finished_at.tzinfo is UTC
        assert [night.run_id for night in store.nights()] == ["2026-11-21.2", "2026-11-21"]
        with pytest.raises(StoreError, match="there is no night 99"):
            store.night(99)
        edit(store, record='{"camera": 1}')
        with pytest.raises(StoreError, match="was recorded by another release"):
            store.night(first.id)


@pytest.mark.parametrize(
    ("error", "state", "text"),
    [
        (NightError("no frames"), "failed", "no frames"),
        (ValueError("odd"), "failed", "unexpected ValueError: odd (--debug shows where)"),
        (KeyboardInterrupt(), "interrupted", "interrupted"),
    ],
)
def test_running_night_notes_how_it_ended(
    tmp_path: Path, error: BaseException, state: str, text: str
) -> None:
    def stop(journal: NightJournal) -> None:
        journal.save("ingest", {"a": 1})
        raise error

    with Store(tmp_path) as store:
        with pytest.raises(type(error)), store.running_night("yard", DAY) as journal:
            stop(journal)
        night = store.night(journal.night.id)
        assert (night.state, night.error) == (state, text)
        with store.running_night("yard", DAY) as journal:
            assert journal.load("ingest") == {"a": 1}
            store.finish_night(journal.night.id, night_record())
        assert store.night(night.id).state == "done"


# -- stages ----------------------------------------------------------------------------------------


def test_a_stage_saved_twice_keeps_the_last(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        journal = NightJournal(store, store.open_night("yard", DAY))
        assert journal.load("cull") is None
        journal.save("cull", {"kept": [1]})
        journal.save("cull", {"kept": [1, 2], "name": "×"})
        assert journal.load("cull") == {"kept": [1, 2], "name": "×"}


def test_a_stage_outlives_a_killed_process(tmp_path: Path) -> None:
    code = (
        "import os, pathlib, datetime\n"
        "from jobs.store import Store\n"
        f"store = Store(pathlib.Path({str(tmp_path)!r}))\n"
        "night = store.open_night('yard', datetime.date(2026, 11, 21))\n"
        "store.save_stage(night.id, 'ingest', {'a': 1})\n"
        "os.kill(os.getpid(), 9)\n"
    )
    root = Path(__file__).resolve().parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == -9
    with Store(tmp_path) as store:
        night = store.open_night("yard", DAY)
        assert night.attempt == 2
        assert store.stage_result(night.id, "ingest") == {"a": 1}


def test_a_stage_needs_its_night(tmp_path: Path) -> None:
    with Store(tmp_path) as store, pytest.raises(StoreError, match="FOREIGN KEY"):
        store.save_stage(7, "ingest", {})


# -- the database ----------------------------------------------------------------------------------


def test_settings_of_the_database(tmp_path: Path) -> None:
    with Store(tmp_path / "new") as store, store._engine.connect() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert pragmas == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "busy_timeout": 30_000,
    }
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700


def test_upgraded_schema_equals_the_metadata(tmp_path: Path) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    fresh = sa.create_engine(f"sqlite:///{tmp_path}/fresh.db")
    metadata.create_all(fresh)
    with Store(tmp_path) as store, store._engine.connect() as upgraded, fresh.connect() as made:
        context = MigrationContext.configure(upgraded, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
        for table in metadata.tables:  # what Alembic does not compare
            old, new = (sa.inspect(connection) for connection in (upgraded, made))
            assert old.get_check_constraints(table) == new.get_check_constraints(table)
            assert old.get_foreign_keys(table) == new.get_foreign_keys(table)
            assert [str(c) for c in old.get_columns(table)] == [
                str(c) for c in new.get_columns(table)
            ]
    fresh.dispose()


def test_a_schema_from_the_future_is_refused(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        path = store.path
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(StoreError, match="a newer culling wrote it"):
        Store(tmp_path)


def test_a_damaged_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "culling.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(StoreError, match=r"culling\.db: file is not a database"):
        Store(tmp_path)


def test_a_full_disk_is_recognised(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        night = store.open_night("yard", DAY)

        @sa.event.listens_for(store._engine, "begin")
        def _limit(connection: sa.Connection) -> None:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")

        with pytest.raises(StoreError, match="full") as caught:
            store.save_stage(night.id, "ingest", {"x": "y" * 100_000})
        assert disk_full_cause(caught.value) is not None
