"""The demo's night under ten seeds: are the chosen frames worth it, and does the page say what
happened?

    python -m benchmarks.demo_seeds --seeds 0 1 2 3 4 5 6 7 8 9

The seed decides the frames of the control slice and of the lottery, the order and the variation of
training, and the look at the day. The street is the same, so the days are. Resumable: a seed is a
row of benchmarks/results/demo_seeds.json; demo_seeds.md has the table and the mean difference with
its 95 % interval (Student's t).
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.book import Book, Row, markdown
from benchmarks.culling import interval
from culling_pipeline.records.night import NightRecord
from culling_pipeline.report.page import cautions
from culling_pipeline.run.progress import NoProgress
from jobs.config.settings import CameraConfig, Config
from jobs.database.store import open_store
from jobs.nights.demo import CAMERA, SETTINGS
from jobs.nights.nightly import retrain_camera

RESULTS = Path(__file__).parent / "results"


def demo(seed: int) -> Row:
    """One night of the demo under this seed."""
    settings = {**SETTINGS, "training": {**SETTINGS["training"], "seed": seed}}
    camera = CameraConfig.model_validate(settings)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        config = Config(data_dir=Path(scratch), workers=1, cameras={CAMERA: camera})
        with open_store(config) as store:
            night = retrain_camera(config, CAMERA, store=store, progress=NoProgress())
    assert isinstance(night, NightRecord), night.why
    judge = night.judge
    assert judge.random is not None
    return {
        "seed": seed,
        "before": judge.before.score.value,
        "after": judge.after.score.value,
        "lottery": judge.random.score.value,
        "points": 100 * (judge.after.score.value - judge.random.score.value),
        "promoted": judge.promoted,
        "kept": len(night.cull.kept),
        "says": " ".join(cautions(judge)),
        "night_s": time.perf_counter() - began,
    }


def page(rows: Sequence[Row]) -> str:
    """The table, and the mean difference."""
    return (
        "# The demo under several seeds\n\nMade by `python -m benchmarks.demo_seeds`; mAP50 on the "
        "control slice, against the teacher.\n\n"
        f"{markdown(rows)}\nChosen frames against the lottery of the same total cost: "
        f"{interval([row['points'] for row in rows])} points.\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", nargs="+", type=int, default=list(range(10)))
    args = parser.parse_args()
    torch.set_num_threads(1)
    book = Book(RESULTS / "demo_seeds.json", ("seed",))
    for seed in args.seeds:
        if not book.has(seed=seed):
            book.add(demo(seed))
            (RESULTS / "demo_seeds.md").write_text(page(book.rows))
            print(book.rows[-1], flush=True)


if __name__ == "__main__":
    main()
