"""What several files of tests use: the undisturbed tiny night, a small disk, a database server, the
canaries' guard."""

from __future__ import annotations

import importlib.util
import io
import logging
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.testbed.servers.postgres import PASSWORD, PostgresServer, forms, programs
from benchmarks.testbed.servers.web import CANARY
from benchmarks.testbed.tiny import (
    CAMERA,
    COUNTING,
    DoneNight,
    run_tiny_night,
    tiny_config,
    write_config,
)
from jobs.config.load import load_config
from tests.integration.live import skip_or_fail


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> DoneNight:
    config = tiny_config(tmp_path_factory.mktemp("undisturbed"))
    given_up = config.work_dir(CAMERA, "2020-01-01")
    given_up.mkdir(parents=True)
    (given_up / "student.npz").write_bytes(b"left by a night nobody took up again")
    return DoneNight(config, run_tiny_night(config))


@pytest.fixture(scope="session")
def counted(tmp_path_factory: pytest.TempPathFactory) -> DoneNight:
    """The same of a camera that counts; its config.yaml lies beside its data."""
    config = load_config(write_config(tmp_path_factory.mktemp("counted"), **{CAMERA: COUNTING}))
    return DoneNight(config, run_tiny_night(config))


@pytest.fixture(params=["boxes", "count"])
def either(request: pytest.FixtureRequest) -> DoneNight:
    """The undisturbed night of each task in turn. Another night of its camera is
    `tiny_config(…, task=either.camera.task)`."""
    which = {"boxes": "undisturbed", "count": "counted"}[request.param]
    found: DoneNight = request.getfixturevalue(which)
    return found


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    folder = programs()
    if folder is None or importlib.util.find_spec("psycopg") is None:
        message = "no PostgreSQL here: install the packages that .ci/run names, and the extra"
        skip_or_fail(f"{message} `postgres`", promised="CULLING_NEEDS_POSTGRES")
    server = PostgresServer(folder)
    yield server
    server.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB in memory, as `data`."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    disk = tmp_path / "data"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "culling-test", str(disk)]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


@pytest.fixture
def no_canary(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> Iterator[None]:
    """Fails the test if a password, of the cameras or the database, shows in a log or on a stream.

    With a handler of its own: after the test, `caplog` has forgotten what was logged during it.
    """
    caplog.set_level(logging.DEBUG)
    logged = io.StringIO()
    handler = logging.StreamHandler(logged)
    logging.getLogger().addHandler(handler)
    yield
    logging.getLogger().removeHandler(handler)
    out, err = capfd.readouterr()
    said = out + err + logged.getvalue()
    assert [word for word in (CANARY, *forms(PASSWORD)) if word in said] == []
