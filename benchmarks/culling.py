"""Strategies × cameras × sizes of the kept set × seeds: which frames teach the most?

    python -m benchmarks.culling --strategies random strata paper --n 64 --seeds 0 1 --tuning

Resumable: every finished run is a row of benchmarks/results/culling.json, and is not run again.
culling.md has means, deviations and paired differences. Labels and truth are the built-in
teacher's; a row says which that was.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import as_completed
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from rich.progress import track
from scipy.stats import t as student_t

from benchmarks.book import Book, Row
from benchmarks.fleet import (
    CACHE,
    FLEET,
    STUDENT,
    TASK,
    Camera,
    Day,
    images,
    recorded_h,
    seen_day,
    teacher_name,
)
from culling_pipeline.culling.candidates import Candidates, parts_of_day
from culling_pipeline.culling.strategies import STRATEGIES
from culling_pipeline.run.workers import Workers
from culling_pipeline.tasks.boxes.average_precision import coco_map
from culling_pipeline.tasks.boxes.disagreement import disagreement
from culling_pipeline.tasks.samples import Sample
from culling_pipeline.training.loop import TrainPlan, fine_tune
from jobs.config.night import CullingSettings, TrainingSettings
from jobs.config.weights import StudentSettings
from models.boxes.backend import at_work
from models.boxes.student import load_detector

RESULTS = Path(__file__).parent / "results"
TRAIN_FRAMES, TEST_FRAMES = 2880, 300
PARTS = CullingSettings().parts
SURVIVORS_RATIO = CullingSettings().survivors_ratio
DEFAULT = "strata"
"""The default of the nights that these rows are of; today's are in equal_cost.json."""
SHOWN = 18_432
RECIPES = {
    "varied": TrainingSettings(),
    "mirrored": TrainingSettings(epochs=12, paste=0.0, shift=0.0, light=0.0),
}
"""How the student is trained: as a night does, and as until November 2026, which is also how the
papers do it: a dozen epochs, every other picture mirrored."""


def open_book() -> Book:
    """All runs made so far."""
    return Book(RESULTS / "culling.json", ("camera", "strategy", "n", "seed", "teacher", "recipe"))


@dataclass(frozen=True)
class Run:
    """One cell of the table."""

    camera: str
    strategy: str
    n: int
    seed: int
    teacher: str
    recipe: str


@dataclass(frozen=True)
class Choice:
    """The kept frames, and those that the teacher was asked about."""

    kept: tuple[int, ...]
    labelled: tuple[int, ...]

    @property
    def others(self) -> list[int]:
        """What is labelled but not trained on."""
        return sorted(set(self.labelled) - set(self.kept))


def choose(day: Day, strategy_name: str, n: int, seed: int) -> Choice:
    """What a strategy keeps.

    Beside the night's strategies: `none` keeps nothing, `full` everything, and `precision_only`
    shows the teacher the whole day and keeps by the paper's precision (Dataset Culling, Table 2).
    """
    if strategy_name == "none":
        return Choice((), ())
    if strategy_name == "full":
        everything = tuple(range(len(day.times_s)))
        return Choice(everything, everything)
    rng = np.random.default_rng([seed, 61])
    whole_day = strategy_name == "precision_only"
    strategy = STRATEGIES["paper" if whole_day else strategy_name]
    first, last = (3600 * hour for hour in recorded_h(day.camera, 0))
    candidates = Candidates(
        ids=np.arange(len(day.times_s)),
        losses=day.losses,
        parts=parts_of_day(day.times_s, start_s=first, end_s=last, parts=PARTS),
        times_s=day.times_s,
        n_parts=PARTS,
    )
    budget = round(n * SURVIVORS_RATIO) if strategy.uses_teacher else n
    budget = len(day.times_s) if whole_day else budget
    survivors = strategy.survivors(candidates, budget, rng)
    least = StudentSettings().min_score
    differences = [
        disagreement(i, day.student[i], day.teacher[i], n_classes=3, student_min_score=least)
        for i in survivors
    ]
    return Choice(strategy.kept_set(candidates, differences, n, rng), survivors)


def execute(run: Run, cache: Path) -> Row:
    """Choose, train, measure on the next day against the teacher."""
    torch.set_num_threads(1)
    camera = next(c for c in FLEET if c.name == run.camera)
    day = seen_day(camera, day=0, count=TRAIN_FRAMES, cache=cache)
    later = seen_day(camera, day=1, count=TEST_FRAMES, cache=cache)
    began = time.perf_counter()
    choice = choose(day, run.strategy, run.n, run.seed)
    student = load_detector(STUDENT)
    if choice.kept:
        fine_tune(
            student,
            TASK,
            list(samples(day, choice.kept)),
            plan(run.recipe, len(choice.kept), run.seed),
            others=samples(day, choice.others),
        )
    seconds = time.perf_counter() - began
    watching = at_work(student, "auto")
    found = [d for i in images(camera, later.times_s) for d in watching.predict([i])]
    accuracy = coco_map(found, later.teacher, student.class_names)
    return {
        **asdict(run),
        "map50": accuracy.score.value,
        "map": accuracy.further[0].value,
        "per_class": accuracy.per_class,
        "teacher_calls": len(choice.labelled),
        "objects_per_frame": objects_per_frame(day, choice.kept),
        "seconds": seconds,
        **({"default": True} if run.strategy == DEFAULT else {}),
    }


def samples(day: Day, ids: Sequence[int]) -> Iterator[Sample]:
    """These frames with the teacher's labels."""
    pictures = images(day.camera, day.times_s[np.array(ids, np.int64)])
    for picture, i in zip(pictures, ids, strict=True):
        yield Sample(picture, day.teacher[i])


def objects_per_frame(day: Day, ids: Sequence[int]) -> float | None:
    """How much is to be seen in these frames."""
    return float(np.mean([len(day.teacher[i]) for i in ids])) if ids else None


def plan(recipe: str, kept: int, seed: int) -> TrainPlan:
    """How a set of so many frames is trained on."""
    return for_kept(RECIPES[recipe].changed(seed=seed), kept).to_plan()


def for_kept(settings: TrainingSettings, frames: int) -> TrainingSettings:
    """A training that shows `SHOWN` images in all, as nights did before they had a budget."""
    if settings.epochs is not None:
        return settings
    return settings.changed(epochs=min(max(12, round(SHOWN / frames)), 96))


def prepare(camera: Camera, cache: Path) -> None:
    """Fill the cache of a camera."""
    seen_day(camera, day=0, count=TRAIN_FRAMES, cache=cache)
    seen_day(camera, day=1, count=TEST_FRAMES, cache=cache)


def run_all(runs: list[Run], cameras: list[Camera], cache: Path, workers: int, book: Book) -> None:
    """All runs that the book does not have yet."""
    with Workers(workers) as pool:
        first = [pool.submit(prepare, camera, cache) for camera in cameras]
        for future in track(as_completed(first), "both detectors on all days", len(first)):
            future.result()
        todo = [pool.submit(execute, run, cache) for run in runs if not book.has(**asdict(run))]
        for future in track(as_completed(todo), "training", len(todo)):
            book.add(future.result())


def tables(rows: list[Row]) -> str:
    """One table for each kind of camera, teacher and recipe."""
    kinds = {camera.name: camera.kind for camera in FLEET}
    groups: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
    for row in rows:
        groups[kinds[row["camera"]], row["teacher"], row["recipe"]].append(row)
    return "\n".join(
        f"## {kind}, labels and truth by {teacher}, frames {recipe}\n\n{table(group)}"
        for (kind, teacher, recipe), group in sorted(groups.items(), reverse=True)
    )


def table(rows: list[Row]) -> str:
    """Mean and deviation by strategy and n, and the difference from random in points of mAP50.

    Two 95 % intervals, both of Student's t: over the pairs (camera and seed), and over the
    cameras' means, which is the honest one where seeds of one camera resemble each other. `worst
    camera` is the camera where the strategy does worst beside random, mean over its seeds.
    """
    cells: dict[tuple[str, int], dict[tuple[str, int], float]] = defaultdict(dict)
    for row in rows:
        cells[row["strategy"], row["n"]][row["camera"], row["seed"]] = row["map50"]
    lines = [
        "| strategy | n | runs | mAP50 | deviation | against random | … by camera | worst camera |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for (strategy, n), found in sorted(cells.items(), key=lambda item: (item[0][1], item[0][0])):
        base = cells.get(("random", n), {}) if strategy not in ("random", "none") else {}
        pairs = {k: 100 * (v - base[k]) for k, v in found.items() if k in base}
        cameras = {c: np.mean([v for k, v in pairs.items() if k[0] == c]) for c, _ in pairs}
        worst = min(cameras, key=lambda c: cameras[c], default=None)
        values = np.array(list(found.values()))
        lines.append(
            f"| {strategy} | {n} | {len(values)} | {values.mean():.3f} | {values.std():.3f} "
            f"| {interval(list(pairs.values()))} | {interval(list(cameras.values()))} "
            f"| {f'{worst} {cameras[worst]:+.1f}' if worst else '–'} |"
        )
    return "\n".join(lines) + "\n"


def interval(values: Sequence[float]) -> str:
    """Mean and half width of the 95 % interval, Student's t."""
    if len(values) < 2:
        return f"{values[0]:+.1f}" if values else "–"
    quantile = float(student_t.ppf(0.975, len(values) - 1))
    half = quantile * np.std(values, ddof=1) / np.sqrt(len(values))
    return f"{np.mean(values):+.1f} ± {half:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--strategies", nargs="+", default=["none", *STRATEGIES])
    parser.add_argument("--n", nargs="+", type=int, default=[64, 128, 256])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--tuning", action="store_true", help="only the half that is for tuning")
    parser.add_argument("--cameras", nargs="+", choices=[c.name for c in FLEET], help="only these")
    parser.add_argument("--recipe", default="varied", choices=[*RECIPES])
    parser.add_argument("--cache", type=Path, default=CACHE)
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    cameras = [c for c in FLEET if c.tuning or not args.tuning]
    cameras = [c for c in cameras if not args.cameras or c.name in args.cameras]
    runs = [
        Run(c.name, strategy, n, seed, teacher_name(), args.recipe)
        for n in args.n
        for seed in args.seeds
        for strategy in args.strategies
        for c in cameras
    ]
    book = open_book()
    run_all(runs, cameras, args.cache, args.workers, book)
    (RESULTS / "culling.md").write_text(tables(book.rows))
    print(tables(book.rows))


if __name__ == "__main__":
    main()
