"""A tiny camera and its nights: a synthetic day of 199 frames, eight of them kept."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import yaml

from culling_pipeline.records.night import NightRecord
from culling_pipeline.run.progress import NoProgress
from jobs.cameras.detectors import BUILTIN_FOLDER
from jobs.config.settings import CameraConfig, Config, TaskName
from jobs.database.store import Store
from jobs.nights.nightly import retrain_camera

CAMERA = "yard"
DAY = date(2026, 11, 21)
ROOT = Path(__file__).resolve().parents[2]
SOURCE = "synthetic://street?seed=5&hours=24&width=160&height=96"
SETTINGS: dict[str, Any] = {
    "source": SOURCE,
    "fps": 0.0023,
    "classes": ["person", "car", "bicycle"],
    "culling": {
        "strategy": "strata",
        "keep": 8,
        "survivors_ratio": 3,
        "control": {"frames": 20},
        "trusted_from": None,
        "seconds": {"look": 0.02, "label": 0.04, "train": 0.05},
    },
    "resolution": {"min_scale": 0.8, "threshold": 0.05, "min_object_px": 0},
    "training": {"epochs": 2},
    "judging": {"min_gain": -1},  # always promoted: the tests want to see a new incumbent
}


@dataclass(frozen=True)
class DoneNight:
    """A night that nothing disturbed."""

    config: Config
    record: NightRecord

    @property
    def camera(self) -> CameraConfig:
        """Its camera."""
        return self.config.cameras[CAMERA]


def with_settings(base: dict[str, Any] = SETTINGS, **changes: Any) -> dict[str, Any]:
    """The tiny camera's settings; a mapping in `changes` adds to the section of that name."""
    merged = dict(base)
    for key, value in changes.items():
        merged[key] = {**merged.get(key, {}), **value} if isinstance(value, dict) else value
    return merged


SMALL = with_settings(
    fps=0.0012, culling={"keep": 6, "survivors_ratio": 2, "control": {"frames": 10}}
)
"""A still smaller night, of 103 frames, for those who need many."""
COUNTING: dict[str, Any] = {
    "source": "synthetic://plaza?seed=5&hours=24&width=160&height=96",
    "fps": 0.0012,
    "task": "count",
    "count": {"what": "person", "width": 0.1, "teacher": "builtin:plaza-teacher"},
    "culling": {
        "strategy": "strata",
        "keep": 6,
        "survivors_ratio": 2,
        "control": {"frames": 10},
        "seconds": {"look": 0.02, "label": 0.04, "train": 0.05},
    },
    "training": {"epochs": 2, "learning_rate": 0.002},
    "judging": {"min_gain": -1, "compare_random": False},
}
"""As small a night of a camera that counts, of a student that knows nobody yet."""
TASKS: dict[TaskName, dict[str, Any]] = {"boxes": SETTINGS, "count": COUNTING}


def tiny_config(
    data_dir: Path, *, workers: int = 1, task: TaskName = "boxes", **changes: Any
) -> Config:
    """One tiny camera, as `jobs` has it after reading a file."""
    settings = with_settings(TASKS[task], **changes)
    camera = CameraConfig.model_validate({"name": CAMERA, **settings})
    return Config(data_dir=data_dir, workers=workers, device="cpu", cameras={CAMERA: camera})


def run_tiny_night(config: Config) -> NightRecord:
    """Its night, in this process."""
    with Store(config.data_dir) as store:
        return retrain_camera(config, CAMERA, store=store, progress=NoProgress(), today=lambda: DAY)


def write_config(folder: Path, *, workers: int = 1, **cameras: dict[str, Any]) -> Path:
    """A config.yaml for the command line, its data in `folder`/data."""
    path = folder / "config.yaml"
    content = {"data_dir": "data", "workers": workers, "device": "cpu", "cameras": cameras}
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return path


def command(*arguments: str | Path) -> list[str]:
    """The real command line, in a process of its own."""
    return [sys.executable, "-m", "jobs.cli", *map(str, arguments)]


def environment() -> dict[str, str]:
    """This process's, with our packages to be found from anywhere."""
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def culling(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        command(*arguments), cwd=cwd, env=environment(), capture_output=True, text=True, check=False
    )


def stages_of(data_dir: Path, night_id: int = 1) -> dict[str, datetime]:
    """When each finished stage of a night was finished; none before there is a store."""
    if not (data_dir / "culling.db").is_file():
        return {}
    query = "SELECT name, finished_at FROM stages WHERE night_id = ?"
    with closing(sqlite3.connect(data_dir / "culling.db", timeout=30)) as connection:
        try:
            rows = connection.execute(query, (night_id,)).fetchall()
        except sqlite3.OperationalError:  # the store is being made
            return {}
    return {name: datetime.fromisoformat(moment).replace(tzinfo=UTC) for name, moment in rows}


def debris(data_dir: Path) -> list[Path]:
    """Half-written files and folders, and the work of nights that are over."""
    return [*data_dir.rglob("*.tmp"), *data_dir.glob("work/*/*")]


def make_room(disk: Path, mib: int) -> None:
    """Make the fixture `small_disk` so many MiB large."""
    options = f"remount,size={mib}m"
    subprocess.run(["mount", "-o", options, str(disk)], check=True)


def start_model_mib() -> int:
    """What a camera's first version takes: the builtin student in 32 bits instead of 16."""
    return 2 * (BUILTIN_FOLDER / "street-student.safetensors").stat().st_size // 1024**2
