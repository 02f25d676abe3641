"""What the commands that only look something up load: nothing that takes seconds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.testbed.small_night import DAY, night_record
from culling_pipeline.day.daybook import DayClock
from jobs.database.store import Store
from models.registry import ModelRegistry
from tests.unit.watched import write_day

HEAVY = (
    *("torch", "torchvision", "safetensors", "pycocotools", "scipy", "openvino", "onnx"),
    *("av", "yt_dlp", "alembic", "apscheduler", "apprise", "prometheus_client", "jinja2"),
)
NO_CAMERA = ("--version", "--help", "init --config new.yaml")
"""Those that are not about a camera need no numpy either."""
A_CAMERA = ("report", "report yard", "models yard", "plan")

SCRIPT = """
import json, sys
from jobs.cli import run

loaded = {}
for command in json.loads(sys.argv[1]):
    code = run(command.split())
    loaded[command] = [code, *(name for name in json.loads(sys.argv[2]) if name in sys.modules)]
sys.stderr.write("\\n" + json.dumps(loaded))
"""
ROOT = Path(__file__).resolve().parents[2]


def loaded_by(commands: tuple[str, ...], modules: tuple[str, ...], folder: Path) -> dict[str, list]:
    """Of these modules, those that each command, after the ones before it, has loaded; first its
    exit code."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(commands), json.dumps(modules)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(json.loads(done.stderr.splitlines()[-1]))


def test_looking_something_up_loads_no_detector_and_no_decoder(tmp_path: Path) -> None:
    # Given a live camera with a night behind it and a day that the next one is about
    data = tmp_path / "culling-data"
    (tmp_path / "config.yaml").write_text(
        "cameras: {yard: {source: rtsp://127.0.0.1:9/x, classes: [person], schedule: '03:00'}}\n"
    )
    today = DayClock.of(datetime.now(UTC)).day
    write_day(data / "days" / "yard" / str(today - timedelta(days=1)), today, people=1, hours=2)
    with Store(data) as store:
        night = store.open_night("yard", DAY)
        store.finish_night(night.id, night_record())
    version = ModelRegistry(data / "models").path("yard", "start")
    version.mkdir(parents=True)
    (version / "model.safetensors").touch()
    (version / "meta.json").write_text("{}")

    # When it is asked about, each command does so without the libraries that it has no use for
    loaded = loaded_by(NO_CAMERA, (*HEAVY, "numpy"), tmp_path)
    assert loaded == {command: [0] for command in NO_CAMERA}
    loaded = loaded_by(A_CAMERA, HEAVY, tmp_path)
    assert loaded == {command: [0] for command in A_CAMERA}


def test_pages_load_no_detector() -> None:
    wanted = "import sys, jobs.pages.app, jobs.pages.port, jobs.commands.run_service\n"
    shown = "print([name for name in ('torch', 'torchvision', 'openvino') if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", wanted + shown],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
