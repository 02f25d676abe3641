"""No table that a command prints cuts a name, however narrow the terminal is."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.testbed.example_night import accuracy, example_night
from jobs.commands.bootstrap import _table as first_students_table
from jobs.commands.common import print_table
from jobs.commands.groups import alone_table, groups_table
from jobs.commands.listing import Listing, Name
from jobs.commands.summary import (
    feeds_table,
    findings_table,
    night_table,
    nights_table,
    record_table,
)
from jobs.commands.tonight import Line, Tonight, tonight_table
from jobs.commands.versions import versions_table
from jobs.config.settings import Config
from jobs.database.figures import Figures
from jobs.database.nights import Night
from jobs.nights.grouping import Group, GroupLine, Groups
from jobs.setup.check import Finding
from jobs.watch.feed import Tally

CAMERA = "crossing-north-by-the-old-mill"
RUN = "2026-03-14.12"
PARENT = "bootstrap-2026-03-01"
CONFIG = Config(data_dir=Path("data"))
RECORD = example_night(camera=CAMERA, run_id=RUN)


def versions() -> Listing:
    row: dict[str, Any] = {
        "version": RUN, "in_use": True, "pinned": True, "parent": PARENT, "frames": {"count": 256},
        "metrics": {arm: getattr(RECORD.judge, arm).model_dump() for arm in ("before", "after")},
        "scale": 0.81,
        "ledger_s": {"training": 1234.0}, "code_version": "0.1.0+4e2a5b0", "error": None,
    }  # fmt: skip
    return versions_table([row, row | {"in_use": False, "version": "start", "parent": None}])


def night() -> Night:
    return Night(
        id=1, camera=CAMERA, run_id=RUN, night_date=RECORD.date, state="done", attempt=1, pid=7,
        host="here", started_at=RECORD.started_at, finished_at=RECORD.finished_at, error=None,
        figures=Figures.of(RECORD), unusable=None,
    )  # fmt: skip


def feeds() -> Listing:
    watcher = SimpleNamespace(error=None, condition=None)
    service: Any = SimpleNamespace(
        feeds={CAMERA: SimpleNamespace(tally=Tally(86_400, 51_240, 3, 7))},
        watchers={CAMERA: watcher},
    )
    return feeds_table(service)


def first_students() -> Listing:
    found = accuracy(0.712, 0.431)
    result = SimpleNamespace(
        camera=CAMERA, version=PARENT, accuracy=found, before=found, in_use=False,
        why="the one in use is better, or as good",
    )  # fmt: skip
    return first_students_table(SimpleNamespace(cameras=[result]))  # type: ignore[arg-type]


def tonight() -> Listing:
    line = Line(CAMERA, 0.031, 1820.0, False, "its last night was worth most for what it cost")
    return tonight_table(Tonight((line, line), 1820.0, 3600.0, 2, measured=True))


def findings() -> Listing:
    detail = "rtsp://10.0.4.17/stream1 does not answer: is the camera on, and its address right?"
    return findings_table([Finding(camera=CAMERA, part="stream", detail=detail, exit_code=5)])


LINE = GroupLine(camera=CAMERA, own=0.712, shared=0.703, gain=-0.009, low=-0.03, high=0.01)
GROUPS = Groups(
    groups=(Group(lines=(LINE, LINE), own_training_s=1820.0, training_s=910.0, is_one=False),),
    alone={CAMERA: "its student finds too little on its own control slice (0.04, 0.2 needed)"},
    scores={}, looks=96, seconds=12.0,
)  # fmt: skip


TABLES: dict[str, tuple[Callable[[], Listing], set[str]]] = {
    "models": (versions, {RUN, PARENT, "start"}),
    "report --all": (lambda: nights_table(CONFIG, {CAMERA: night(), "yard": None}), {CAMERA, RUN}),
    "report": (lambda: night_table(CONFIG, night(), RECORD), {CAMERA, RUN}),
    "demo": (
        lambda: record_table(CONFIG, RECORD),
        {CAMERA, str(CONFIG.report_dir(CAMERA, RUN) / "index.html")},
    ),
    "ingest": (feeds, {CAMERA}),
    "bootstrap": (first_students, {CAMERA, PARENT}),
    "plan": (tonight, {CAMERA}),
    "check": (findings, {CAMERA}),
    "plan --groups": (lambda: groups_table(GROUPS), {CAMERA}),
    "plan --groups, alone": (lambda: alone_table(GROUPS), {CAMERA}),
}


def printed(
    table: Listing, width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> str:
    monkeypatch.setenv("COLUMNS", str(width))
    print_table(table)
    return capsys.readouterr().out


@pytest.mark.parametrize("width", [200, 100, 80, 60, 40, 20])
@pytest.mark.parametrize("command", TABLES)
def test_no_name_is_cut(
    command: str, width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make, names = TABLES[command]
    text = printed(make(), width, monkeypatch, capsys)
    assert {name for name in names if name not in text} == set()
    assert "…" not in text
    widest = max(map(len, text.splitlines()))
    indent = 22  # of a block's cells
    assert widest <= max(width, indent + max(map(len, names)))


@pytest.mark.parametrize("width", [80, 60, 40])
@pytest.mark.parametrize("command", TABLES)
def test_nothing_else_is_lost_either(
    command: str, width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table = TABLES[command][0]()
    text = "".join(char for char in printed(table, width, monkeypatch, capsys) if char.isalnum())
    for cell in (cell for row in table.rows for cell in row):
        for word in cell.split():
            letters = "".join(char for char in word if char.isalnum())
            assert letters in text or len(letters) > 12


def test_every_table_of_a_command_is_seen_here() -> None:
    root = Path(__file__).parents[2] / "jobs"
    sources = {p.name: p.read_text(encoding="utf-8") for p in root.rglob("*.py")}
    assert [name for name, text in sources.items() if "rich.table" in text] == ["listing.py"]
    made = [
        name
        for text in sources.values()
        if "jobs.commands.listing import" in text
        for name in re.findall(r"def (\w+).* -> Listing:", text)
    ]
    made.remove("_shown")  # chooses between two of them
    assert len(made) == len(set(made)) == len(TABLES)


def test_square_brackets_are_shown_as_they_are(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table = Listing("camera", "why")
    table.add_row(Name("a[red]b"), "[bold]classes[/bold]")
    for width in (100, 10):
        text = printed(table, width, monkeypatch, capsys)
        assert "a[red]b" in text
        assert "[bold]classes[/bold]" in text
