"""Strategies under one budget: looks, labels and training images all cost, nothing is free.

    python -m benchmarks.equal_cost --cameras street-21 --strategies unsure random --budgets 100

A budget of 100 is a hundredth of what full training on a whole day costs (86,400 frames, a dozen
epochs, the same schedule). It is divided as a night divides it (`culling/budget.py`), at the
seconds an image of results/first_pass.json. The day is 2,880 frames: the student looks at as many
of them, evenly in time, as the strategy's portion says; with --looks-free at all, for nothing. The
lottery (`random`) looks at none and labels and trains on more. Labels and truth are the teacher's,
accuracy is that of the next day.

Resumable: every finished run is a row of benchmarks/results/equal_cost.json; equal_cost.md has the
tables.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import as_completed
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track

from benchmarks.book import Book, Row
from benchmarks.culling import PARTS, RECIPES, TEST_FRAMES, TRAIN_FRAMES, interval, prepare, samples
from benchmarks.fleet import CACHE, FLEET, STUDENT, TASK, Camera, Day, images, recorded_h, seen_day
from benchmarks.tried import TRIED
from culling_pipeline.culling.budget import DAY_FRAMES, Wishes, cost_s, divide
from culling_pipeline.culling.candidates import Candidates, parts_of_day
from culling_pipeline.culling.strategies import STRATEGIES, Strategy
from culling_pipeline.records import Portions, SecondsPerImage
from culling_pipeline.run.workers import Workers
from culling_pipeline.tasks.boxes.average_precision import coco_map
from culling_pipeline.tasks.boxes.disagreement import disagreement
from culling_pipeline.training.loop import fine_tune
from jobs.config.night import CullingSettings
from jobs.config.weights import StudentSettings
from jobs.nights.budget import full_seconds
from jobs.nights.plans import images_of
from models.boxes.backend import at_work
from models.boxes.student import load_detector

RESULTS = Path(__file__).parent / "results"
KEYS = ("camera", "strategy", "budget", "looks_free", "seed", "epochs", "looks_per_label")
LOTTERY = "random"
KNOWN: dict[str, Strategy] = {**STRATEGIES, **TRIED}
MOST = TRAIN_FRAMES


@dataclass(frozen=True)
class Run:
    """One cell. `epochs` None and `looks_per_label` None: as the budget divides by itself."""

    camera: str
    strategy: str
    budget: float
    looks_free: bool
    seed: int
    epochs: int | None
    looks_per_label: float | None


def slim_seconds() -> SecondsPerImage:
    """Seconds an image of the demo's nets, CPU, one core."""
    found = json.loads((RESULTS / "first_pass.json").read_text())["seconds"]["slim"]
    return SecondsPerImage(
        look=found["student, arranged"], label=found["teacher, arranged"], train=found["training"]
    )


def portions_of(run: Run, seconds: SecondsPerImage) -> Portions:
    """How this run spends its budget."""
    looks = run.strategy != LOTTERY
    ratio = CullingSettings().survivors_ratio if KNOWN[run.strategy].uses_teacher else 1.0
    wishes = Wishes(
        frames=TRAIN_FRAMES,
        most=MOST,
        labels_per_kept=ratio,
        epochs=run.epochs,
        looks=None if looks and not run.looks_free else (TRAIN_FRAMES if looks else 0),
    )
    if run.looks_per_label is not None:
        wishes = replace(wishes, looks_per_label=run.looks_per_label)
    if run.looks_free:
        seconds = seconds.changed(look=0.0)
    return divide(
        full_seconds(RECIPES["mirrored"], seconds) / run.budget,
        seconds,
        wishes,
        partial(images_of, RECIPES["varied"]),
    )


def choose(day: Day, run: Run, portions: Portions) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """What is trained on, and what is labelled."""
    rng = np.random.default_rng([run.seed, 61])
    strategy = KNOWN[run.strategy]
    candidates = _looked_at(day, portions.looks) if portions.looks else _candidates(day, None)
    if hasattr(strategy, "answers"):
        strategy = replace(strategy, answers=day.student)  # type: ignore[type-var]
    survivors = strategy.survivors(candidates, portions.labels, rng)
    least = StudentSettings().min_score
    differences = [
        disagreement(i, day.student[i], day.teacher[i], n_classes=3, student_min_score=least)
        for i in survivors
    ]
    return strategy.kept_set(candidates, differences, portions.keep, rng), survivors


def _looked_at(day: Day, looks: int) -> Candidates:
    """Frames evenly in time; nothing is known of the others, which can be drawn all the same."""
    rows = np.unique(np.round(np.linspace(0, TRAIN_FRAMES - 1, looks)).astype(np.int64))
    return _candidates(day, rows)


def _candidates(day: Day, looked: NDArray[np.int64] | None) -> Candidates:
    first, last = (3600 * hour for hour in recorded_h(day.camera, 0))
    rows = np.arange(TRAIN_FRAMES) if looked is None else looked
    times_s = day.times_s[rows]
    return Candidates(
        ids=rows,
        losses=day.losses[rows],
        parts=parts_of_day(times_s, start_s=first, end_s=last, parts=PARTS),
        times_s=times_s,
        n_parts=PARTS,
    )


def execute(run: Run, cache: Path) -> Row:
    """Divide, choose, train, measure on the next day against the teacher."""
    torch.set_num_threads(1)
    camera = next(c for c in FLEET if c.name == run.camera)
    day = seen_day(camera, day=0, count=TRAIN_FRAMES, cache=cache)
    later = seen_day(camera, day=1, count=TEST_FRAMES, cache=cache)
    seconds = slim_seconds()
    portions = portions_of(run, seconds)
    kept, labelled = choose(day, run, portions)
    student = load_detector(STUDENT)
    settings = RECIPES["varied"].changed(seed=run.seed, epochs=portions.epochs)
    others = sorted(set(labelled) - set(kept))
    began = time.process_time()
    course = fine_tune(
        student, TASK, list(samples(day, kept)), settings.to_plan(), others=samples(day, others)
    )
    took_s = time.process_time() - began
    watching = at_work(student, "auto")
    found = [d for i in images(camera, later.times_s) for d in watching.predict([i])]
    accuracy = coco_map(found, later.teacher, student.class_names)
    spent = portions.changed(labels=len(labelled), keep=len(kept), images=course.images)
    return {
        **asdict(run),
        "kind": "synthetic",
        "map50": accuracy.score.value,
        "map": accuracy.further[0].value,
        "per_class": accuracy.per_class,
        **spent.model_dump(exclude={"epochs"}),
        "shown": portions.epochs,
        "cost_s": cost_s(spent.changed(looks=0) if run.looks_free else spent, seconds),
        "train_cpu_s": took_s,
        "default": run.strategy == CullingSettings().strategy,
    }


def full_rows() -> list[Row]:
    """Full training, from the rows of benchmarks/culling.py."""
    stored = json.loads((RESULTS / "culling.json").read_text())
    seconds = slim_seconds()
    return [
        {
            "camera": row["camera"],
            "kind": "synthetic",
            "strategy": "full",
            "budget": 1.0,
            "looks_free": False,
            "seed": row["seed"],
            "map50": row["map50"],
            "map": row["map"],
            "looks": 0,
            "labels": DAY_FRAMES,
            "images": images_of(RECIPES["mirrored"], DAY_FRAMES, 12),
            "cost_s": full_seconds(RECIPES["mirrored"], seconds),
        }
        for row in stored
        if row["strategy"] == "full" and row["teacher"] == "resnet101"
    ]


def run_all(runs: Sequence[Run], cameras: Sequence[Camera], workers: int, book: Book) -> None:
    """All runs that the book does not have yet."""
    with Workers(workers) as pool:
        for future in [pool.submit(prepare, camera, CACHE) for camera in cameras]:
            future.result()
        todo = [pool.submit(execute, run, CACHE) for run in runs if not book.has(**asdict(run))]
        for future in track(as_completed(todo), "training", len(todo)):
            book.add(future.result())


def tables(rows: Sequence[Row]) -> str:
    """By budget: each strategy's mean, and its difference from the lottery in points of mAP50, with
    the 95 % interval over cameras (Student's t) and the worst camera."""
    base = {
        (r["camera"], r["budget"], r["seed"]): r["map50"]
        for r in rows
        if r["strategy"] == LOTTERY and r["epochs"] is None
    }
    cells: dict[tuple[object, ...], list[Row]] = defaultdict(list)
    for row in rows:
        if row["strategy"] != "full":
            key = ("budget", "looks_free", "strategy", "epochs", "looks_per_label")
            cells[tuple(row[k] for k in key)].append(row)
    lines = [
        "| budget | looks | strategy | epochs | looks a label | runs | looks | labels | images "
        "| mAP50 | mAP | against the lottery | worst camera |",
        "|" + "---|" * 13,
    ]
    for name, found in sorted(cells.items(), key=repr):
        budget, free, strategy, epochs, looks = name
        apart: dict[str, list[float]] = defaultdict(list)
        for r in found:
            known = base.get((r["camera"], r["budget"], r["seed"]))
            if known is not None and strategy != LOTTERY:
                apart[r["camera"]].append(100 * (r["map50"] - known))
        means = {camera: float(np.mean(points)) for camera, points in apart.items()}
        worst = min(means, key=lambda c: means[c], default=None)
        shown = found[0]["shown"]
        lines.append(
            f"| 1/{budget:g} | {'free' if free else 'paid'} | {strategy} "
            f"| {epochs or f'{shown} (by budget)'} | {looks or '–'} | {len(found)} "
            f"| {found[0]['looks']} | {found[0]['labels']} | {found[0]['images']} "
            f"| {np.mean([r['map50'] for r in found]):.3f} "
            f"| {np.mean([r['map'] for r in found]):.3f} | {interval(list(means.values()))} "
            f"| {f'{worst} {means[worst]:+.1f}' if worst else '–'} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cameras", nargs="+", default=[c.name for c in FLEET])
    parser.add_argument("--strategies", nargs="+", default=["mixed", LOTTERY], choices=[*KNOWN])
    parser.add_argument("--budgets", nargs="+", type=float, default=[100.0])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--epochs", nargs="+", type=int, help="fix how often a frame is shown")
    parser.add_argument("--looks-per-label", nargs="+", type=float)
    parser.add_argument("--looks-free", action="store_true")
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    runs = [
        Run(camera, strategy, budget, args.looks_free and strategy != LOTTERY, seed, epochs, looks)
        for budget in args.budgets
        for seed in args.seeds
        for epochs in args.epochs or [None]
        for looks in args.looks_per_label or [None]
        for camera in args.cameras
        for strategy in args.strategies
    ]
    book = Book(RESULTS / "equal_cost.json", KEYS)
    run_all(runs, [c for c in FLEET if c.name in args.cameras], args.workers, book)
    for row in full_rows():
        book.add({"epochs": None, "looks_per_label": None, **row})
    (RESULTS / "equal_cost.md").write_text(tables(book.rows))
    print(tables(book.rows))


if __name__ == "__main__":
    main()
