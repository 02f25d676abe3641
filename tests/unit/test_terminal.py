"""The command where its output ends: no UTF-8, a pipe that closes, a time zone of few words."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from jobs.commands.progress import LineProgress
from jobs.config.local_zone import local_zone, zone_of_rule
from jobs.errors import EXIT_CLOSED

SHOW = ("schedule", "show", "clip", "--samples", "100", "--epochs", "3")
CULLING = (sys.executable, "-m", "jobs.cli")
C_LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": ""}


def culling(*arguments: str, folder: Path, **more: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*CULLING, *arguments],
        cwd=folder,
        env=environment(**more),
        capture_output=True,
        check=False,
    )


def environment(**more: str) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])} | more


def test_a_terminal_without_utf8_shows_what_it_can(tmp_path: Path) -> None:
    """The fault `ascii_output`; a whole night is in `tests/integration/test_ascii_output.py`."""
    for arguments in ([*SHOW], ["schedule", "show", "--help"]):
        done = culling(*arguments, folder=tmp_path, **C_LOCALE)
        assert done.returncode == 0, done.stderr
    drawn = culling(*SHOW, folder=tmp_path, **C_LOCALE).stdout
    assert b"####" in drawn or b"\xe2\x96\x88" in drawn


def test_json_stays_whole_without_utf8(tmp_path: Path) -> None:
    done = culling("report", "süd", "--json", "--config", "süd.yaml", folder=tmp_path, **C_LOCALE)
    assert done.returncode == 2
    assert json.loads(done.stdout)["exit_code"] == 2


CONFIG = """
device: cpu
data_dir: data
cameras: {yard: {source: yard.mp4, classes: [person], schedule: '03:00'}}
"""


COMMANDS = (
    [*SHOW], ["--help"], ["--version"], ["schedule", "show", "--help"], ["init", "--help"],
    ["plan"], ["plan", "--json"], ["report"], ["report", "--json"],
    ["models", "yard", "--json"],
    ["add", "door", "rtsp://192.0.2.1/", "--no-probe", "--json"],
)  # fmt: skip
EACH = """
import json, os, runpy, sys

# What they need is loaded once; then each runs and ends as `python -m jobs.cli` does.
import jobs.cli, jobs.config.load, jobs.database.store

sys.modules.pop("jobs.cli")
codes = []
for number, arguments in enumerate(json.loads(sys.argv[1])):
    child = os.fork()
    if not child:
        read, write = os.pipe()
        os.close(read)
        os.dup2(write, 1)
        os.dup2(os.open(f"err-{number}", os.O_WRONLY | os.O_CREAT), 2)
        sys.argv = ["culling", *arguments]
        runpy.run_module("jobs.cli", run_name="__main__")
        sys.exit(0)
    codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
print(json.dumps(codes))
"""


def test_a_closed_pipe_has_its_code_and_no_words(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(CONFIG)
    done = subprocess.run(
        [sys.executable, "-c", EACH, json.dumps(COMMANDS)],
        cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = [(tmp_path / f"err-{number}").read_text() for number in range(len(COMMANDS))]
    ends = list(zip(COMMANDS, json.loads(done.stdout), said, strict=True))
    assert ends == [(arguments, EXIT_CLOSED, "") for arguments in COMMANDS]


def test_a_stage_goes_on_when_nobody_reads_its_lines() -> None:
    read, write = os.pipe()
    os.close(read)
    stream = os.fdopen(write, "w")
    with LineProgress(stream).stage("train", 1) as advance:
        advance(1)
    with pytest.raises(BrokenPipeError):
        stream.close()


@pytest.mark.parametrize(
    ("rule", "summer", "winter"),
    [("UTC0", 0, 0), ("CET-1CEST,M3.5.0,M10.5.0/3", 2, 1), ("<+0530>-5:30", 5.5, 5.5)],
)
def test_a_rule_in_tz_is_a_time_zone(
    monkeypatch: pytest.MonkeyPatch, rule: str, summer: float, winter: float
) -> None:
    monkeypatch.setattr("tzlocal.unix._cache_tz", None)
    monkeypatch.setenv("TZ", rule)
    zone = local_zone()
    assert datetime(2026, 7, 1, tzinfo=zone).utcoffset() == timedelta(hours=summer)
    assert datetime(2026, 12, 1, tzinfo=zone).utcoffset() == timedelta(hours=winter)


def test_nonsense_in_tz_is_the_offset_of_the_c_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tzlocal.unix._cache_tz", None)
    monkeypatch.setenv("TZ", "No/Such")
    time.tzset()
    try:
        assert datetime(2026, 7, 1, tzinfo=local_zone()).utcoffset() == timedelta(0)
    finally:
        monkeypatch.undo()
        time.tzset()
    for rule in ("", "x", "é", "UTC0\n", "CET-1CEST,M3"):
        with pytest.raises(ValueError):  # noqa: PT011 - of several makers
            zone_of_rule(rule)
