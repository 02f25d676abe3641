"""optResolution, as in Dataset Culling's Fig. 4: image size against mAP50 and against the change of
L_conf, and the size that is chosen.

    python -m benchmarks.opt_resolution --cameras street-21 court-3

For each scale: the student trains on the same kept set at that size and is measured at that size on
the next day. Resumable like benchmarks/culling.py: the points are rows of
benchmarks/results/figure4.json; figure4.md has them and the choices.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.book import Book
from benchmarks.culling import RESULTS, TEST_FRAMES, TRAIN_FRAMES, choose, plan
from benchmarks.fleet import CACHE, FLEET, HEIGHT_PX, STUDENT, WIDTH_PX, Camera, images, seen_day
from culling_pipeline.confidence import frame_loss
from culling_pipeline.metrics import coco_map
from culling_pipeline.resolution import opt_resolution, relative_mse, scales_down_to
from culling_pipeline.train import Sample, fine_tune
from jobs.config.night import ResolutionSettings
from models.detector import TorchDetector, scaled
from models.student import load_detector

KEEP = 64
DEFAULTS = ResolutionSettings()
SCALES = scales_down_to(DEFAULTS.min_scale)


def sized(student: TorchDetector, scale: float) -> TorchDetector:
    """The student at this share of the cameras' size."""
    return student.at_size(*scaled(HEIGHT_PX, WIDTH_PX, scale))


def losses(student: TorchDetector, pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.float64]:
    """L_conf of each picture."""
    return np.array([frame_loss(d) for p in pictures for d in student.predict([p])])


def measure(camera: Camera, scale: float, seed: int, cache: Path) -> dict[str, Any]:
    """One point of the curve."""
    day = seen_day(camera, day=0, count=TRAIN_FRAMES, cache=cache)
    later = seen_day(camera, day=1, count=TEST_FRAMES, cache=cache)
    kept, _ = choose(day, "strata", KEEP, seed)
    pictures = list(images(camera, day.times_s[np.array(kept)]))
    student = load_detector(STUDENT)
    full, smaller = losses(sized(student, 1.0), pictures), losses(sized(student, scale), pictures)
    trained = sized(student, scale)
    samples = [Sample(p, day.teacher[i]) for p, i in zip(pictures, kept, strict=True)]
    fine_tune(trained, samples, plan(seed))
    test = list(images(camera, later.times_s))
    began = time.process_time()
    found = [d for p in test for d in trained.predict([p])]
    seconds = (time.process_time() - began) / len(test)
    return {
        "camera": camera.name,
        "scale": scale,
        "seed": seed,
        "relative_mse": relative_mse(full, smaller),
        "map50": coco_map(found, later.teacher, trained.class_names).map50,
        "seconds_per_image": seconds,
        "pixels": padded_pixels(scale) / padded_pixels(1.0),
    }


def padded_pixels(scale: float) -> int:
    """Pixels the net really works on: torchvision pads both sides to multiples of 32."""
    height, width = scaled(HEIGHT_PX, WIDTH_PX, scale)
    return (-(-height // 32) * 32) * (-(-width // 32) * 32)


def search(camera: Camera, seed: int, threshold: float, cache: Path) -> dict[str, Any]:
    """What optResolution itself chooses, and what the choosing costs."""
    day = seen_day(camera, day=0, count=TRAIN_FRAMES, cache=cache)
    kept, _ = choose(day, "strata", KEEP, seed)
    pictures = list(images(camera, day.times_s[np.array(kept)]))
    student = load_detector(STUDENT)
    found = opt_resolution(
        lambda scale, rows: losses(sized(student, scale), [pictures[r] for r in rows]),
        len(pictures),
        threshold=threshold,
        min_scale=DEFAULTS.min_scale,
    )
    return {
        "camera": camera.name,
        "seed": seed,
        "threshold": threshold,
        "scale": found.scale,
        "passes_share": found.student_passes / (len(SCALES) * len(pictures)),
    }


def chosen(points: list[dict[str, Any]], picks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What each choice costs in points of mAP50 and saves in computation, beside full size."""
    by_key = {(p["camera"], p["seed"], round(p["scale"], 4)): p for p in points}
    rows = []
    for pick in picks:
        full = by_key[pick["camera"], pick["seed"], 1.0]
        small = by_key[pick["camera"], pick["seed"], round(pick["scale"], 4)]
        rows.append(
            {
                **pick,
                "points_lost": 100 * (full["map50"] - small["map50"]),
                "saves_pixels": full["pixels"] / small["pixels"],
                "saves_seconds": full["seconds_per_image"] / small["seconds_per_image"],
            }
        )
    return rows


def table(points: list[dict[str, Any]], rows: list[dict[str, Any]]) -> str:
    """The curve of each camera, means over seeds, then the choices."""
    lines = ["| camera | scale | relative MSE | mAP50 | pixels | ms an image |", "|" + "---|" * 6]
    for camera in dict.fromkeys(p["camera"] for p in points):
        for scale in sorted({p["scale"] for p in points}, reverse=True):
            at = [p for p in points if p["camera"] == camera and p["scale"] == scale]
            if at:
                mse, map50, pixels, seconds = (
                    np.mean([p[k] for p in at])
                    for k in ("relative_mse", "map50", "pixels", "seconds_per_image")
                )
                lines.append(
                    f"| {camera} | {scale:.2f} | {mse:.3f} | {map50:.3f} | {pixels:.2f} "
                    f"| {1000 * seconds:.1f} |"
                )
    lines += ["", "| camera | seed | chosen | mAP50 lost | pixels | time | student passes |"]
    lines.append("|" + "---|" * 7)
    for r in rows:
        lines.append(
            f"| {r['camera']} | {r['seed']} | {r['scale']:.2f} | {r['points_lost']:+.1f} "
            f"| ÷ {r['saves_pixels']:.1f} | ÷ {r['saves_seconds']:.1f} | {r['passes_share']:.0%} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cameras", nargs="+", choices=[c.name for c in FLEET], required=True)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--threshold", type=float, default=DEFAULTS.threshold)
    parser.add_argument("--cache", type=Path, default=CACHE)
    args = parser.parse_args()
    torch.set_num_threads(1)
    book = Book(RESULTS / "figure4.json", ("camera", "seed", "scale"))
    cameras = [c for c in FLEET if c.name in args.cameras]
    wanted = [(c, seed, scale) for c in cameras for seed in args.seeds for scale in SCALES]
    for camera, seed, scale in wanted:
        if not book.has(camera=camera.name, seed=seed, scale=scale):
            book.add(measure(camera, scale, seed, args.cache))
            print(json.dumps(book.rows[-1]), flush=True)
    picks = [
        search(camera, seed, args.threshold, args.cache)
        for camera in FLEET
        for seed in sorted({r["seed"] for r in book.rows if r["camera"] == camera.name})
    ]
    shown = table(book.rows, chosen(book.rows, picks))
    (RESULTS / "figure4.md").write_text(shown)
    print(shown)


if __name__ == "__main__":
    main()
