"""What can be wrong with a PostgreSQL server: each thing is one line with the right exit code, and
the password is nowhere."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.testbed.servers.postgres import PASSWORD, PostgresServer, forms
from benchmarks.testbed.small_night import DAY, night_record
from jobs.cli import run
from jobs.database import connection as database
from jobs.database.connection import StoreError
from jobs.database.store import NightJournal, Store
from jobs.database.tables import nights_table
from jobs.errors import EXIT_DONE, EXIT_NIGHT, EXIT_USAGE, describe, disk_full_cause, exit_code
from tests.integration.live import all_said
from tests.unit.stores import edit
from tests.unit.test_database_store import dead_pid

pytestmark = pytest.mark.usefixtures("no_canary")
WRONG = PASSWORD + "!"
SERVER = "***@127.0.0.1"


def refused(folder: Path, url: str) -> BaseException:
    with pytest.raises(Exception, match=r"PostgreSQL|postgresql|database") as caught:
        Store(folder, url)
    said = all_said(caught.value) + describe(caught.value)
    assert [form for form in forms(PASSWORD) if form in said] == []
    return caught.value


@pytest.mark.parametrize(
    ("address", "code", "told"),
    [
        ("{wrong}", EXIT_NIGHT, "password authentication failed for user"),
        ("{server}/nowhere", EXIT_NIGHT, 'database "nowhere" does not exist'),
        ("{foreign}", EXIT_NIGHT, r"permission denied .* must belong to this user"),
        ("{good}?sslmode=require", EXIT_NIGHT, "server does not support SSL"),
        ("{nobody}", EXIT_NIGHT, r"port 1 failed: Connection refused"),
        ("{nobody_local}", EXIT_NIGHT, r"port 1 failed: Connection refused"),
        ("{good}?conect_timeout=1", EXIT_USAGE, 'invalid connection option "conect_timeout"'),
    ],
)
def test_a_server_that_cannot_be_had(
    tmp_path: Path, postgres: PostgresServer, address: str, code: int, told: str
) -> None:
    good = postgres.new_database()
    name = good.rpartition("/")[2]
    url = address.format(
        good=good,
        server=good.removesuffix(f"/{name}"),
        wrong=postgres.url(name, password=WRONG),
        foreign=postgres.new_database(owner="admin"),
        nobody=good.replace(str(postgres.port), "1"),
        nobody_local=good.replace(f"127.0.0.1:{postgres.port}", "localhost:1"),
    )
    error = refused(tmp_path, url)
    assert exit_code(error) == code
    assert re.search(told, describe(error))
    assert "\n" not in describe(error)


def test_an_old_server(
    tmp_path: Path, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "OLDEST_POSTGRES", 99)
    error = refused(tmp_path, postgres.new_database())
    assert re.search(r"PostgreSQL \d+(\.\d+)+ is too old: 99 or later", str(error))


def test_a_connection_lost_in_mid_night(
    tmp_path: Path, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is done is kept; the night that has waited long enough fails in one line, and goes on
    when the server is back."""
    monkeypatch.setattr("jobs.database.patience.PATIENCE_S", 0.0)
    with Store(tmp_path, postgres.new_database()) as store:

        def lose_it(journal: NightJournal) -> None:
            journal.save("ingest", {"frames": 3})
            postgres.kill()
            journal.save("label", {"objects": 1})

        with pytest.raises(StoreError) as caught, store.running_night("yard", DAY) as journal:
            lose_it(journal)
        postgres.start()
        assert SERVER in describe(caught.value)
        assert "\n" not in describe(caught.value)
        edit(store, nights_table, pid=dead_pid())  # that process has ended; here is the next one
        with store.running_night("yard", DAY) as journal:
            assert (journal.night.attempt, journal.load("ingest")) == (2, {"frames": 3})
            postgres.sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename='culling'"
            )
            journal.save("label", {"objects": 1})  # between two stages: nothing is noticed
            store.finish_night(journal.night.id, night_record())
        assert store.night(journal.night.id).state == "done"


@pytest.fixture
def small_server_disk(postgres: PostgresServer, tmp_path: Path) -> Iterator[str]:
    """A database on 16 MB in memory, of a server of its own: a full one takes all others along."""
    server = PostgresServer(postgres.programs)
    folder = server.folder / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "culling-test", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        server.close()
        pytest.skip("no small disk can be mounted here")
    server.give(folder)
    server.sql(f"CREATE TABLESPACE small LOCATION '{folder}'")
    yield server.new_database(options="TABLESPACE small")
    server.kill()
    subprocess.run(["umount", "--lazy", str(folder)], check=True)
    server.close()


def test_the_servers_disk_is_full(tmp_path: Path, small_server_disk: str) -> None:
    noise = [f"{k * 2654435761 % 2**64:x}" for k in range(1_000_000)]
    with Store(tmp_path, small_server_disk) as store:
        night = store.open_night("yard", DAY)
        message = r"the server's disk is full .* free some space there"
        with pytest.raises(StoreError, match=message) as caught:
            store.save_stage(night.id, "ingest", {"noise": noise})
        assert disk_full_cause(caught.value) is None  # this machine's is not
        assert store.stage_result(night.id, "ingest") is None


def test_the_password_shows_nowhere(
    tmp_path: Path,
    postgres: PostgresServer,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    name = postgres.new_database().rpartition("/")[2]
    config = tmp_path / "config.yaml"
    server = f"127.0.0.1:{postgres.port}"
    config.write_text(
        f"data_dir: {tmp_path}/data\n"
        f"database: postgresql://culling:${{THE_PASSWORD}}@{server}/{name}\n"
        "cameras: {yard: {source: yard.mp4, classes: [person], schedule: '03:00'}}\n"
    )
    codes, said = [], ""
    for password in (PASSWORD, WRONG):
        monkeypatch.setenv("THE_PASSWORD", password)
        for command in (["plan", "--json"], ["report", "--json", "--debug"], ["plan", "--debug"]):
            codes.append(run([*command, "--config", str(config)]))
            said += "".join(capfd.readouterr())
    assert codes == [EXIT_DONE] * 3 + [EXIT_NIGHT] * 3
    assert "password authentication failed" in said
    assert "Traceback" in said
    with Store(tmp_path, postgres.url(name)) as store:
        said += repr(store.database.engine) + repr(store.database.engine.url) + store.database.shown
        said += repr(store.database.__dict__)
        with store.database.reading() as connection:
            said += repr(connection.connection.dbapi_connection)
    assert [form for form in forms(PASSWORD) if form in said + postgres.log] == []
