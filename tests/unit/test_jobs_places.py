"""`culling check` tries where results go: a data_dir that cannot be written is not "ok"."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs import cli
from jobs.config.settings import Config
from jobs.database.store import open_store
from jobs.errors import UsageError
from jobs.setup.places import try_data_dir, try_database

CAMERAS = "cameras: {yard: {source: gone.mp4, classes: [person]}}\n"


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """A file system that not even root can write, with a database in it."""
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    disk = tmp_path / "disk"
    disk.mkdir()
    open_store(Config(data_dir=disk)).close()
    mount = ["mount", "--bind", str(disk), str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("nothing can be mounted here")
    subprocess.run(["mount", "-o", "remount,ro,bind", str(disk)], check=True)
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_check_ends_with_a_code_for_a_data_dir_below_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").write_text("")
    (tmp_path / "config.yaml").write_text(f"data_dir: taken/data\n{CAMERAS}")
    assert cli.run(["check", "--json"]) != 0
    finding = json.loads(capsys.readouterr().out)["findings"][0]
    assert (finding["part"], finding["exit_code"]) == ("data_dir", 2)
    assert "taken/data cannot be written (Not a directory): give this user" in finding["detail"]


def test_a_data_dir_that_is_not_there_yet_is_tried_where_it_will_lie(tmp_path: Path) -> None:
    words = try_data_dir(Config(data_dir=tmp_path / "a" / "b"))
    assert words.startswith(f"{tmp_path}/a/b: can be written, ")
    assert list(tmp_path.iterdir()) == []


def test_a_data_dir_that_leads_nowhere(tmp_path: Path) -> None:
    """As of a disk that is not mounted."""
    (tmp_path / "data").symlink_to(tmp_path / "gone")
    with pytest.raises(UsageError, match=r"data cannot be written \(No such file"):
        try_data_dir(Config(data_dir=tmp_path / "data"))


def test_one_folder_in_it_that_cannot_be_written_is_enough(read_only: Path) -> None:
    data = read_only.parent / "data"
    data.mkdir()
    (data / "frames").symlink_to(read_only)  # frames on a larger disk
    with pytest.raises(UsageError, match=r"data/frames cannot be written \(Read-only file sys"):
        try_data_dir(Config(data_dir=data))


def test_a_read_only_disk_is_no_place_for_results(
    read_only: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(read_only.parent)
    (read_only.parent / "config.yaml").write_text(f"data_dir: disk\n{CAMERAS}")
    assert cli.run(["check", "--json"]) == 5
    findings = json.loads(capsys.readouterr().out)["findings"]
    by = {found["part"]: found for found in findings}
    assert "(Read-only file system)" in by["data_dir"]["detail"]
    assert by["database"]["exit_code"] == 5


def test_a_database_that_is_none_is_told(tmp_path: Path) -> None:
    config = Config(data_dir=tmp_path)
    assert try_database(config) == ""
    open_store(config).close()
    assert try_database(config) == f"{tmp_path}/culling.db: can be read and written"
    with sqlite3.connect(tmp_path / "culling.db") as connection:
        assert connection.execute("SELECT count(*) FROM nights").fetchone() == (0,)
