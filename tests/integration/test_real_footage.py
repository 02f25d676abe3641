"""A short night on real footage with a pretrained teacher, judged against human boxes."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from benchmarks.real_footage import human_boxes
from culling_pipeline.run.progress import NoProgress
from culling_pipeline.tasks.boxes.average_precision import coco_map
from jobs.config.settings import CameraConfig, Config
from jobs.database.store import Store
from jobs.nights.nightly import retrain_camera
from models.boxes.student import load_detector
from models.registry import ModelRegistry
from streams.open import open_source
from streams.sampler import Sampler

pytest.importorskip("openvino", reason="the pretrained teacher needs the extra `openvino`")

FILE_FPS = 10.0  # what the header of the PETS clip says


def pets_camera(data: Path) -> CameraConfig:
    return CameraConfig.model_validate(
        {
            "name": "pets",
            "source": str(data / "videos" / "pets09_s2l1_vtest_480x360.mp4"),
            "fps": 1.0,
            "classes": ["person"],
            "student": {"max_side_px": 384},
            "teacher": {
                "weights": str(data / "weights" / "person-vehicle-bike-detection-2003.xml"),
                "io": {"preset": "person-vehicle-bike"},
                "min_score": 0.3,
            },
            "culling": {
                "keep": 16,
                "survivors_ratio": 2.0,
                "parts": 4,
                "control": {"frames": 24, "share": 0.33},
            },
            "training": {"epochs": 12, "batch_size": 4},
            "judging": {"compare_random": False},
        }
    )


def test_a_night_on_the_pets_clip_makes_a_better_student(shared_data: Path, tmp_path: Path) -> None:
    camera = pets_camera(shared_data)
    config = Config(data_dir=tmp_path, workers=1, cameras={"pets": camera})
    with Store(tmp_path) as store:
        record = retrain_camera(
            config, "pets", store=store, progress=NoProgress(), today=lambda: date(2026, 1, 5)
        )
    truth = human_boxes(shared_data / "labels" / "pets09_s2l1_vtest_480x360.txt")
    control = set(record.ingest.control)
    with open_source(camera.source, camera="pets") as source:
        sampled = list(enumerate(source.frames(Sampler(1.0))))
    frames = [frame for number, frame in sampled if number in control]
    assert min(frame.time_s for frame in frames) > 0.66 * 79  # the last third, and nothing else
    truths = [truth[round(frame.time_s * FILE_FPS)] for frame in frames]
    registry = ModelRegistry(config.models_root)
    before, after = (
        coco_map(
            load_detector(registry.path("pets", version)).predict([f.image for f in frames]),
            truths,
            ["person"],
        ).score.value
        for version in ("start", record.run_id)
    )
    assert after > before + 0.15  # training in bfloat16 or float32 moves this by some points
    assert after > 0.6
    assert record.judge.promoted
    assert registry.incumbent("pets") == record.run_id
