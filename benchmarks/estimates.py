"""What `culling check` says that a first night takes, and what it then took.

    python -m benchmarks.estimates DATA street pets residential

DATA is a folder with `videos/` and `weights/` (see real_footage.py). Each night is estimated as
`check` does it, then run as `culling retrain` would, in a process of its own, whose whole life is
counted. `--busy N` does both beside N processes that do nothing but work, `--label` says in the
rows what state the program was in. Writes benchmarks/results/estimates.json and a table beside it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from benchmarks.book import Book, markdown
from culling_pipeline.judging.cost_ratio import seconds_by_stage
from culling_pipeline.records.night import NightRecord
from culling_pipeline.run.progress import Advance
from jobs.config.load import load_config
from jobs.config.settings import Config
from jobs.database.store import open_store
from jobs.nights.night_of import night_of
from jobs.setup.check import Speeds, check_streams, cost_of_first_night

RESULTS = Path(__file__).parent / "results"
KEYS = ("night", "budget", "busy", "label")


def settings_of(name: str, data: Path, budget: str) -> dict[str, Any]:
    """A camera as a user would write it."""
    teacher = {
        "weights": str(data / "weights" / "person-vehicle-bike-detection-2003.xml"),
        "io": {"preset": "person-vehicle-bike"},
        "min_score": 0.3,
    }
    culling = {"budget": budget, "control": {"share": 0.3, "frames": 60}}
    person, student = {"person": ["person"]}, {"max_side_px": 480}
    videos = data / "videos"
    cameras: dict[str, dict[str, Any]] = {
        "street": {
            "source": "synthetic://street?seed=7&hours=0.5",
            "fps": 0.5,
            "classes": ["person", "car", "bicycle"],
        },
        "pets": {
            "source": str(videos / "pets09_s2l1_vtest_480x360.mp4"),
            "fps": 5.0,
            "classes": person,
            "student": student,
            "teacher": teacher,
        },
        "residential": {
            "source": str(videos / "residential_street_640x352.mp4"),
            "fps": 8.0,
            "classes": {"person": ["person"], "vehicle": ["vehicle", "car"]},
            "student": student,
            "teacher": teacher,
        },
        "retail": {
            "source": str(videos / "retail_aisle_616x566.mp4"),
            "fps": 10.0,
            "classes": person,
        },
    }
    return {**cameras[name], "culling": culling}


def configured(name: str, data: Path, folder: Path, budget: str) -> Config:
    """The configuration of this night, on disk."""
    folder.mkdir(parents=True)
    content = {
        "data_dir": str(folder / "data"),
        "workers": 2,
        "cameras": {name: settings_of(name, data, budget)},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(content))
    return load_config(folder / "config.yaml")


class Stages:
    """A night's progress that keeps each stage's seconds on the clock."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextlib.contextmanager
    def stage(self, name: str, total: int | None = None) -> Iterator[Advance]:
        """A stage that is timed."""
        began = time.perf_counter()
        yield lambda _: None
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - began

    def note(self, text: str) -> None:
        """Shown as it is."""
        print(text, file=sys.stderr)


def run_here(folder: Path, name: str) -> None:
    """The night, in this process; its stages as JSON on stdout."""
    config, stages, began = load_config(folder / "config.yaml"), Stages(), time.perf_counter()
    with open_store(config) as store:
        night_of(config, name).run(store=store, progress=stages)
    print(json.dumps({**stages.seconds, "all of it": time.perf_counter() - began}))


def _work() -> None:
    while True:
        sum(range(10_000))


@contextlib.contextmanager
def busy(processes: int) -> Iterator[None]:
    """A machine on which so many others work."""
    context = multiprocessing.get_context("spawn")
    others = [context.Process(target=_work, daemon=True) for _ in range(processes)]
    for other in others:
        other.start()
    try:
        yield
    finally:
        for other in others:
            other.terminate()


def measure(name: str, folder: Path, config: Config) -> dict[str, Any]:
    """One estimate and the night after it."""
    camera, load = config.cameras[name], os.getloadavg()[0]
    stream = check_streams([camera], timeout_s=60)[name].found
    assert stream is not None
    began = time.perf_counter()
    cost = cost_of_first_night(config, camera, Speeds(config), stream)
    estimating_s = time.perf_counter() - began
    low, high = cost.total_s
    print(cost.in_words(), flush=True)
    command = [sys.executable, "-m", "benchmarks.estimates", "--night", name, str(folder)]
    began = time.perf_counter()
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    took_s = time.perf_counter() - began
    with open_store(config) as store:
        night = store.latest_night(name)
        record = None if night is None else store.record(night.id)
    assert isinstance(record, NightRecord)
    stages = json.loads(done.stdout.splitlines()[-1])
    return {
        "low_s": low,
        "high_s": high,
        "took_s": took_s,
        "ratio": took_s / ((low + high) / 2),
        "load_before": load,
        "load_after": os.getloadavg()[0],
        "estimating_s": estimating_s,
        "night_s": record.night_s,
        "stages_s": {key: round(value, 2) for key, value in stages.items()},
        "ledger_s": {k: round(v, 2) for k, v in seconds_by_stage(record.ledger).items()},
        "planned": None if record.budget is None else record.budget.model_dump(mode="json"),
        "estimated": cost.budget.model_dump(mode="json"),
        "scale": record.resolution.scale,
        "epochs": len(record.train.epochs),
        "images": sum(epoch.images for epoch in record.train.epochs),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=lambda p: Path(p).absolute(), nargs="?")
    parser.add_argument("nights", nargs="*")
    parser.add_argument("--budget", default="40 s")
    parser.add_argument("--busy", type=int, default=0)
    parser.add_argument("--label", default="now")
    parser.add_argument("--out", type=Path, default=RESULTS / "estimates.json")
    parser.add_argument("--night", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.night:
        run_here(Path(args.night[1]), args.night[0])
        return
    book = Book(args.out, KEYS)
    with tempfile.TemporaryDirectory() as scratch, busy(args.busy):
        for name in args.nights:
            key = dict(zip(KEYS, (name, args.budget, args.busy, args.label), strict=True))
            if book.has(**key):
                continue
            folder = Path(scratch) / name
            config = configured(name, args.data, folder, args.budget)
            book.add({**key, **measure(name, folder, config)})
    flat = [{k: v for k, v in r.items() if not isinstance(v, dict)} for r in book.rows]
    args.out.with_suffix(".md").write_text(markdown(flat, number=".2f"))


if __name__ == "__main__":
    main()
