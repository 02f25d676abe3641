"""A whole watched day of cheap frames: what it holds in memory, and how long telling it takes.

    python -m benchmarks.watched_day --cameras 4

86,400 frames a camera (small plain pictures, random boxes in the student's place) go to days on
disk as `culling ingest` writes them; all else is real. Memory is looked at after 5 % of the day and
at its end. Then the day is opened again, as after a restart, and collected, as by a night.
"""

from __future__ import annotations

import argparse
import gc
import json
import tempfile
import time
from datetime import UTC, date, timedelta
from pathlib import Path

import numpy as np
import psutil

from benchmarks.fleet import STREET
from culling_pipeline.culling.strategies import STRATEGIES
from culling_pipeline.day.daybook import DAYBOOK, DayClock
from culling_pipeline.day.watched_day import DayWriter, WatchedDay
from culling_pipeline.run.workers import Workers
from jobs.cameras.day_plan import ingest_plan
from jobs.config.night import CullingSettings
from models.boxes.detections import Detections
from streams.base import Frame

CLOCK = DayClock.on(date(2026, 1, 5))
PLAN = ingest_plan(STREET)
HEIGHT_PX, WIDTH_PX = 36, 64


class Unasked:
    """The student of the night: nothing is left for it to score."""

    class_names = ("person", "car", "bicycle")

    def predict(self, images: list[np.ndarray]) -> list[Detections]:
        raise AssertionError


def some_boxes(rng: np.random.Generator) -> Detections:
    """Up to sixteen boxes of any score."""
    count = int(rng.integers(16))
    corners = rng.uniform(0, 30, (count, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(2, 30, (count, 2))], axis=1)
    scores = np.sort(rng.uniform(0.05, 0.99, count))[::-1]
    labels = rng.integers(3, size=count)
    return Detections(boxes.astype(np.float32), scores.astype(np.float32), labels)


def memory_mib() -> float:
    """What this process holds."""
    gc.collect()
    return psutil.Process().memory_info().rss / 2**20


def watch(days: list[DayWriter], frames: int) -> dict[str, float]:
    """Give each of the days so many frames, one a second."""
    rng, looks = np.random.default_rng(1), dict[str, float]()
    for k in range(frames):
        moment = (CLOCK.midnight + timedelta(seconds=k)).astimezone(UTC)
        for day in days:
            image = rng.integers(60, 70, (HEIGHT_PX, WIDTH_PX, 3), np.uint8)
            frame = Frame(image, 0.0, moment, "street")
            day.take(frame, some_boxes(rng), scored=True, model="2026-01-04")
        if k in (frames // 20, frames // 2, frames - 1):
            looks[f"memory_mib_at_{round(100 * k / frames)}_percent"] = memory_mib()
    return looks


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cameras", type=int, default=1)
    parser.add_argument("--frames", type=int, default=86_400)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, Workers(1) as workers:
        folders = [Path(scratch) / f"camera-{i}" for i in range(args.cameras)]
        days = [DayWriter(f, PLAN, clock=CLOCK) for f in folders]
        result: dict[str, float] = {"cameras": args.cameras, "frames": args.frames}
        result |= watch(days, args.frames)
        grown = result["memory_mib_at_100_percent"] - result["memory_mib_at_5_percent"]
        result["grown_mib_a_camera"] = grown / args.cameras
        result["daybook_mib"] = (folders[0] / DAYBOOK).stat().st_size / 2**20
        for day in days:
            day.close()
        result["opening_cpu_s"] = _timed(lambda: DayWriter(folders[0], PLAN, clock=CLOCK).close())
        result["collecting_cpu_s"] = _timed(
            lambda: WatchedDay(folders[0], CLOCK).collect(
                workers.model(Unasked),
                STRATEGIES[CullingSettings().strategy],
                plan=PLAN,
                model="2026-01-04",
                folder=Path(scratch) / "night",
                until=CLOCK.midnight + timedelta(days=1),
            )
        )
    print(json.dumps(result, indent=1))


def _timed(act: object) -> float:
    began = time.process_time()
    act()  # type: ignore[operator]
    return time.process_time() - began


if __name__ == "__main__":
    main()
