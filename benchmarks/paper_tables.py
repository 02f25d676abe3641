"""Tables 1 and 2 of Dataset Culling, ours beside theirs.

    python -m benchmarks.paper_tables

Puts together what two longer benchmarks have measured: accuracies from the rows of
benchmarks/culling.py, seconds an image from results/first_pass.json. Writes table1.json,
table2.json and paper_tables.md. Accuracies are mAP50 against the teacher's labels, as in the paper.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.book import Row
from benchmarks.book import line as _line
from benchmarks.culling import RECIPES, RESULTS, open_book
from benchmarks.first_pass import EVERY, trained_on
from culling_pipeline.culling.strategies import STRATEGIES
from jobs.config.night import CullingSettings

SIZES = (64, 128, 256)
WORLDS = {"surveillance": ("street", 86_400), "sports": ("court", 3_600)}
PAPER_1: dict[str, dict[str, dict[str, float]]] = {
    "surveillance": {
        "none": {"map50": 0.586},
        "64": {"map50": 0.8556, "total": 1.9, "training": 0.07, "student": 1.54, "teacher": 0.33},
        "128": {"map50": 0.883, "total": 2.0, "training": 0.14, "student": 1.54, "teacher": 0.33},
        "256": {"map50": 0.893, "total": 2.2, "training": 0.28, "student": 1.54, "teacher": 0.33},
        "full": {"map50": 0.885, "total": 104, "training": 96, "student": 0, "teacher": 8},
    },
    "sports": {
        "none": {"map50": 0.807},
        "64": {"map50": 0.937, "total": 0.16, "training": 0.07, "student": 0.06, "teacher": 0.03},
        "128": {"map50": 0.938, "total": 0.23, "training": 0.14, "student": 0.06, "teacher": 0.03},
        "256": {"map50": 0.938, "total": 0.40, "training": 0.28, "student": 0.06, "teacher": 0.06},
        "full": {"map50": 0.938, "total": 2.5, "training": 2, "student": 0, "teacher": 0.5},
    },
}
PAPER_2 = {
    "uniform": {"map50": 0.731, "total": 0.15},
    "confidence_only": {"map50": 0.911, "total": 1.7},
    "precision_only": {"map50": 0.954, "total": 8.0},
    "paper": {"map50": 0.948, "total": 2.0},
    "full": {"map50": 0.958, "total": 104},
}
RATIO = CullingSettings().survivors_ratio


@dataclass(frozen=True)
class Series:
    """Runs with one teacher and one recipe; `n` is Table 2's."""

    recipe: str
    teacher: str
    n: int

    def __str__(self) -> str:
        return f"frames {self.recipe}, labels by {self.teacher}"


SERIES = (Series("varied", "resnet101", 64), Series("mirrored", "resnet34", 128))
"""As a night trains today, and as until November 2026."""


def table_1(runs: list[Row], seconds: dict[str, dict[str, float]], recipe: str) -> dict[str, Any]:
    """By world and size of the kept set: accuracy, hours by stage, the paper's beside them."""
    result: dict[str, Any] = {}
    for world, (kind, frames) in WORLDS.items():
        mine = [r for r in runs if r["camera"].startswith(kind)]
        cells: dict[str, Row] = {}
        for size in ("none", *map(str, SIZES), "full"):
            strategy = size if size in ("none", "full") else CullingSettings().strategy
            n = SIZES[0] if size in ("none", "full") else int(size)
            cell = accuracy([r for r in mine if r["strategy"] == strategy and r["n"] == n])
            cell["against_full"] = against(mine, strategy, n)
            for nets, each in seconds.items():
                if size != "none":
                    kept = None if size == "full" else n
                    cell[f"hours, {nets}"] = hours(each, frames, kept, "strata", recipe)
            cells[size] = {"ours": cell, "paper": PAPER_1[world][size]}
        result[world] = cells
    return result


def table_2(
    runs: list[Row], seconds: dict[str, dict[str, float]], n: int, recipe: str
) -> dict[str, Any]:
    """By strategy at one size, on the cameras that have them all."""
    names = ("uniform", "random", "confidence_only", "precision_only", "paper", "strata", "full")
    cells: dict[str, Row] = {}
    by_name = {
        name: [r for r in runs if r["strategy"] == name and (r["n"] == n or name == "full")]
        for name in names
    }
    shared = set.intersection(*({r["camera"] for r in rows} for rows in by_name.values()))
    for name, rows in by_name.items():
        cell = accuracy([r for r in rows if r["camera"] in shared])
        for nets, each in seconds.items():
            kept = None if name == "full" else n
            cell[f"hours, {nets}"] = hours(each, 86_400, kept, name, recipe)
        cells[name] = {"ours": cell, "paper": PAPER_2.get(name, {})}
    return {"n": n, "cameras": sorted(shared), "strategies": cells}


def of_series(rows: Iterable[Row], series: Series) -> list[Row]:
    """Its runs. Everything is always trained on as the papers do, mirrored for a dozen epochs."""
    return [
        row
        for row in rows
        if row["teacher"] == series.teacher
        and row["recipe"] == ("mirrored" if row["strategy"] == "full" else series.recipe)
    ]


def accuracy(rows: Iterable[Row]) -> Row:
    """Mean of the runs' mAP50, and how many there are on how many cameras."""
    found = list(rows)
    mean = float(np.mean([r["map50"] for r in found])) if found else None
    return {"map50": mean, "runs": len(found), "cameras": len({r["camera"] for r in found})}


def against(runs: list[Row], strategy: str, n: int) -> float | None:
    """Points of mAP50 beside full training, on the cameras that have both; full training is drawn
    from nothing, so its seeds differ by the training's luck alone, and their mean is taken."""
    whole: dict[str, list[float]] = defaultdict(list)
    for row in runs:
        if row["strategy"] == "full":
            whole[row["camera"]].append(row["map50"])
    apart = [
        100 * (row["map50"] - np.mean(whole[row["camera"]]))
        for row in runs
        if row["strategy"] == strategy and row["n"] == n and row["camera"] in whole
    ]
    return float(np.mean(apart)) if apart and strategy != "full" else None


def hours(
    each: dict[str, float], frames: int, kept: int | None, strategy: str, recipe: str
) -> dict[str, float]:
    """Hours by stage, from CPU seconds an image; `kept` None is full training. `thinned` is the
    total where the student looks at one frame in `EVERY` (its own line: the paper has no such)."""
    trained = frames if kept is None else kept
    whole = kept is None or strategy == "precision_only"
    looks = 0 if kept is None or strategy in ("random", "uniform") else frames
    asked = frames if whole else kept or 0
    if not whole and strategy in STRATEGIES and STRATEGIES[strategy].uses_teacher:
        asked = min(frames, round((kept or 0) * RATIO))
    stage = {
        "training": trained_on(trained, RECIPES[recipe]) * each["training"] / 3600,
        "student": looks * each["student, arranged"] / 3600,
        "teacher": asked * each["teacher, arranged"] / 3600,
    }
    total = sum(stage.values())
    return {**stage, "total": total, "thinned": total - stage["student"] * (1 - 1 / EVERY)}


def markdown(series: Series, one: dict[str, Any], two: dict[str, Any], nets: Iterable[str]) -> str:
    """Both tables of a series."""
    kinds = list(nets)
    head = ["kept", "mAP50", "runs", "against full", *(f"h, {k}" for k in kinds)]
    head += [*(f"full ÷ this, {k}" for k in kinds), "paper: mAP", "h", "full ÷ this"]
    lines: list[str] = []
    for world, cells in one.items():
        lines += [f"## Table 1, {world}, {series}", "", _line(head), "|" + "---|" * len(head)]
        lines += [
            _line([size, *_cells(cell, cells["full"], kinds)]) for size, cell in cells.items()
        ]
        lines.append("")
    if not two["cameras"]:
        return "\n".join(lines)
    cameras = ", ".join(two["cameras"])
    head[0] = "strategy"
    lines += [f"## Table 2, n = {two['n']}, on {cameras}, {series}", "", _line(head)]
    lines.append("|" + "---|" * len(head))
    cells = two["strategies"]
    lines += [_line([name, *_cells(cell, cells["full"], kinds)]) for name, cell in cells.items()]
    return "\n".join(lines) + "\n"


def _cells(cell: Row, full: Row, kinds: list[str]) -> list[object]:
    ours, paper = cell["ours"], cell["paper"]
    hours = [ours.get(f"hours, {k}") for k in kinds]
    whole = [full["ours"][f"hours, {k}"]["total"] for k in kinds]
    return [
        ours["map50"],
        ours["runs"],
        ours.get("against_full"),
        *(f"{h['total']:.3g} ({h['thinned']:.3g})" if h else None for h in hours),
        *(
            f"{w / h['total']:.0f} ({w / h['thinned']:.0f})" if h else None
            for w, h in zip(whole, hours, strict=True)
        ),
        paper.get("map50"),
        paper.get("total"),
        f"{full['paper']['total'] / paper['total']:.0f}" if "total" in paper else None,
    ]


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    seconds = json.loads((RESULTS / "first_pass.json").read_text())["seconds"]
    rows = open_book().rows
    ones, twos, parts = {}, {}, []
    for series in SERIES:
        runs = of_series(rows, series)
        one = table_1(runs, seconds, series.recipe)
        two = table_2(runs, seconds, series.n, series.recipe)
        ones[str(series)], twos[str(series)] = one, two
        parts.append(markdown(series, one, two, seconds))
    (RESULTS / "table1.json").write_text(json.dumps(ones, indent=1) + "\n")
    (RESULTS / "table2.json").write_text(json.dumps(twos, indent=1) + "\n")
    text = "\n".join(parts)
    (RESULTS / "paper_tables.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
