"""Files are for their user only, and SIGHUP ends a command in order; with the real command line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.testbed.nights import config_of
from benchmarks.testbed.tiny import command, environment
from jobs.database.store import open_store

pytestmark = pytest.mark.slow

CONFIG = """
device: cpu
data_dir: data
service: {port: 0, watch: false}
cameras: {yard: {source: yard.mp4, classes: [person], schedule: null}}
"""


def open_to_others(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.stat().st_mode & 0o077]


def test_files_are_private_with_any_umask_in_a_folder_that_all_can_read(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    data.chmod(0o755)
    started = subprocess.run(
        command("init"), cwd=tmp_path, env=environment(), umask=0, capture_output=True, check=True
    )
    assert started.returncode == 0
    (tmp_path / "config.yaml").write_text(CONFIG)
    subprocess.run(
        command("plan"), cwd=tmp_path, env=environment(), umask=0, capture_output=True, check=True
    )
    assert (data / "culling.db").is_file()
    assert open_to_others(tmp_path) == [data]


def test_what_an_earlier_release_left_open_is_closed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    data = tmp_path / "data"
    for folder in (data / "models" / "yard", data / "my-own", elsewhere):
        folder.mkdir(parents=True)
        folder.chmod(0o755)
    (data / "models").chmod(0o755)
    (data / "frames").symlink_to(elsewhere)
    (data / "culling.db").touch(0o644)
    with open_store(config_of(data)):
        pass
    assert (data / "models").stat().st_mode & 0o777 == 0o700
    assert (data / "culling.db").stat().st_mode & 0o777 == 0o600
    assert (data / "my-own").stat().st_mode & 0o777 == 0o755
    assert elsewhere.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize(
    ("number", "zone"), [(signal.SIGHUP, "UTC0"), (signal.SIGTERM, "Europe/Berlin")]
)
def test_the_service_ends_in_order(tmp_path: Path, number: signal.Signals, zone: str) -> None:
    (tmp_path / "config.yaml").write_text(CONFIG.replace("schedule: null", "schedule: '03:00'"))
    log = tmp_path / "log"
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            command("run"), cwd=tmp_path, env=environment() | {"TZ": zone}, stderr=stderr
        )
    try:
        deadline_s = time.monotonic() + 100
        while "reports and metrics" not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline_s
            time.sleep(0.05)
        process.send_signal(number)
        assert process.wait(60) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()
    assert len(log.read_text().splitlines()) == 1


def test_with_nohup_sighup_is_ignored() -> None:
    script = (
        "import os, signal; from jobs.commands.signals import on_sigterm, terminate; "
        "on_sigterm(terminate); os.kill(os.getpid(), signal.SIGHUP); print('goes on')"
    )
    done = subprocess.run(
        ["sh", "-c", 'trap "" HUP; exec "$0" -c "$1"', sys.executable, script],
        env=os.environ | environment(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "goes on\n"
