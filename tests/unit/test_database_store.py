"""The store: which night is resumed, which is refused, and that nothing written is lost.

`tests/integration/test_store_postgres.py` runs the same with PostgreSQL.
"""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from benchmarks.testbed.small_night import DAY, START, night_record
from jobs.database.connection import MIGRATIONS, REVISION, Database, StoreError
from jobs.database.figures import Figures, Past
from jobs.database.store import NightJournal
from jobs.database.tables import dues_table, metadata, nights_table, records_table
from jobs.errors import NightError
from tests.unit.stores import Where, edit


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


@pytest.fixture
def where(tmp_path: Path) -> Where:
    return Where(tmp_path)


# -- nights ----------------------------------------------------------------------------------------


def test_a_done_night_is_followed_by_a_new_one_with_the_next_run_id(where: Where) -> None:
    with where.open() as store:
        ids = []
        for _ in range(3):
            night = store.open_night("yard", DAY)
            ids.append(night.run_id)
            store.finish_night(night.id, night_record())
        assert ids == ["2026-11-21", "2026-11-21.2", "2026-11-21.3"]
        other = store.open_night("door", DAY)
        assert (other.run_id, other.attempt, other.state) == ("2026-11-21", 1, "running")


@pytest.mark.parametrize("how", ["killed", "interrupted", "failed"])
def test_an_unfinished_night_is_resumed_with_its_stages(where: Where, how: str) -> None:
    with where.open() as store:
        night = store.open_night("yard", DAY)
        store.save_stage(night.id, "ingest", {"frames": 3})
        if how == "killed":
            edit(store, nights_table, pid=dead_pid())
        elif how == "interrupted":
            store.interrupt_night(night.id)
        else:
            store.fail_night(night.id, "no labels")
    with where.open() as store:
        again = store.open_night("yard", DAY + timedelta(days=1))  # past midnight, the same night
        assert (again.id, again.run_id, again.attempt) == (night.id, night.run_id, 2)
        assert (again.state, again.error, again.started_at) == ("running", None, night.started_at)
        assert NightJournal(store, again).load("ingest") == {"frames": 3}


def test_a_night_is_not_resumed_when_old_or_fresh_or_under_other_settings(where: Where) -> None:
    clock = Clock()
    with where.open(now=clock) as store:
        first = store.open_night("yard", DAY, settings="a")
        store.interrupt_night(first.id)
        other = store.open_night("yard", DAY, settings="b")
        assert other.run_id == "2026-11-21.2"
        store.interrupt_night(other.id)
        fresh = store.open_night("yard", DAY, settings="b", fresh=True)
        assert fresh.run_id == "2026-11-21.3"
        edit(store, nights_table, pid=dead_pid())
        clock.now += timedelta(hours=24)
        late = store.open_night("yard", DAY + timedelta(days=1), settings="b")
        assert late.run_id == "2026-11-22"
        given_up = store.night(fresh.id)
        assert given_up.state == "failed"
        assert given_up.error == "its process died, and a new night was begun"


def test_a_living_process_is_not_disturbed(where: Where) -> None:
    with where.open() as store, where.open() as second:
        night = store.open_night("yard", DAY)
        pattern = rf"camera 'yard': night 2026-11-21 is being run by process {os.getpid()} since"
        for fresh in (False, True):
            with pytest.raises(NightError, match=pattern):
                second.open_night("yard", DAY, fresh=fresh)
        assert store.night(night.id).attempt == 1


def test_another_process_with_the_same_pid_is_not_taken_for_it(where: Where) -> None:
    with where.open() as store:
        night = store.open_night("yard", DAY)
        edit(store, nights_table, process="another boot:1")
        assert store.open_night("yard", DAY).id == night.id


def test_record_and_error_survive(where: Where) -> None:
    record = night_record()
    with where.open() as store:
        assert store.latest_night("yard") is None
        first = store.open_night("yard", DAY)
        store.finish_night(first.id, record)
        second = store.open_night("yard", DAY)
        store.fail_night(second.id, "the teacher is gone")
    with where.open() as store:
        latest = store.latest_night("yard")
        assert latest is not None
        assert (latest.run_id, latest.state) == ("2026-11-21.2", "failed")
        assert (latest.error, latest.figures) == ("the teacher is gone", None)
        assert store.record(latest.id) is None
        done = store.latest_night("yard", state="done")
        assert done is not None
        assert store.record(done.id) == record
        assert done.figures == Figures.of(record)
        assert done.finished_at is not None
        assert done.finished_at.tzinfo is UTC
        assert [night.run_id for night in store.nights()] == ["2026-11-21.2", "2026-11-21"]
        with pytest.raises(StoreError, match="there is no night 99"):
            store.night(99)
        edit(store, records_table, record=b"\0")
        with pytest.raises(StoreError, match="was recorded by another release"):
            store.record(first.id)


@pytest.mark.parametrize(
    ("error", "state", "text"),
    [
        (NightError("no frames"), "failed", "no frames"),
        (ValueError("odd"), "failed", "unexpected ValueError: odd (--debug shows where)"),
        (KeyboardInterrupt(), "interrupted", "interrupted"),
    ],
)
def test_running_night_notes_how_it_ended(
    where: Where, error: BaseException, state: str, text: str
) -> None:
    def stop(journal: NightJournal) -> None:
        journal.save("ingest", {"a": 1})
        raise error

    with where.open() as store:
        with pytest.raises(type(error)), store.running_night("yard", DAY) as journal:
            stop(journal)
        night = store.night(journal.night.id)
        assert (night.state, night.error) == (state, text)
        with store.running_night("yard", DAY) as journal:
            assert journal.load("ingest") == {"a": 1}
            store.finish_night(journal.night.id, night_record())
        assert store.night(night.id).state == "done"


# -- stages ----------------------------------------------------------------------------------------


def test_a_stage_saved_twice_keeps_the_last(where: Where) -> None:
    with where.open() as store:
        journal = NightJournal(store, store.open_night("yard", DAY))
        assert journal.load("cull") is None
        journal.save("cull", {"kept": [1]})
        journal.save("cull", {"kept": [1, 2], "name": "×"})
        assert journal.load("cull") == {"kept": [1, 2], "name": "×"}


def test_a_stage_outlives_a_killed_process(where: Where) -> None:
    code = (
        "import os, pathlib, datetime\n"
        "from jobs.database.store import Store\n"
        f"store = Store(pathlib.Path({str(where.data_dir)!r}), os.environ.get('WHERE'))\n"
        "night = store.open_night('yard', datetime.date(2026, 11, 21))\n"
        "store.save_stage(night.id, 'ingest', {'a': 1})\n"
        "os.kill(os.getpid(), 9)\n"
    )
    root = Path(__file__).resolve().parents[2]
    env = os.environ | ({} if where.url is None else {"WHERE": where.url})
    child = subprocess.run([sys.executable, "-c", code], cwd=root, env=env, check=False)
    assert child.returncode == -9
    with where.open() as store:
        night = store.open_night("yard", DAY)
        assert night.attempt == 2
        assert store.stage_result(night.id, "ingest") == {"a": 1}


def test_a_stage_needs_its_night(where: Where) -> None:
    with where.open() as store, pytest.raises(StoreError, match=r"(?i)foreign key"):
        store.save_stage(7, "ingest", {})


# -- the database ----------------------------------------------------------------------------------


def test_upgraded_schema_equals_the_metadata(where: Where) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    fresh = where.another("fresh").engine()
    metadata.create_all(fresh)
    with (
        where.open() as store,
        store.database.engine.connect() as upgraded,
        fresh.connect() as made,
    ):
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


def test_a_schema_from_the_future_is_refused(where: Where) -> None:
    with where.open() as store, store.database.engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match="a newer culling wrote it"):
        where.open()


def test_reading_waits_for_no_writer(where: Where) -> None:
    with where.open() as store, where.open() as other:
        night = store.open_night("yard", DAY)
        with store.database.transaction(nights_table) as connection:
            connection.execute(sa.update(nights_table).values(attempt=7))
            assert other.night(night.id).attempt == 1
        assert other.night(night.id).attempt == 7


def test_an_open_store_is_not_migrated_again(where: Where, monkeypatch: pytest.MonkeyPatch) -> None:
    where.open().close()
    monkeypatch.setattr(Database, "_upgrade", lambda *_: pytest.fail("it is up to date"))
    where.open().close()


def test_the_newest_migration_is_the_one_that_is_asked_for() -> None:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_current_head() == REVISION


@pytest.mark.parametrize("error", ["a name \udcff in a folder", "a NUL \0 in a line"])
def test_any_error_can_be_noted(where: Where, error: str) -> None:
    with where.open() as store:
        night = store.open_night("yard", DAY)
        store.fail_night(night.id, error)
        noted = store.night(night.id).error
        assert noted in (r"a name \udcff in a folder", r"a NUL \0 in a line")
        store.dues.ask("yard", START)
        (due,) = store.dues.all()
        store.dues.fail(due.id, error, night_id=night.id)
        assert store.dues.all()[0].error == noted


def test_nobody_renews_the_lease_of_another(where: Where) -> None:
    with where.open() as store:
        store.dues.ask("yard", START)
        (due,) = store.dues.waiting()
        assert store.dues.claim(due.id)
        edit(store, dues_table, host="another", lease_until=START.replace(tzinfo=None))
        store.dues.renew([due.id])
        with store.database.reading() as connection:
            lease = connection.execute(sa.select(dues_table.c.lease_until)).scalar_one()
        assert lease == START.replace(tzinfo=None)


def test_histories_are_the_last_done_nights_of_each_camera(where: Where) -> None:
    with where.open() as store:
        for camera, count in (("door", 1), ("yard", 4)):
            for k in range(count):
                night = store.open_night(camera, DAY, fresh=True)
                accuracy = night_record().judge.after.model_copy(update={"map50": 0.5 + k / 10})
                judge = night_record().judge.model_copy(update={"after": accuracy})
                record = night_record(camera, night.run_id).model_copy(update={"judge": judge})
                store.finish_night(night.id, record)
        store.fail_night(store.open_night("yard", DAY).id, "no labels")
        store.fail_night(store.open_night("shed", DAY).id, "no labels")
        found = store.histories(nights=2)
        assert [past.map50_after for past in found["yard"]] == [0.8, 0.7]
        assert found["door"] == [Past(0.5, 0.5, True, None, 0.0)]
        assert set(found) == {"door", "yard"}
        assert {c: n.state for c, n in store.latest_nights().items()} == {
            "door": "done", "yard": "failed", "shed": "failed"
        }  # fmt: skip


def test_left_out_counts_what_was_dropped_since_the_last_that_ran(where: Where) -> None:
    with where.open() as store:
        for camera, states in (("a", "drdd"), ("b", "ddd"), ("c", "ddr"), ("d", "f"), ("e", "df")):
            for k, state in enumerate(states):
                store.dues.ask(camera, START + timedelta(days=k))
                due = store.dues.all(camera)[-1]
                if state == "r":
                    store.dues.finish(due.id, night_id=None)
                elif state == "f":
                    store.dues.fail(due.id, "no labels", night_id=None)
            store.dues.ask(camera, START + timedelta(days=9))
        assert store.dues.left_out() == {"a": 2, "b": 3}


def test_a_night_made_by_others_is_told_of_once(where: Where) -> None:
    with where.open() as store:
        store.dues.ask("yard", START)
        for _ in range(2):
            night = store.open_night("yard", DAY)
            store.finish_night(night.id, night_record("yard", night.run_id))
        assert [due.camera for due in store.dues.made_by_others()] == ["yard"]
        assert store.dues.made_by_others() == []
