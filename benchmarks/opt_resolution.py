"""optResolution, as in Dataset Culling's Fig. 4: image size against mAP50 and against the change of
L_conf, and the size that is chosen.

    python -m benchmarks.opt_resolution --views street-21 court-3 --steps 0 2 4
    python -m benchmarks.opt_resolution --data DATA --views one-by-one

For each scale: a student is trained on the same kept set at that size and measured at that size on
later frames. Resumable; each view's points are kept in the cache and all of them go into
benchmarks/results/figure4.json; figure4.md has them, the choices, and what other thresholds of the
paper's criterion would have chosen among the measured scales. `--frames`: how many the kept set is
chosen from, and how many are measured on.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.book import Book, Row
from benchmarks.culling import RESULTS, plan
from benchmarks.fleet import LOSS, TASK, teacher_name
from benchmarks.opt_views import KEEP, VIEWS, Lesson, lesson
from culling_pipeline.culling.resolution import (
    opt_resolution,
    relative_mse,
    scales_down_to,
)
from culling_pipeline.tasks.boxes.answer_files import load_detections, save_detections
from culling_pipeline.tasks.boxes.average_precision import coco_map
from culling_pipeline.tasks.boxes.smallest_size import smallest_scale_for
from culling_pipeline.tasks.samples import Sample
from culling_pipeline.training.loop import fine_tune
from jobs.config.night import ResolutionSettings
from models.boxes.detections import Detections
from models.boxes.detector import TorchDetector
from models.images import scaled

CACHE = Path("build/opt-resolution") / teacher_name()
SCALES = scales_down_to(0.45)
"""Smaller than a night tries, to see where a curve ends."""
DEFAULTS = ResolutionSettings()
THRESHOLDS = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0)


def sized(student: TorchDetector, view: Lesson, scale: float) -> TorchDetector:
    """The student at this share of the view's size."""
    return student.at_size(*scaled(*view.full_size, scale))


def seen_by(
    student: TorchDetector, view: Lesson, path: Path, scales: list[float]
) -> list[list[Detections]]:
    """What the student says of the kept frames at each scale; kept in a file."""
    count = len(view.kept)
    if not path.exists():
        at = [sized(student, view, s) for s in scales]
        found = [d for detector in at for p in view.kept for d in detector.predict([p])]
        save_detections(path, dict(enumerate(found)))
    stored = load_detections(path)
    return [[stored[k * count + i] for i in range(count)] for k in range(len(scales))]


def measure(view: Lesson, scale: float, seed: int) -> dict[str, Any]:
    """Train at a scale, measure at it on the later frames."""
    trained = sized(view.start, view, scale)
    samples = [Sample(p, d) for p, d in zip(view.kept, view.labels, strict=True)]
    began = time.process_time()
    fine_tune(trained, TASK, samples, plan("mirrored", len(samples), seed))
    training = time.process_time() - began
    began = time.process_time()
    found = [d for p in view.later for d in trained.predict([p])]
    seconds = (time.process_time() - began) / len(view.later)
    return {
        "map50": coco_map(found, view.truth, trained.class_names).score.value,
        "seconds_per_image": seconds,
        "training_seconds": training,
        "pixels": padded_pixels(view, scale) / padded_pixels(view, 1.0),
    }


def padded_pixels(view: Lesson, scale: float) -> int:
    """Pixels the net really works on: torchvision pads both sides to multiples of 32."""
    height, width = scaled(*view.full_size, scale)
    return (-(-height // 32) * 32) * (-(-width // 32) * 32)


def book_of(name: str, cache: Path) -> Book:
    """One view's finished trainings, so that several views can be measured side by side."""
    return Book(cache / f"{name}.json", ("view", "seed", "scale"))


def fill(name: str, seed: int, steps: list[int], args: argparse.Namespace) -> None:
    """The curve of a view at these steps, and at the scale that a night would choose."""
    book, counts = book_of(name, args.cache), tuple(args.frames)
    first = lesson(VIEWS[name], seed, frames=counts, cache=args.cache, data=args.data)
    seen = seen_by(first.start, first, args.cache / f"{name}-{seed}-seen.npz", SCALES)
    small_px = small_object_px(first)
    for scale in sorted({SCALES[k] for k in steps} | {choice(small_px)}, reverse=True):
        if book.has(view=name, seed=seed, scale=scale):
            continue
        view = lesson(VIEWS[name], seed, frames=counts, cache=args.cache, data=args.data)
        row = {
            "view": name,
            "seed": seed,
            "scale": scale,
            "frames": counts[0],
            "small_object_px": small_px,
            "relative_mse": relative_mse(losses(seen[0]), losses(seen[SCALES.index(scale)])),
            **measure(view, scale, seed),
        }
        book.add(row)
        print(json.dumps(row), flush=True)


def losses(found: list[Detections]) -> NDArray[np.float64]:
    """L_conf of each frame."""
    return np.array([LOSS.loss_of(d) for d in found])


def small_object_px(view: Lesson) -> float:
    """The side that `smallest_scale_for` goes by, at full size."""
    return 1 / smallest_scale_for(view.labels, shrink=1.0, min_object_px=1.0)


def choice(small_px: float) -> float:
    """The scale that a night chooses at its defaults."""
    allowed = min(1.0, DEFAULTS.min_object_px / small_px)
    found = opt_resolution(
        lambda _scale, _rows: np.zeros(0),
        KEEP,
        threshold=DEFAULTS.threshold,
        min_scale=max(DEFAULTS.min_scale, allowed),
    )
    return found.scale


def curve(rows: list[Row]) -> str:
    """Each view's points; the chosen one is marked."""
    lines = [
        "| view | small objects | scale | relative MSE | mAP50 | pixels | training s | ms/image |",
        "|" + "---|" * 8,
    ]
    for r in sorted(rows, key=lambda r: (r["view"], r["seed"], -r["scale"])):
        mark = " ★" if math.isclose(r["scale"], choice(r["small_object_px"])) else ""
        lines.append(
            f"| {r['view']} | {r['small_object_px']:.0f} px | {r['scale']:.2f}{mark} "
            f"| {r['relative_mse']:.3f} | {r['map50']:.3f} | {r['pixels']:.2f} "
            f"| {r['training_seconds']:.0f} | {1000 * r['seconds_per_image']:.0f} |"
        )
    return "\n".join(lines)


def choices(rows: list[Row]) -> str:
    """What the chosen scale of each view costs and saves, and the means."""
    by_key = {(r["view"], r["seed"], r["scale"]): r for r in rows}
    lines = ["| view | tuning | chosen | mAP50 lost | computation | time |", "|" + "---|" * 6]
    lost = []
    for view, seed in sorted({(r["view"], r["seed"]) for r in rows}):
        full = by_key[view, seed, 1.0]
        small = by_key.get((view, seed, choice(full["small_object_px"])))
        if small is None:  # its training was cut off
            continue
        lost.append(100 * (full["map50"] - small["map50"]))
        lines.append(
            f"| {view} | {'yes' if VIEWS[view].tuning else 'no'} | {small['scale']:.2f} "
            f"| {lost[-1]:+.1f} | ÷ {full['pixels'] / small['pixels']:.1f} "
            f"| ÷ {full['seconds_per_image'] / small['seconds_per_image']:.1f} |"
        )
    mean = (
        f"Mean cost: {np.mean(lost):+.1f} points of mAP50 over {len(lost)} views. "
        "Student passes to find the scale: none."
    )
    return "\n".join([*lines, "", mean])


def thresholds(rows: list[Row]) -> str:
    """The paper's criterion alone: for each threshold, what the smallest scale within it costs."""
    lines = ["| threshold | mean mAP50 lost | most lost | mean computation |", "|" + "---|" * 4]
    views = sorted({(r["view"], r["seed"]) for r in rows})
    for threshold in THRESHOLDS:
        lost, work = [], []
        for name in views:
            of_view = [r for r in rows if (r["view"], r["seed"]) == name]
            full = next(r for r in of_view if r["scale"] == 1.0)
            within = [r for r in of_view if r["relative_mse"] <= threshold]
            small = min(within, key=lambda r: float(r["scale"]))
            lost.append(100 * (full["map50"] - small["map50"]))
            work.append(small["pixels"])
        lines.append(
            f"| {threshold:g} | {np.mean(lost):+.1f} | {max(lost):+.1f} | {np.mean(work):.2f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--views", nargs="*", choices=list(VIEWS), default=[])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--steps", nargs="+", type=int, default=[0, 2, 4, 6])
    parser.add_argument("--frames", nargs=2, type=int, default=[240, 120])
    parser.add_argument("--data", type=Path, help="folder of the clips and their teacher")
    parser.add_argument("--cache", type=Path, default=CACHE)
    args = parser.parse_args()
    torch.set_num_threads(1)
    for name in args.views:
        for seed in args.seeds:
            fill(name, seed, args.steps, args)
    book = Book(RESULTS / "figure4.json", ("view", "seed", "scale"))
    for name in VIEWS:
        for row in book_of(name, args.cache).rows:
            book.add(row)
    shown = "\n\n".join([curve(book.rows), choices(book.rows), thresholds(book.rows)]) + "\n"
    (RESULTS / "figure4.md").write_text(shown)
    print(shown)


if __name__ == "__main__":
    main()
