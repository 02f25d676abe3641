"""Does a student forget its first night? Nights of very different light, one after another.

    python -m benchmarks.forgetting --seeds 5 21
    python -m benchmarks.forgetting --small --seeds 5

Each night sees six hours of a synthetic street: night, morning, afternoon, evening, day. After each
one the student is measured on the control slice of every night so far, without replay (`alone`) and
with `training.replay: 0.5` (`replay`), at the same budget, and the first night's student as it
stays (`once`). Labels are the teacher's. Resumable: nights that are done stay under
build/forgetting/, and each figure is a row of benchmarks/results/forgetting.json (`--small`:
forgetting_small.json, to see that it runs: the figures say nothing). A table beside it.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.book import Book, Row, line
from culling_pipeline.day.frame_files import load_images
from culling_pipeline.night.files import TEACHER_FILE
from culling_pipeline.records.night import NightRecord
from culling_pipeline.run.progress import NoProgress
from jobs.cameras.task import task_of
from jobs.config.settings import CameraConfig, Config
from jobs.database.store import Store
from jobs.nights.nightly import retrain_camera

RESULTS = Path(__file__).parent / "results"
CAMERA, FIRST = "yard", date(2026, 11, 20)
HOURS = (0, 6, 12, 18, 9)
ARMS = {"alone": 0.0, "replay": 0.5}
FOLDER = Path("build/forgetting").absolute()
KEYS = ("seed", "arm", "after", "of")
SIDE = "width=320&height=192"
SETTINGS: dict[str, Any] = {
    "fps": 0.02,
    "classes": ["person", "car", "bicycle"],
    "culling": {
        "budget": "45 s",
        "keep": 48,
        "looks": 200,
        "control": {"frames": 80},
        "seconds": {"look": 0.02, "label": 0.04, "train": 0.05},
    },
    "resolution": {"enabled": False},
    "judging": {"min_gain": -1, "compare_random": False},
}
"""Every night is promoted: what counts here is what the training does."""

SMALL: dict[str, Any] = {
    "fps": 0.004,
    "culling": {**SETTINGS["culling"], "budget": "5 s", "keep": 8, "looks": 24},
}
SMALL["culling"]["control"] = {"frames": 12}


@dataclass(frozen=True)
class Course:
    """A street's nights under one arm; the nights that are done are in `data`."""

    seed: int
    arm: str
    settings: dict[str, Any]
    data: Path

    def night(self, number: int) -> tuple[Config, NightRecord]:
        """The night with this number, from 0; run unless it is done."""
        source = f"synthetic://street?seed={self.seed}&hours=6&start={HOURS[number]}"
        changes = {
            "source": f"{source}&day={number}&{SIDE}",
            "training": {"replay": ARMS[self.arm]},
        }
        settings = {**self.settings, **changes}
        camera = CameraConfig.model_validate({"name": CAMERA, **settings})
        config = Config(data_dir=self.data, workers=1, device="cpu", cameras={CAMERA: camera})
        day = FIRST + timedelta(days=number)
        with Store(self.data) as store:
            done = {night.night_date: night.id for night in store.nights(CAMERA, state="done")}
            if day in done:
                record = store.record(done[day])
            else:
                record = retrain_camera(
                    config, CAMERA, store=store, progress=NoProgress(), today=lambda: day
                )
        assert isinstance(record, NightRecord), "the lens does not move"
        return config, record


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[5], help="streets")
    parser.add_argument("--nights", type=int, default=len(HOURS), choices=range(2, len(HOURS) + 1))
    parser.add_argument("--small", action="store_true", help="only to see that it runs")
    args = parser.parse_args()
    torch.set_num_threads(1)
    name = "forgetting_small" if args.small else "forgetting"
    book = Book(RESULTS / f"{name}.json", KEYS)
    settings = {**SETTINGS, **SMALL} if args.small else SETTINGS
    for seed, arm in itertools.product(args.seeds, ARMS):
        data = FOLDER / name / f"{arm}-{seed}"
        course(Course(seed, arm, settings, data), args.nights, book)
    text = table(book.rows)
    (RESULTS / f"{name}.md").write_text(text, "utf-8")
    print(text)


def course(this: Course, count: int, book: Book) -> None:
    """Night after night: mAP50 of the student `after` a night on the control slice `of` each night
    so far, and of the first night's student on tonight's."""
    nights: list[tuple[Config, NightRecord]] = []
    for after in range(count):
        nights.append(this.night(after))
        last = nights[after][1]
        for of, (config, record) in enumerate(nights):
            _measure(this.arm, this.seed, after, of, (config, record, last), book)
        if this.arm == "alone":
            _measure("once", this.seed, after, after, (*nights[after], nights[0][1]), book)


def _measure(
    arm: str,
    seed: int,
    after: int,
    of: int,
    by: tuple[Config, NightRecord, NightRecord],
    book: Book,
) -> None:
    named = {"seed": seed, "arm": arm, "after": after, "of": of}
    if book.has(**named):
        return
    config, record, student = by
    spent = {"replayed": student.train.replayed, "images": student.train.costs[0].images}
    row: Row = {**named, **spent, "map50": _score(config, record, student.run_id)}
    book.add(row)
    print(row, flush=True)


def _score(config: Config, of: NightRecord, version: str) -> float:
    task, folder = task_of(config.cameras[CAMERA]), config.frames_dir(CAMERA, of.run_id)
    frames = of.ingest.frames_of(of.ingest.control)
    truths = task.load(folder / TEACHER_FILE)
    student = task.open_student(config.models_root / CAMERA / version, device="cpu")
    said = student.predict(list(load_images(folder, frames)))
    return task.score(said, [truths[frame.id] for frame in frames]).score.value


def table(rows: Sequence[Row]) -> str:
    """For each arm: on the control slice of each night's own day, on the first day's right after it
    and at last, and what was lost there meanwhile; means over the streets."""
    last = max((row["after"] for row in rows), default=0)
    keys = ["arm", "streets", "each night on itself", "first night, then", "first night, at last"]
    lines = [
        "# Forgetting\n\nMade by `python -m benchmarks.forgetting`: mAP50 on control slices, after "
        f"{last + 1} nights.\n",
        line([*keys, "change, points"]),
        "|---|---|---|---|---|---|",
    ]
    for arm in ("once", *ARMS):
        mine = [row for row in rows if row["arm"] == arm]
        own = [row["map50"] for row in mine if row["after"] == row["of"]]
        then, now = (
            {row["seed"]: row["map50"] for row in mine if row["of"] == 0 and row["after"] == after}
            for after in (0, last)
        )
        if arm == "once":
            now = then  # this student stays as it is
        both = [100 * (now[seed] - then[seed]) for seed in now if seed in then]
        figures = [
            float(np.mean(f)) if f else None for f in (own, [*then.values()], [*now.values()])
        ]
        change = f"{np.mean(both):+.1f}" if both else None
        lines.append(line([arm, len(then), *figures, change]))
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
