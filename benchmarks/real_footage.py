"""One night on real footage, judged by the teacher and, where there are any, by human boxes.

    python benchmarks/real_footage.py DATA pets09 residential one-by-one

DATA is a folder with `videos/`, `labels/` and `weights/` (people and number plates are visible in
it, so it is not part of the project). Runs `culling retrain` as a user would, from the synthetic
student, with a pretrained OpenVINO teacher; writes benchmarks/results/real_footage.json and a
table beside it.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from benchmarks.book import markdown
from culling_pipeline.records.night import NightRecord
from culling_pipeline.tasks.boxes.average_precision import coco_map
from jobs.cameras.detectors import configured_detector
from jobs.commands.progress import open_progress
from jobs.config.load import load_config
from jobs.config.settings import Config
from jobs.database.store import Store
from jobs.nights.nightly import retrain_camera
from models.boxes.classes import ClassMap
from models.boxes.detections import Detections
from models.boxes.detector import TorchDetector
from models.boxes.student import load_detector
from models.registry import ModelRegistry
from streams.base import Frame
from streams.open import open_source
from streams.sampler import Sampler

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Clip:
    """A fixed camera's clip: the file, how often to sample it, what to find, human boxes."""

    video: str
    fps: float
    classes: dict[str, list[str]]
    labels: str | None = None
    file_fps: float = 0.0


PERSON = {"person": ["person"]}
STREET = {"person": ["person"], "vehicle": ["vehicle", "car"], "bike": ["bike", "bicycle"]}
CLIPS = {
    "pets09": Clip(
        "pets09_s2l1_vtest_480x360.mp4", 5.0, PERSON, "pets09_s2l1_vtest_480x360.txt", 10.0
    ),
    "residential": Clip("residential_street_640x352.mp4", 8.0, STREET),
    "one-by-one": Clip("intel_one-by-one-person_768x432.mp4", 3.0, PERSON),
}


def configure(
    data: Path, name: str, folder: Path, *, seed: int, workers: int, budget: float
) -> Config:
    """The configuration a user would write for this clip."""
    clip = CLIPS[name]
    content = {
        "data_dir": str(folder / "data"),
        "workers": workers,
        "cameras": {
            name: {
                "source": str(data / "videos" / clip.video),
                "fps": clip.fps,
                "classes": clip.classes,
                "student": {"max_side_px": 480},
                "teacher": {
                    "weights": str(data / "weights" / "person-vehicle-bike-detection-2003.xml"),
                    "io": {"preset": "person-vehicle-bike"},
                    "min_score": 0.3,
                },
                "culling": {"budget": budget, "control": {"share": 0.33, "frames": 120}},
                "training": {"seed": seed},
            }
        },
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(content))
    return load_config(path)


def human_boxes(path: Path) -> dict[int, Detections]:
    """True boxes by frame number (from 0) of a label file: frame, track, x, y, w, h, 1, class, …"""
    boxes = defaultdict(list)
    for line in path.read_text().splitlines():
        frame, _, x, y, w, h = (float(v) for v in line.split(",")[:6])
        boxes[int(frame) - 1].append((x, y, x + w, y + h))
    return {
        frame: Detections(
            np.array(found, np.float32), np.ones(len(found), np.float32), np.zeros(len(found), int)
        )
        for frame, found in boxes.items()
    }


def against_people(data: Path, config: Config, name: str, record: NightRecord) -> dict[str, float]:
    """mAP50 of the student before and after on the control frames, against human boxes."""
    clip = CLIPS[name]
    if clip.labels is None:
        return {}
    truth = human_boxes(data / "labels" / clip.labels)
    by_id = {f.id: f for f in record.ingest.frames}
    wanted = {round(by_id[i].time_s * clip.file_fps) for i in record.ingest.control}
    images, truths = [], []
    with open_source(config.cameras[name].source, camera=name) as source:
        frame: Frame
        for number, frame in enumerate(source.frames(Sampler(1e-3))):
            if number in wanted:
                images.append(frame.image)
                truths.append(truth.get(number, Detections.empty()))
    registry = ModelRegistry(config.models_root)
    figures = {"human_frames": float(len(images))}
    for when, version in (("before", "start"), ("after", record.run_id)):
        detector: TorchDetector = load_detector(registry.path(name, version))
        found = [detector.predict([image])[0] for image in images]
        figures[f"human_ap50_{when}"] = coco_map(found, truths, ["person"]).score.value
    teacher = configured_detector(config.cameras[name].teacher, device="cpu")()
    classes = ClassMap.from_config(config.cameras[name].classes)
    found = [classes.translate(d, teacher.class_names) for d in teacher.predict(images)]
    figures["human_ap50_teacher"] = coco_map(found, truths, ["person"]).score.value
    return figures


def run(
    data: Path, name: str, folder: Path, *, seed: int, workers: int, budget: float
) -> dict[str, Any]:
    """One night; its figures as a row."""
    folder.mkdir(parents=True)
    config = configure(data, name, folder, seed=seed, workers=workers, budget=budget)
    began = time.perf_counter()
    with Store(config.data_dir) as store:
        record = retrain_camera(config, name, store=store, progress=open_progress())
    judge = record.judge
    return {
        "clip": name,
        "seed": seed,
        "budget": budget,
        "strategy": record.cull.strategy,
        "frames_seen": record.ingest.frames_seen,
        "kept": len(record.cull.kept),
        "kept_random": record.random_train.images if record.random_train else None,
        "scale": record.resolution.scale,
        "map50_before": judge.before.score.value,
        "map50_after": judge.after.score.value,
        "map50_random": judge.random.score.value if judge.random else None,
        "promoted": judge.promoted,
        "control_frames": judge.after.frames,
        "cost_ratio": record.cost_ratio,
        "wall_s": time.perf_counter() - began,
        **against_people(data, config, name, record),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=lambda p: Path(p).absolute())
    parser.add_argument("clips", nargs="+", choices=sorted(CLIPS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--budget", type=float, default=0.0008, help="culling.budget of a clip")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--keep-data", type=Path, help="leave the nights' data here, to look at")
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        root = args.keep_data or Path(scratch)
        for name, seed in itertools.product(args.clips, args.seeds):
            folder = root / f"{name}-{seed}"
            row = run(args.data, name, folder, seed=seed, workers=args.workers, budget=args.budget)
            rows.append(row)
            print(json.dumps(row, indent=1), flush=True)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "real_footage.json").write_text(json.dumps(rows, indent=1) + "\n")
    (RESULTS / "real_footage.md").write_text(markdown(rows))


if __name__ == "__main__":
    main()
