"""Strategies under one budget: looks, labels and training images all cost, nothing is free.

    python -m benchmarks.equal_cost --cameras street-21 --strategies unsure random --budgets 100

A budget of 100 is a hundredth of what full training on a whole day costs (86,400 frames, a dozen
epochs, the same schedule). It is divided as a night divides it (`culling/budget.py`), at the
seconds an image of results/first_pass.json. The day is 2,880 frames: the student looks at as many
of them, evenly in time, as the strategy's portion says; with --looks-free at all, for nothing. The
lottery (`random`) looks at none and labels and trains on more. Labels and truth are the teacher's,
accuracy is that of the next day.

Full training (`full`) is a dozen epochs on all 2,880 frames; its cost is that of 86,400. Each
training is measured twice: as it ends, and (`average`) with the mean of the weights after the
epochs at the lower learning rate. With `--device cuda` training and the student of the next day run
on a GPU (the seconds that are counted stay those of the CPU), and no run is waited for after
`--minutes`. `--study` names runs that belong together (benchmarks/equal_cost_studies.py).

Resumable: every finished run is a row of benchmarks/results/equal_cost.json; equal_cost.md has the
tables.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import as_completed
from dataclasses import asdict
from pathlib import Path

import numpy as np
from rich.progress import track

from benchmarks.book import Book, Row
from benchmarks.culling import interval, prepare
from benchmarks.equal_cost_runs import (
    CAMERAS,
    FULL,
    KNOWN,
    LOTTERY,
    RESULTS,
    Run,
    device_name,
    execute,
)
from benchmarks.equal_cost_studies import STUDIES
from benchmarks.fleet import CACHE, FLEET
from culling_pipeline.run.workers import Workers

KEYS = (
    "camera", "strategy", "budget", "looks_free", "seed", "epochs", "looks_per_label",
    "rate", "schedule", "regions", "average", "device",
)  # fmt: skip

CELL = tuple(key for key in KEYS if key not in ("camera", "seed", "device"))
"""What a line of the table is about."""


def run_all(runs: Sequence[Run], book: Book, args: argparse.Namespace) -> None:
    """All runs that the book does not have yet, in this order, and no longer than asked for."""
    began = time.monotonic()
    here = device_name(args.device)
    todo = [run for run in dict.fromkeys(runs) if not book.has(**asdict(run), device=here)]
    cameras = [c for c in CAMERAS if c.name in {run.camera for run in todo}]
    with Workers(args.workers) as pool:
        for future in [pool.submit(prepare, camera, CACHE) for camera in cameras]:
            future.result()
        left = None if args.minutes is None else began + 60 * args.minutes - time.monotonic()
        under_way = [pool.submit(execute, run, CACHE, args.device) for run in todo]
        for future in track(as_completed(under_way, left), "training", len(under_way)):
            for row in future.result():
                book.add(row)


def tables(rows: Sequence[Row]) -> str:
    """By budget: each strategy's mean, and its difference from the lottery in points of mAP50, with
    the 95 % interval over cameras (Student's t) and the worst camera. Compared is what was trained
    on the same kind of machine, with the same rate, as the night's; and with full training."""
    pairing = ("camera", "seed", "device", "average")
    base = {
        tuple(r[k] for k in (*pairing, "budget")): r
        for r in rows
        if r["strategy"] == LOTTERY
        and r["epochs"] is None
        and r["rate"] is None
        and r["schedule"] is None
    }
    full = {tuple(r[k] for k in pairing): r for r in rows if r["strategy"] == FULL}
    cells: dict[tuple[object, ...], list[Row]] = defaultdict(list)
    for row in rows:
        cells[tuple(row[k] for k in (*CELL, "device"))].append(row)
    lines = [
        "| budget | looks | strategy | epochs | looks a label | rate | schedule | regions "
        "| mean weights | on | runs | looks | labels | images | mAP50 | mAP "
        "| against the lottery | worst camera | against full training |",
        "|" + "---|" * 19,
    ]
    for name, found in sorted(cells.items(), key=repr):
        cell = dict(zip((*CELL, "device"), name, strict=True))
        apart = _apart(found, base, (*pairing, "budget"))
        behind = _apart(found, full, pairing)
        worst = min(apart, key=lambda c: apart[c], default=None)
        shown = found[0].get("shown")
        lines.append(
            f"| 1/{cell['budget']:g} | {'free' if cell['looks_free'] else 'paid'} "
            f"| {cell['strategy']} | {cell['epochs'] or f'{shown} (by budget)'} "
            f"| {cell['looks_per_label'] or '–'} | {cell['rate'] or '–'} "
            f"| {cell['schedule'] or '–'} | {cell['regions'] or '–'} "
            f"| {'yes' if cell['average'] else 'no'} | {cell['device']} | {len(found)} "
            f"| {found[0]['looks']} | {found[0]['labels']} | {found[0]['images']} "
            f"| {np.mean([r['map50'] for r in found]):.3f} "
            f"| {np.mean([r['map'] for r in found]):.3f} | {interval(list(apart.values()))} "
            f"| {f'{worst} {apart[worst]:+.1f}' if worst else '–'} "
            f"| {interval(list(behind.values()))} |"
        )
    return "\n".join(lines) + "\n"


def _apart(
    rows: Sequence[Row], base: dict[tuple[object, ...], Row], keys: Sequence[str]
) -> dict[str, float]:
    """Points of mAP50 between these rows and those they are compared with, mean by camera."""
    apart: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        known = base.get(tuple(row[key] for key in keys))
        if known is not None and known is not row:
            apart[row["camera"]].append(100 * (row["map50"] - known["map50"]))
    return {camera: float(np.mean(points)) for camera, points in apart.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", nargs="+", choices=[*STUDIES], help="runs that belong together")
    parser.add_argument("--cameras", nargs="+", default=[c.name for c in FLEET])
    parser.add_argument(
        "--strategies", nargs="+", default=["mixed", LOTTERY], choices=[*KNOWN, FULL]
    )
    parser.add_argument("--budgets", nargs="+", type=float, default=[100.0])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--epochs", nargs="+", type=int, help="fix how often a frame is shown")
    parser.add_argument("--looks-per-label", nargs="+", type=float)
    parser.add_argument("--rates", nargs="+", type=float, help="learning rates")
    parser.add_argument("--looks-free", action="store_true")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--minutes", type=float, help="no run is waited for after so many")
    parser.add_argument("--out", type=Path, default=RESULTS, help="the folder for the results")
    args = parser.parse_args()
    book = Book(args.out / "equal_cost.json", KEYS)
    runs = [run for name in args.study for run in STUDIES[name]()] if args.study else _asked(args)
    try:
        run_all(runs, book, args)
    except TimeoutError:
        print("the time is over", flush=True)
    (args.out / "equal_cost.md").write_text(tables(book.rows))
    print(tables(book.rows))


def _asked(args: argparse.Namespace) -> list[Run]:
    """Every combination of what was asked for."""
    return [
        Run(
            camera,
            strategy,
            1.0 if strategy == FULL else budget,
            args.looks_free and strategy not in (LOTTERY, FULL),
            seed,
            epochs,
            looks,
            rate,
        )
        for budget in args.budgets
        for seed in args.seeds
        for epochs in args.epochs or [None]
        for looks in args.looks_per_label or [None]
        for rate in args.rates or [None]
        for camera in args.cameras
        for strategy in args.strategies
    ]


if __name__ == "__main__":
    main()
