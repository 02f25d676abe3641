"""Corrected labels through a whole night: they stand, are trained on, and the report says so."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from benchmarks.testbed.tiny import CAMERA, SETTINGS, DoneNight, run_tiny_night, tiny_config
from culling_pipeline.night.files import TEACHER_FILE
from culling_pipeline.tasks.boxes.answer_files import load_detections
from jobs.database.store import Store
from jobs.exports.dataset import export_dataset, import_dataset
from models.registry import ModelRegistry

pytestmark = pytest.mark.timeout(600)

HALF = {
    "fps": SETTINGS["fps"] / 2,
    "culling": {"keep": 4, "control": {"frames": 8}},
    "resolution": {"enabled": False},
    "training": {"epochs": 1},
}
"""Every other frame of the tiny night."""


def test_the_next_night_trains_on_corrected_labels(undisturbed: DoneNight, tmp_path: Path) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    shutil.copytree(undisturbed.config.data_dir, data)
    config = tiny_config(data, **HALF)
    with Store(data) as store:
        export_dataset(config, CAMERA, out, store=store)
        content = json.loads((out / "annotations.json").read_text(encoding="utf-8"))
        content["annotations"] = [
            {"id": row["id"], "image_id": row["id"], "category_id": 3, "bbox": [10, 20, 30, 40]}
            for row in content["images"]
        ]
        (tmp_path / "back.json").write_text(json.dumps(content), encoding="utf-8")
        assert import_dataset(config, CAMERA, tmp_path / "back.json", store=store)["new"] == 8

    record = run_tiny_night(config)

    before = undisturbed.record
    corrected = {f.wall_time for f in before.ingest.frames if f.id in before.cull.kept}
    again = [f for f in record.ingest.frames if f.wall_time in corrected]
    labels = load_detections(config.frames_dir(CAMERA, record.run_id) / TEACHER_FILE)
    assert record.label.corrected == len(again) > 0
    for frame in again:
        assert labels[frame.id].boxes_xyxy.tolist() == [[10, 20, 40, 60]]
        assert labels[frame.id].labels.tolist() == [2]
    for arm, chosen in (
        (record.train, record.cull.kept),
        (record.random_train, record.ingest.random),
    ):
        assert arm is not None
        there = [f for f in again if f.id in chosen]
        assert arm.corrected == len(corrected) - len(there) >= 4
        assert arm.images == len(chosen) + arm.corrected
    page = config.report_dir(CAMERA, record.run_id) / "index.html"
    assert "with labels corrected by hand" in page.read_text(encoding="utf-8")
    meta = ModelRegistry(config.models_root).meta(CAMERA, record.run_id)
    assert meta["frames"]["corrected"] == record.train.corrected
