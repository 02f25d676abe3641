"""Corrected labels through a whole night: they stand, are trained on, and the report says so."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from benchmarks.testbed.tiny import CAMERA, SETTINGS, DoneNight, run_tiny_night, tiny_config
from culling_pipeline.night.files import TEACHER_FILE
from jobs.cameras.task import task_of
from jobs.config.settings import TaskName
from jobs.database.store import Store
from jobs.exports.dataset import export_dataset, import_dataset
from models.registry import ModelRegistry

pytestmark = pytest.mark.timeout(600)

AGAIN: dict[TaskName, dict[str, Any]] = {
    "boxes": {
        "fps": SETTINGS["fps"] / 2,
        "culling": {"keep": 4, "control": {"frames": 8}},
        "resolution": {"enabled": False},
        "training": {"epochs": 1},
    },
    "count": {"training": {"epochs": 1}},
}
"""The tiny night with less to do; of the street, every other frame."""
LAST_CLASS: dict[TaskName, int] = {"boxes": 3, "count": 1}
"""The category of the box that each frame is given by hand: 10, 20 to 40, 60."""


def test_the_next_night_trains_on_corrected_labels(either: DoneNight, tmp_path: Path) -> None:
    data, out, kind = tmp_path / "data", tmp_path / "out", either.camera.task
    shutil.copytree(either.config.data_dir, data)
    config = tiny_config(data, task=kind, **AGAIN[kind])
    before, category = either.record, LAST_CLASS[kind]
    with Store(data) as store:
        export_dataset(config, CAMERA, out, store=store)
        content = json.loads((out / "annotations.json").read_text(encoding="utf-8"))
        assert len(content["images"]) == len(before.cull.kept)
        assert len(content["annotations"]) > 3
        content["annotations"] = [
            {"id": n, "image_id": n, "category_id": category, "bbox": [10, 20, 30, 40]}
            for n in (row["id"] for row in content["images"])
        ]
        (tmp_path / "back.json").write_text(json.dumps(content), encoding="utf-8")
        taken = import_dataset(config, CAMERA, tmp_path / "back.json", store=store)
        assert taken["new"] == len(before.cull.kept)

    record = run_tiny_night(config)

    corrected = {f.wall_time for f in before.ingest.frames if f.id in before.cull.kept}
    task = task_of(config.cameras[CAMERA])
    truths = task.load(config.frames_dir(CAMERA, record.run_id) / TEACHER_FILE)
    again = [f for f in record.ingest.frames if f.wall_time in corrected and f.id in truths]
    assert record.label.corrected == len(again) > 0
    for frame in again:
        labels = task.labelled(truths[frame.id])
        (x1, y1, x2, y2) = labels.boxes_xyxy[0].tolist()
        assert labels.labels.tolist() == [category - 1]
        assert ((x1 + x2) / 2, (y1 + y2) / 2) == (25, 40)
        assert task.marks_points or (x1, y1, x2, y2) == (10, 20, 40, 60)
    compared = config.cameras[CAMERA].judging.compare_random
    assert (record.random_train is not None) == compared
    for arm, chosen in (
        (record.train, record.cull.kept),
        (record.random_train, record.ingest.random),
    ):
        if arm is None:
            continue
        there = [f for f in again if f.id in chosen]
        assert arm.corrected == len(corrected) - len(there) > 0
        assert arm.images == len(chosen) + arm.corrected
    page = config.report_dir(CAMERA, record.run_id) / "index.html"
    assert "with labels corrected by hand" in page.read_text(encoding="utf-8")
    meta = ModelRegistry(config.models_root).meta(CAMERA, record.run_id)
    assert meta["frames"]["corrected"] == record.train.corrected
