"""`culling demo`: a whole night on a synthetic camera, offline, in minutes on two cores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from culling_pipeline.records.night import NightRecord, UnusableNight
from culling_pipeline.run.progress import Progress
from jobs.config.settings import CameraConfig, Config, TaskName
from jobs.database.store import open_store
from jobs.errors import NightError
from jobs.nights.nightly import retrain_camera

CAMERA = "demo"
SOURCE = "synthetic://street?seed=7&hours=24"
SETTINGS: dict[str, Any] = {
    "name": CAMERA,
    "source": SOURCE,
    "fps": 1 / 23,
    "classes": ["person", "car", "bicycle"],
    "culling": {"budget": 0.0015, "control": {"frames": 200}},
    "training": {"paste": 0.0, "shift": 0.0, "light": 0.0},
}
"""One frame every 23 seconds: a whole day, dusk and night in 3,757 frames. A sixth of a default
night's budget, and plain frames, which fewer images teach faster: so the demo takes minutes."""
COUNTING: dict[str, Any] = {
    "name": CAMERA,
    "source": "synthetic://plaza?seed=3&hours=24",
    "fps": 1 / 120,
    "task": "count",
    "count": {"what": "person", "width": 0.125, "teacher": "builtin:plaza-teacher"},
    "student": {"max_side_px": 160},
    "teacher": {"max_side_px": 160},
    "culling": {"keep": 64, "control": {"frames": 60}},
    "training": {"epochs": 20, "learning_rate": 0.002, "batch_size": 4},
    "judging": {"compare_random": False},
}
"""The same for a camera that counts: a square with nobody to hundreds of people through the day,
one frame every two minutes, and a student that has never seen one."""


def run_demo(
    data_dir: Path, *, progress: Progress, task: TaskName = "boxes"
) -> tuple[Config, NightRecord]:
    """Run the demo's night under `data_dir`. It starts over each time, unless the last one was cut
    off."""
    camera = CameraConfig.model_validate({"boxes": SETTINGS, "count": COUNTING}[task])
    config = Config(data_dir=data_dir.absolute(), cameras={CAMERA: camera})
    with open_store(config) as store:
        record = retrain_camera(config, CAMERA, store=store, progress=progress)
    if isinstance(record, UnusableNight):
        message = f"{data_dir}: {record.why}"
        raise NightError(message)
    return config, record
