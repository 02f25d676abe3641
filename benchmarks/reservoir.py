"""A day of 86,400 frames through the bounded reservoir, beside the same day kept whole.

    python -m benchmarks.reservoir --seed 21
    python -m benchmarks.reservoir --replay build/culling-benchmark/resnet101/street-21-day0-2880

Every second of a synthetic street goes through `watch_recording` as in a night; memory and the
frames on disk are looked at on the way. Afterwards the strategy chooses its survivors from *all*
frames of the day, as if none had been thrown away: where they are the same frames, so is everything
after.
With `--replay` the student is not asked: what it said of 2,880 moments of that day (a file of
benchmarks/culling.py) stands for the thirty seconds around each, its scores jittered, and the
pictures are small and plain; all else is real. Writes benchmarks/results/reservoir.json.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch

from benchmarks.fleet import LOSS, STREET, STUDENT
from culling_pipeline.culling.candidates import Candidates, parts_of_day
from culling_pipeline.culling.strategies import STRATEGIES
from culling_pipeline.day.control_slice import ControlSlice
from culling_pipeline.day.day import IngestPlan
from culling_pipeline.day.recording import watch_recording
from culling_pipeline.run.progress import NoProgress
from culling_pipeline.run.workers import Workers
from culling_pipeline.tasks.boxes.answer_files import load_detections
from jobs.cameras.day_plan import ingest_plan
from jobs.config.night import CullingSettings
from models.boxes.detections import Detections, Detector
from models.boxes.student import load_detector
from streams.base import Frame, FrameSource, SourceInfo
from streams.sampler import Sampler
from streams.synthetic.source import SyntheticCamera
from streams.synthetic.truth import CLASS_NAMES

RESULTS = Path(__file__).parent / "results"
SETTINGS = CullingSettings()
MIDNIGHT = datetime(2026, 1, 5, tzinfo=UTC)
EVERY = 2_000
"""Frames between two looks at memory and disk."""


@dataclass
class Watched(FrameSource):
    """A source that looks at memory and disk as its frames go by."""

    source: FrameSource
    folder: Path
    looks: list[dict[str, float]] = field(default_factory=list)
    times_s: list[float] = field(default_factory=list)

    @property
    def info(self) -> SourceInfo:
        return self.source.info

    def frames(self, sampler: Sampler | None = None) -> Iterator[Frame]:
        for number, frame in enumerate(self.source.frames(sampler)):
            self.times_s.append(frame.time_s)
            if number % EVERY == 0:
                files = [f.stat().st_size for f in self.folder.glob("*.jpg")]
                rss = psutil.Process().memory_info().rss
                look = {"frame": number, "files": len(files), "bytes": sum(files), "rss": rss}
                self.looks.append(look)
                print(look, flush=True)
            yield frame

    def close(self) -> None:
        self.source.close()


class Remembering:
    """A student that remembers the L_conf of every frame it saw: what a night never does."""

    def __init__(self, detector: Detector, losses: list[float]) -> None:
        self._detector = detector
        self._losses = losses
        self.class_names = detector.class_names

    def predict(self, images: Any) -> list[Detections]:
        found = self._detector.predict(images)
        self._losses += [LOSS.loss_of(d) for d in found]
        return found


class Replayed:
    """Says of every second what a student said of the moment next to it, scores jittered."""

    class_names = CLASS_NAMES

    def __init__(self, path: Path) -> None:
        found = load_detections(path)
        self._found = [found[i] for i in range(len(found))]
        self._rng = np.random.default_rng(0)
        self._asked = 0

    def predict(self, images: Any) -> list[Detections]:
        return [self._next() for _ in images]

    def _next(self) -> Detections:
        near = self._found[self._asked * len(self._found) // 86_400]
        self._asked += 1
        jittered = np.clip(near.scores + self._rng.normal(0, 0.05, len(near)), 0.01, 0.99)
        return Detections(near.boxes_xyxy, jittered.astype(np.float32), near.labels)


class PlainDay(FrameSource):
    """A day of small grey pictures, one a second."""

    info = SourceInfo(
        kind="plain", location="plain", width_px=64, height_px=36, started_at=MIDNIGHT,
        duration_s=86_400.0,
    )  # fmt: skip

    def frames(self, sampler: Sampler | None = None) -> Iterator[Frame]:
        rng = np.random.default_rng(1)
        for second in range(86_400):
            image = rng.integers(60, 70, (36, 64, 3), np.uint8)
            yield Frame(image, float(second), MIDNIGHT + timedelta(seconds=second), "street")

    def close(self) -> None:
        """Nothing to close."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=21, help="of the street")
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--size", type=int, nargs=2, default=(320, 192), metavar=("W", "H"))
    parser.add_argument("--replay", type=Path, help="a student's detections, instead of a student")
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.replay:
        source, detector, hours = PlainDay(), Replayed(Path(f"{args.replay}-student.npz")), 24.0
    else:
        width, height = args.size
        url = f"synthetic://street?seed={args.seed}&hours={args.hours}"
        url += f"&width={width}&height={height}"
        source, hours = SyntheticCamera.from_url(url, camera="street"), args.hours
        detector = load_detector(STUDENT)
    result = measure(source, detector, hours)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "reservoir.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps({k: v for k, v in result.items() if k != "looks"}, indent=1))


def measure(source: FrameSource, detector: Detector, hours: float) -> dict[str, Any]:
    """One day through `watch_recording`, and the survivors that all of it would have given."""
    plan = ingest_plan(STREET)
    strategy, losses = STRATEGIES[SETTINGS.strategy], list[float]()
    with tempfile.TemporaryDirectory() as scratch, Workers(1) as workers:
        folder = Path(scratch) / "frames"
        watched = Watched(source, folder)
        began = time.perf_counter()
        record, _ = watch_recording(
            watched,
            workers.model(lambda: Remembering(detector, losses)),
            strategy,
            plan=plan,
            folder=folder,
            progress=NoProgress(),
        )
        seconds = time.perf_counter() - began
    offline = _offline(np.array(watched.times_s), np.array(losses), plan, hours * 3600)
    whole = set(strategy.survivors(offline, plan.survivors, np.random.default_rng(0)))
    bounded = set(record.survivors)
    return {
        "source": source.info.location,
        "frames_seen": record.frames_seen,
        "seconds": seconds,
        "seconds_student": record.costs[0].seconds,
        "survivors": len(bounded),
        "survivors_in_both": len(bounded & whole),
        "most_files_on_disk": max(look["files"] for look in watched.looks),
        "most_bytes_on_disk": max(look["bytes"] for look in watched.looks),
        "rss_at_5_percent": watched.looks[len(watched.looks) // 20]["rss"],
        "rss_at_the_end": watched.looks[-1]["rss"],
        "looks": watched.looks,
    }


def _offline(
    times_s: np.ndarray, losses: np.ndarray, plan: IngestPlan, duration_s: float
) -> Candidates:
    """Every frame of the day that may be trained on."""
    control = ControlSlice(plan.control, duration_s=duration_s, seed=plan.seed)
    free = np.array([not control.holds(t) for t in times_s])
    parts = parts_of_day(times_s[free], start_s=0, end_s=duration_s, parts=plan.parts)
    return Candidates(
        ids=np.flatnonzero(free),
        losses=losses[free],
        parts=parts,
        times_s=times_s[free],
        n_parts=plan.parts,
    )


if __name__ == "__main__":
    main()
