"""What 0.1.0 left on disk goes on under this release: its nights, one of them cut off, its models,
its watched days, its corrections and what its service had asked for. All by the command line."""

from __future__ import annotations

import io
import json
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import chdir, closing, contextmanager, redirect_stderr, redirect_stdout
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.testbed.tiny import command, debris, environment, stages_of
from jobs import cli
from tests.integration.old_data import GOLDEN, UNFINISHED, restore

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

FIRST, SECOND = "2026-11-26", "2026-11-26.2"
"""The nights of `yard`: the one that was done, and the one that was cut off in its training."""
EVENING, NEXT = "2026-01-05", "2026-01-06"
"""The watched days of `gate`: the first has had its night, the second was watched in part."""
JOURNAL = ("start", "ingest", "view", "label", "cull", "resolution")


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder in which 0.1.0 was at work, in its time zone."""
    restore(tmp_path)
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield tmp_path
    time.tzset()


def culling(folder: Path, *arguments: str, code: int = 0) -> dict[str, Any]:
    """A command's answer in JSON. It runs in this process, which spares it torch's start."""
    out, err = io.StringIO(), io.StringIO()
    with chdir(folder), redirect_stdout(out), redirect_stderr(err):
        found = cli.run([*arguments, "--json"])
    assert found == code, out.getvalue() + err.getvalue()
    answer: dict[str, Any] = json.loads(out.getvalue())
    return answer


def noted(query: str) -> list[tuple[Any, ...]]:
    """What the old database says."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript((GOLDEN / "data" / "culling.sql").read_text(encoding="utf-8"))
        return connection.execute(query).fetchall()


def the_figures(night_id: int) -> dict[str, Any]:
    """The figures of one of its nights."""
    ((text,),) = noted(f"SELECT figures FROM nights WHERE id = {night_id}")
    figures: dict[str, Any] = json.loads(text)
    return figures


def files_in(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def test_old_nights_and_models_are_read(old: Path) -> None:
    findings = culling(old, "check", code=3)["findings"]
    broken = {row["camera"] for row in findings if row["exit_code"]}
    assert broken == {"door"}, "nobody serves its pictures here"

    text = json.dumps(culling(old, "report", "gate"))
    assert all(repr(the_figures(2)[name]) in text for name in ("map50_before", "map50_after"))
    night = json.loads(text)["cameras"]["gate"]
    assert (night["run_id"], night["state"]) == (EVENING, "done")
    assert (old / night["report"]).is_file()
    (_, version) = culling(old, "models", "yard")["versions"]
    assert (version["version"], version["parent"]) == (FIRST, "start")
    assert version["in_use"]
    assert version["error"] is None

    exported = culling(old, "dataset", "export", "yard", "--output", "out")
    assert exported["images"] == the_figures(1)["kept"] == 4
    seen = culling(old, "detect", "yard", "data/corrections/yard", "--frames", "1")
    assert "person" in seen["classes"]


def test_a_night_that_was_cut_off_goes_on(old: Path) -> None:
    data = old / "data"
    journal = {name: json.loads(text) for name, text in noted(
        f"SELECT name, result FROM stages WHERE night_id = {UNFINISHED} ORDER BY id"
    )}  # fmt: skip
    assert tuple(journal) == JOURNAL
    begun = stages_of(data, UNFINISHED)
    frames = files_in(data / "frames" / "yard" / SECOND)

    night = culling(old, "retrain", "yard")["cameras"]["yard"]

    assert (night["run_id"], night["state"], night["error"]) == (SECOND, "done", None)
    after = stages_of(data, UNFINISHED)
    assert set(begun.values()) < set(after.values())
    assert len(after) - len(begun) == len(("budget", "train", "judge", "promote")), (
        "nothing was done again"
    )
    record = night["record"]
    assert record["cull"]["kept"] == journal["cull"]["kept"]
    assert record["ingest"]["frames_seen"] == journal["ingest"]["frames_seen"]
    assert record["label"]["corrected"] == journal["label"]["corrected"] > 0
    kept = files_in(data / "frames" / "yard" / SECOND)
    assert {name: content for name, content in kept.items() if name in frames} == frames
    assert set(kept) - set(frames) == {"teacher.npz", "old.npz", "new.npz"}
    assert (old / night["report"]).is_file()
    assert debris(data) == []

    assert culling(old, "models", "yard")["incumbent"] == SECOND
    assert culling(old, "rollback", "yard")["incumbent"] == FIRST
    assert culling(old, "rollback", "yard", "start")["incumbent"] == "start"


def test_watched_days_go_on_and_have_their_nights(old: Path) -> None:
    day = old / "data" / "days" / "gate" / NEXT
    before, learned = (day / "daybook.jsonl").read_bytes(), evidence(day)
    views = files_in(old / "data" / "views" / "gate")

    culling(old, "ingest", "gate")

    book = (day / "daybook.jsonl").read_bytes()
    assert book.startswith(before)
    assert frames_of(book) > frames_of(before)
    assert end_of_day(book) - end_of_day(before) > timedelta(minutes=30)
    assert len(learned) > 0
    assert evidence(day)[: len(learned)].tolist() == learned.tolist()

    with queue_at_work(old):
        night = culling(old, "retrain", "door")["cameras"]["door"]
        assert night["state"] == "done"
        book = next((old / "data" / "days" / "door").glob("*/daybook.jsonl")).read_bytes()
        assert night["record"]["ingest"]["frames_seen"] == frames_of(book)
    night = culling(old, "report", "gate")["cameras"]["gate"]
    assert (night["run_id"], night["state"]) == (NEXT, "done")
    assert night["record"]["ingest"]["frames_seen"] == frames_of(
        (day / "daybook.jsonl").read_bytes()
    )
    now = files_in(old / "data" / "views" / "gate")
    assert {name: now[name] for name in views} == views
    assert set(now) - set(views) == {f"{NEXT}.npz"}


def frames_of(book: bytes) -> int:
    """The whole lines that are no events."""
    return sum(b'{"event":' not in line and line.endswith(b"\n") for line in book.splitlines(True))


def end_of_day(book: bytes) -> datetime:
    """When the last frame was taken."""
    lines = [json.loads(line) for line in book.splitlines()]
    return datetime.fromisoformat([line["at"] for line in lines if "event" not in line][-1])


def evidence(day: Path) -> np.ndarray:
    """What the change gate knew at the end of a day."""
    with np.load(day / "gate.npz") as stored:
        found: np.ndarray = stored["evidence"].reshape(-1, 4)
    return found


@contextmanager
def queue_at_work(folder: Path) -> Iterator[None]:
    """The service, until it has run the night that the old one had queued."""
    service = subprocess.Popen(command("run"), cwd=folder, env=environment())
    try:
        yield
        deadline_s = time.monotonic() + 300
        while culling(folder, "report")["cameras"]["gate"]["run_id"] != NEXT or not is_over(folder):
            assert service.poll() is None
            assert time.monotonic() < deadline_s
            time.sleep(0.2)
        service.send_signal(signal.SIGTERM)
        assert service.wait(60) == 0
    finally:
        service.kill()
        service.wait()


def is_over(folder: Path) -> bool:
    with closing(sqlite3.connect(folder / "data" / "culling.db", timeout=30)) as connection:
        states = connection.execute("SELECT state FROM dues").fetchall()
    return states == [("done",)]
