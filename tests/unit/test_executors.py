"""Executors as far as they need no night: what errors become, which GPU, what Ray is asked for."""

from __future__ import annotations

import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
import yaml

from jobs.config.load import load_config
from jobs.config.service import ServiceSettings
from jobs.database.store import Store
from jobs.errors import EXIT_MODEL, EXIT_NIGHT, EXIT_STREAM, EXIT_USAGE, ConfigError
from jobs.executors.base import Task
from jobs.executors.choose import configured_executor
from jobs.executors.local import LocalExecutor, gpu_of
from jobs.executors.ray import _fitting_on
from jobs.executors.task import run_task

STREET = "synthetic://street?seed=5&hours=1&width=160&height=96"


def task_of(folder: Path, camera: str = "yard", **settings: object) -> Task:
    content = {
        "data_dir": "data", "workers": 1, "device": "cpu",
        "cameras": {"yard": {"source": STREET, "classes": ["person"], **settings}},
    }  # fmt: skip
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return Task(7, camera, path)


# -- what errors become ----------------------------------------------------------------------------


def test_a_configuration_that_broke_since_the_service_began(tmp_path: Path) -> None:
    task = task_of(tmp_path, fps=-1)
    outcome = run_task(task)
    assert (outcome.due_id, outcome.exit_code, outcome.night_id) == (7, EXIT_USAGE, None)
    assert "config.yaml: cameras.yard.fps: got -1, must be" in (outcome.error or "")


def test_a_camera_that_left_the_configuration(tmp_path: Path) -> None:
    outcome = run_task(task_of(tmp_path, "shed"))
    assert outcome.exit_code == EXIT_USAGE
    assert (outcome.error or "").endswith("config.yaml: camera 'shed' is no longer in it")


def test_a_night_that_fails_is_named_and_one_of_somebody_else_is_not(tmp_path: Path) -> None:
    task = task_of(tmp_path, source=str(tmp_path / "none.mp4"))
    with Store(tmp_path / "data") as store:
        night = store.open_night("yard", date(2020, 1, 1))
        store.fail_night(night.id, "long ago")
        outcome = run_task(task)
        (last, _) = store.nights()
    assert (outcome.exit_code, outcome.night_id, outcome.busy) == (EXIT_STREAM, last.id, False)
    assert last.state == "failed"
    broken = run_task(task_of(tmp_path, teacher={"weights": "none.pth", "class_names": ["person"]}))
    assert broken.exit_code == EXIT_MODEL


def test_a_camera_whose_night_another_process_runs_is_busy(tmp_path: Path) -> None:
    task = task_of(tmp_path)
    with Store(tmp_path / "data") as store:
        store.open_night("yard", date(2020, 1, 1))  # by this process, which lives
        outcome = run_task(task)
        assert len(store.nights()) == 1
    assert (outcome.busy, outcome.exit_code) == (True, EXIT_NIGHT)
    assert "is being run by process" in (outcome.error or "")


def test_what_nobody_expected_is_logged_with_its_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        message = "rtsp://viewer:canary@camera is odd"
        raise KeyError(message)

    monkeypatch.setattr("jobs.nights.nightly.retrain_camera", fail)
    outcome = run_task(task_of(tmp_path))
    assert "unexpected KeyError" in (outcome.error or "")
    assert "canary" not in (outcome.error or "")
    assert caplog.records[-1].exc_info is not None


# -- local -----------------------------------------------------------------------------------------


def test_each_slot_has_its_gpu_among_those_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert [gpu_of(slot, 1) for slot in range(2)] == [None, None]
    assert [gpu_of(slot, 2) for slot in range(3)] == ["0", "1", "0"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, 5")
    assert [gpu_of(slot, 2) for slot in range(2)] == ["3", "5"]


def test_a_nights_process_has_its_gpu_before_torch_is_imported() -> None:
    """What a child imports first: the main module, which is the command line, and the executor."""
    code = "import sys, jobs.cli, jobs.executors.local; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_configured_number_of_nights_at_once(tmp_path: Path) -> None:
    config = load_config(task_of(tmp_path).config)
    service = config.service.model_copy(update={"nights_at_once": 3})
    executors = [
        configured_executor(c) for c in (config, config.model_copy(update={"service": service}))
    ]
    assert [e.slots for e in executors] == [1, 3]
    assert all(isinstance(e, LocalExecutor) and e.finished() == [] for e in executors)


# -- Ray -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cpus", "gpus", "room"), [(2, 0, 4), (3, 0, 2), (9, 0, 0), (1, 1, 2), (1, 0.5, 4)]
)
def test_how_many_nights_fit_on_a_machine(cpus: float, gpus: float, room: int) -> None:
    assert _fitting_on({"CPU": 8.0, "GPU": 2.0}, cpus=cpus, gpus=gpus) == room
    assert _fitting_on({}, cpus=cpus, gpus=gpus) == 0


def test_ray_that_is_not_installed_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    config = load_config(task_of(tmp_path).config)
    on_ray = config.model_copy(update={"service": ServiceSettings(executor="ray")})
    with pytest.raises(ConfigError, match=r"^service.executor: ray needs an extra: pip install"):
        configured_executor(on_ray)
