"""Does a student forget its first night? Nights of very different light, one after another.

    python -m benchmarks.forgetting --seeds 5 21

Each night sees six hours of a synthetic street: night, morning, afternoon, evening. After each one
the student is measured on the control slice of every night so far, with `training.replay` at 0
(`alone`) and at its default (`replay`), at the same budget, and the first night's student as it
stays (`once`). Labels are the teacher's. Writes benchmarks/results/forgetting.json.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch

from culling_pipeline.day.frame_files import load_images
from culling_pipeline.night.at_work import TEACHER_FILE, frames_of
from culling_pipeline.records import NightRecord
from culling_pipeline.run.progress import NoProgress
from jobs.cameras.task import task_of
from jobs.config.night import TrainingSettings
from jobs.config.settings import CameraConfig, Config
from jobs.database.store import Store
from jobs.nights.nightly import retrain_camera

RESULTS = Path(__file__).parent / "results"
CAMERA, FIRST = "yard", date(2026, 11, 20)
HOURS = (0, 6, 12, 18)
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


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[5], help="streets")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = [row for seed in arguments.seeds for row in street(seed)]
    RESULTS.joinpath("forgetting.json").write_text(json.dumps(rows, indent=1) + "\n", "utf-8")
    for arm in ("once", "alone", "replay"):
        mine = [row for row in rows if row["arm"] == arm and row["after"] == len(HOURS) - 1]
        says = ", ".join(
            f"{hour:02d}:00 {np.mean([r['map50'] for r in mine if r['of'] == n]):.3f}"
            for n, hour in enumerate(HOURS)
        )
        print(f"{arm} after the last night: {says}")


def street(seed: int) -> list[dict[str, Any]]:
    """A street's rows: mAP50 of the student `after` a night on the control slice `of` a night."""
    rows = []
    for arm, replay in (("alone", 0.0), ("replay", TrainingSettings().replay)):
        with tempfile.TemporaryDirectory() as folder:
            nights = [_night(Path(folder), seed, number, replay) for number in range(len(HOURS))]
            for after, (_, last) in enumerate(nights):
                for of, (config, record) in enumerate(nights[: after + 1]):
                    row = {"seed": seed, "after": after, "of": of, "replayed": last.train.replayed}
                    row["map50"] = _score(config, record, last.run_id)
                    rows.append({"arm": arm, **row})
            if arm == "alone":
                for of, (config, record) in enumerate(nights):
                    score = _score(config, record, nights[0][1].run_id)
                    row = {"seed": seed, "after": len(HOURS) - 1, "of": of, "replayed": 0}
                    rows.append({"arm": "once", **row, "map50": score})
    return rows


def _night(data: Path, seed: int, number: int, replay: float) -> tuple[Config, NightRecord]:
    source = f"synthetic://street?seed={seed}&hours=6&start={HOURS[number]}&day={number}&{SIDE}"
    settings = {**SETTINGS, "source": source, "training": {"replay": replay}}
    camera = CameraConfig.model_validate({"name": CAMERA, **settings})
    config = Config(data_dir=data, workers=1, device="cpu", cameras={CAMERA: camera})
    with Store(data) as store:
        record = retrain_camera(
            config,
            CAMERA,
            store=store,
            progress=NoProgress(),
            today=lambda: FIRST + timedelta(days=number),
        )
    assert isinstance(record, NightRecord), "the lens does not move"
    return config, record


def _score(config: Config, of: NightRecord, version: str) -> float:
    task, folder = task_of(config.cameras[CAMERA]), config.frames_dir(CAMERA, of.run_id)
    frames = frames_of(of.ingest, of.ingest.control)
    truths = task.load(folder / TEACHER_FILE)
    student = task.open_student(config.models_root / CAMERA / version, device="cpu")
    said = student.predict(list(load_images(folder, frames)))
    return task.score(said, [truths[frame.id] for frame in frames]).score.value


if __name__ == "__main__":
    main()
