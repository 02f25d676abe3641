"""How many cameras two cores serve in a night of eight hours, by CPU time.

    python -m benchmarks.camera_nights --data ../shared/data

The camera is a recorder's folder: a whole day of ten-second segments at 640×352 (links to a minute
of a real clip, so what is in them repeats; what a night costs does not depend on that). The nets
are the built-in ones, everything else is the default but the comparison with random frames, which
is off. A night is run as `culling retrain` in a process of its own; its CPU seconds are those of
all its processes, so that other work on the machine counts for nothing.

A whole night takes long, so small budgets are run, and the default's night lies on the line through
them: starting, reading the folder, the control slice and judging are the part that does not grow.
Writes benchmarks/results/camera_nights.json and a table beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import yaml

from benchmarks import recordings
from benchmarks.book import Book, Row, markdown
from culling_pipeline.culling.budget import DAY_FRAMES
from culling_pipeline.records.night import NightRecord
from jobs.config.load import load_config
from jobs.config.night import CullingSettings
from jobs.database.store import open_store

RESULTS = Path(__file__).parent / "results"
CLIP = "videos/residential_street_640x352.mp4"
CAMERA = "yard"
SEGMENTS = DAY_FRAMES // recordings.SEGMENT_S
CORES, HOURS = 2, 8


def settings(tree: Path, folder: Path, budget: float) -> Path:
    """A configuration with one camera, as a user would write it."""
    camera = {
        "source": f"recordings:{tree / 'rec'}",
        "classes": ["person", "car", "bicycle"],
        "teacher": {"weights": "builtin:street-teacher"},
        "culling": {"budget": budget},
        "judging": {"compare_random": False},
    }
    content = {"data_dir": str(folder / "data"), "workers": 1, "cameras": {CAMERA: camera}}
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def day_that_ends_now() -> datetime:
    """When the day began, on a segment's full seconds."""
    began = datetime.now(UTC) - timedelta(days=1, minutes=1)
    return began.replace(second=0, microsecond=0)


def children_cpu_s() -> float:
    """CPU seconds of all processes that this one has waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def night(tree: Path, budget: float) -> Row:
    """One first night of that day."""
    with tempfile.TemporaryDirectory() as scratch:
        path = settings(tree, Path(scratch), budget)
        began_s = children_cpu_s()
        command = [sys.executable, "-m", "jobs.cli", "retrain", CAMERA, "--config", str(path)]
        done = subprocess.run(
            command, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True
        )
        if done.returncode:
            raise SystemExit(done.stderr)
        cpu_s = children_cpu_s() - began_s
        with open_store(load_config(path)) as store:
            found = store.latest_night(CAMERA)
            record = None if found is None else store.record(found.id)
    assert isinstance(record, NightRecord)
    assert record.budget is not None
    return {
        "budget": budget,
        "cpu_s": cpu_s,
        **record.budget.own.model_dump(mode="json"),
        "images_shown": sum(epoch.images for epoch in record.train.epochs),
        "state": "measured",
    }


def default_night(rows: Sequence[Row]) -> Row:
    """The default's night, on the line through those that were run."""
    share = CullingSettings().budget
    slope, fixed_s = np.polyfit([r["budget"] for r in rows], [r["cpu_s"] for r in rows], 1)
    cpu_s = float(fixed_s + slope * share)
    return {
        "budget": share,
        "cpu_s": cpu_s,
        "fixed_s": float(fixed_s),
        "camera_nights": CORES * HOURS * 3600 / cpu_s,
        "state": "on the line",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--budgets", nargs="+", type=float, default=[0.0005, 0.001, 0.002])
    args = parser.parse_args()
    book = Book(RESULTS / "camera_nights.json", ("budget", "state"))
    recordings.CLIP, recordings.FIRST = CLIP, day_that_ends_now()
    with tempfile.TemporaryDirectory() as scratch:
        recordings.make_tree(Path(scratch), args.data.absolute(), SEGMENTS)
        for budget in args.budgets:
            if not book.has(budget=budget, state="measured"):
                book.add(night(Path(scratch), budget))
    rows = [row for row in book.rows if row["state"] == "measured"]
    rows.append(default_night(rows))
    (RESULTS / "camera_nights.json").write_text(json.dumps(rows, indent=1) + "\n")
    (RESULTS / "camera_nights.md").write_text(markdown(rows, number=".4g"))


if __name__ == "__main__":
    main()
