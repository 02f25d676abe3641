"""benchmarks/gpu.sh in small, on the CPU: it must not fail for the first time on a lent machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.gpu import Machine, measure_all
from benchmarks.gpu_night import whole_day
from benchmarks.gpu_parts import Cell, Part, parts

ROOT = Path(__file__).resolve().parents[2]
ABOUT = {"device": "a device", "torch": "2"}


def tiny_cells() -> tuple[Cell, ...]:
    (part,) = parts(tiny=True)
    return part.cells


@pytest.mark.slow  # small nets, and a night of a hundred frames
def test_the_prepared_script_measures_each_kind_of_work(tmp_path: Path) -> None:
    done = subprocess.run(
        ["sh", "benchmarks/gpu.sh", "--tiny"],
        cwd=ROOT, capture_output=True, text=True, check=False,
        env=os.environ | {"OUT": str(tmp_path), "PYTHON": sys.executable, "LIMIT_S": "36000"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "gpu.json").read_text())
    rows, cells = result["rows"], tiny_cells()
    assert [(r["part"], r["dtype"], r["way"]) for r in rows] == [
        (c.part, c.dtype, c.way) for c in cells
    ]
    assert all(r["device"].startswith("CPU") and r["torch"][0].isdigit() for r in rows)
    assert {r.get("why") for r in rows if r["state"] != "measured"} == {"only on a GPU"}
    timed = [r for r in rows if "ms" in r]
    assert {r["work"] for r in timed} == {"look", "label", "train"}
    assert all(0 < r["ms_low"] <= r["ms"] <= r["ms_high"] for r in timed)
    assert all(r["boxes"] > 0 for r in timed if r["work"] != "train")
    (night,) = (r for r in rows if r["part"] == "demo night")
    assert night["frames"] > 90
    assert night["on"] == ["cpu"]
    assert night["night_s"] > max(night["work_s"].values())
    assert {row["how"] for row in result["whole_day"]} == {"fastest measured"}
    table = (tmp_path / "gpu.md").read_text()
    assert sum(line.startswith(("| student", "| teacher", "| built-in")) for line in
               table.splitlines()) == len(cells)  # fmt: skip


def test_what_does_not_fit_into_the_limit_is_left_out(tmp_path: Path) -> None:
    found = measure_all(
        SimpleNamespace(device="cpu", tiny=False, limit_s=15.0, prepared_s=0.0, out=tmp_path)  # type: ignore[arg-type]
    )
    assert len(found["rows"]) == sum(len(part.cells) for part in parts(tiny=False))
    assert {(r["state"], r["why"]) for r in found["rows"]} == {("left out", "the time was over")}
    assert json.loads((tmp_path / "gpu.json").read_text())["rows"] == found["rows"]


def test_a_part_that_hangs_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.gpu.START_S", 0)
    part = Part("look", tiny_cells()[:2], 1, 1)
    rows = Machine("cpu", tiny=True).rows_of(part, 0.01)  # torch alone takes longer to import
    assert [(r["state"], r["why"]) for r in rows] == 2 * [("left out", "stopped after 0 s")]


def test_the_parts_fit_into_the_limit_and_their_processes_are_told() -> None:
    """However slow the machine: every part ends at its share of what is left."""
    todo, left = parts(tiny=False), 468.0
    given = []
    for number, part in enumerate(todo):
        share = part.share / sum(p.share for p in todo[number:])
        given.append(min(part.cap_s, left * share))
        left -= given[-1]
    assert left >= 0
    assert dict(zip([p.name for p in todo], given, strict=True))["demo night"] > 150
    assert min(given) >= 12  # none is left out for want of time


@pytest.mark.slow  # torch
def test_a_cell_that_fails_is_a_row_and_the_next_one_is_measured() -> None:
    from dataclasses import replace

    from benchmarks.gpu_nets import Bench
    from benchmarks.gpu_work import row_of

    cell = tiny_cells()[0]
    bench = Bench("cpu", tiny=True)
    wrong = row_of(bench, replace(cell, batch=0), ABOUT, tiny=True, until=float("inf"))
    assert wrong["state"] == "failed"
    assert "Error" in wrong["why"]
    assert any("gpu_" in line for line in wrong["where"])
    assert row_of(bench, cell, ABOUT, tiny=True, until=float("inf"))["state"] == "measured"
    assert row_of(bench, cell, ABOUT, tiny=True, until=0)["state"] == "left out"


def days(**ms: float) -> dict[tuple[str, str], dict[str, Any]]:
    """Whole days of rows that take so many milliseconds, and of faster ones at other batches."""
    as_it_is = {"look": ("float32", False, 8), "label": ("float32", False, 4),
                "train": ("bfloat16", True, 8)}  # fmt: skip
    rows = []
    for work, (dtype, last, batch) in as_it_is.items():
        row = {"work": work, "height_px": 360, "width_px": 640, "dtype": dtype, "way": "eager",
               "channels_last": last, "batch": batch, "ms": ms[work]}  # fmt: skip
        rows += [row, row | {"batch": 32, "ms": ms[work] / 2}]
    return {(row["how"], row["comparison"]): row for row in whole_day(rows)}


def test_a_whole_day_is_what_the_defaults_make_of_the_seconds() -> None:
    base = days(look=8.0, label=16.0, train=32.0)
    assert set(base) == {(h, c) for h in ("as it is", "fastest measured") for c in ("on", "off")}
    alone, compared = base["as it is", "off"], base["as it is", "on"]
    assert compared["night_s"] > alone["night_s"]
    assert alone["camera_nights_a_day"] == pytest.approx(86_400 / alone["night_s"])
    assert alone["cost_ratio"] == compared["cost_ratio"]  # the comparison is in neither
    assert base["fastest measured", "off"]["night_s"] == pytest.approx(alone["night_s"] / 2)
    measuring = 240 * (16 + 2 * 8) / 1000
    assert alone["night_s"] - measuring == pytest.approx(
        (alone["full_training_s"] - measuring) / 100, rel=0.01
    )
    labels = days(look=8.0, label=17.0, train=32.0)["as it is", "off"]
    assert labels["full_training_s"] - alone["full_training_s"] == pytest.approx(86.4 + 0.24)
