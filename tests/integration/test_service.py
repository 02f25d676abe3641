"""`culling run` as a user has it: a night outlives its service, its own process and SIGTERM."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from benchmarks.testbed.tiny import (
    CAMERA,
    COUNTING,
    SMALL,
    command,
    debris,
    environment,
    stages_of,
)
from jobs.database.due_queries import Due
from jobs.database.nights import Night
from jobs.database.store import Store
from models.registry import ModelRegistry
from tests.integration.services import ONE_ARM, Running, running

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} culling: \S")


def in_store(folder: Path) -> tuple[Night, Due]:
    """The one night, and what had asked for it."""
    with Store(folder / "data") as store:
        (night,), (due,) = store.nights(), store.dues.all()
    return night, due


def test_a_night_outlives_its_service_its_process_and_sigterm(tmp_path: Path) -> None:
    # Given a camera whose night has been due since a second ago
    data = tmp_path / "data"
    content = {
        "device": "cpu", "data_dir": "data", "workers": 1, "cameras": {CAMERA: ONE_ARM},
        "defaults": {"schedule": None}, "service": {"port": 0, "retry_after_s": 0.1},
    }  # fmt: skip
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    with Store(data) as store:
        store.dues.ask(CAMERA, datetime.now(UTC) - timedelta(seconds=1))

    # When its service is killed by force in the middle of the day, with two workers
    with running(tmp_path, "--set", "workers=2") as service:
        service.wait_until(lambda: len(list(data.rglob("*.jpg"))) >= 5)
        assert len(service.nights()[0].children()) >= 2
        assert service.end(signal.SIGKILL) == -signal.SIGKILL
    # Then no process is left (`end`), and the next service takes the night up
    night, due = in_store(tmp_path)
    assert (night.state, due.state) == ("running", "running")
    assert set(stages_of(data)) == {"budget", "start"}
    with running(tmp_path) as service:
        service.wait_until(lambda: "ingest" in stages_of(data))

        # When that is asked to end, it does so without an error, and the night has noted it
        assert service.end(signal.SIGTERM) == 0
    assert "died; its night is taken up" in service.log.read_text()
    night, due = in_store(tmp_path)
    assert (night.state, night.attempt) == ("interrupted", 2)
    assert (due.state, due.attempt, due.error) == ("queued", 1, "interrupted")

    # When the night's own process is killed, the service tries again
    before = stages_of(data)
    with running(tmp_path) as service:
        service.wait_until(lambda: in_store(tmp_path)[1].state == "running")
        service.wait_until(lambda: len(service.nights()) == 1)
        service.nights()[0].kill()
        service.wait_until(lambda: in_store(tmp_path)[1].state == "done")
        night, due = in_store(tmp_path)
        index, metrics = service.get(""), service.get("../metrics")
        page = service.get(f"reports/{CAMERA}/{night.run_id}/index.html")
        assert service.end(signal.SIGTERM) == 0
    log = service.log.read_text()
    assert "its process ended without an answer (signal 9); tried again in 0 s" in log

    # Then it is done once, from where it was, and is on the port
    assert (night.state, night.attempt, due.night_id, due.attempt) == ("done", 3, night.id, 3)
    assert {name: stages_of(data)[name] for name in before} == before
    assert debris(data) == []
    assert f'<a href="reports/{CAMERA}/{night.run_id}/index.html">' in index
    assert 'culling_nights{state="done"} 1.0' in metrics
    assert "<svg" in page
    logs = "".join((tmp_path / name).read_text() for name in ("log-1", "log-2"))
    assert all(LINE.match(line) for line in logs.splitlines()), logs
    assert len(re.findall(r"yard: judging: \d+ s", logs)) == 1
    assert in_store(tmp_path) == (night, due)


def test_a_counting_camera_has_three_nights_in_a_row_each_from_the_one_before(
    tmp_path: Path,
) -> None:
    content = {
        "device": "cpu", "data_dir": "data", "workers": 1,
        "cameras": {CAMERA: COUNTING | {"fps": 0.0003}},
        "defaults": {"schedule": None}, "service": {"port": 0},
    }  # fmt: skip
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    with Store(tmp_path / "data") as store, running(tmp_path) as service:
        for _ in range(3):
            store.dues.ask(CAMERA, datetime.now(UTC) - timedelta(seconds=1))
            service.wait_until(
                lambda: {due.state for due in store.dues.all()} <= {"done", "failed"}
            )
        nights = sorted(store.nights(), key=lambda night: night.id)
        assert [night.state for night in nights] == ["done"] * 3, service.log.read_text()
        pages = [service.get(f"reports/{CAMERA}/{night.run_id}/index.html") for night in nights]
        promoted = [store.record(night.id).judge.promoted for night in nights]
        assert service.end(signal.SIGTERM) == 0
    registry = ModelRegistry(tmp_path / "data" / "models")
    incumbent = "start"
    for night, better in zip(nights, promoted, strict=True):
        assert registry.parent(CAMERA, night.run_id) == incumbent
        incumbent = night.run_id if better else incumbent
    assert registry.incumbent(CAMERA) == incumbent != "start"
    assert all("<svg" in page for page in pages)
    assert debris(tmp_path / "data") == []


def test_ctrl_c_ends_the_service_with_130_while_it_starts_a_night(tmp_path: Path) -> None:
    content = {"cameras": {CAMERA: SMALL}, "service": {"port": None}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    with Store(tmp_path / "culling-data") as store:
        store.dues.ask(CAMERA, datetime.now(UTC) - timedelta(seconds=1))
    log = tmp_path / "log"
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            command("run"), cwd=tmp_path, env=environment(), stderr=stderr, start_new_session=True
        )
    try:
        Running(process, log).wait_until(lambda: "its night begins" in log.read_text())
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        assert process.wait(240) == 130
    finally:
        process.kill()
        process.wait()
    said = log.read_text().splitlines()
    assert said[-1] == "culling: interrupted: run the same command again to go on where it stopped"
    assert "Traceback" not in log.read_text()
    with Store(tmp_path / "culling-data") as store:
        (due,) = store.dues.all()
    assert (due.state, due.attempt) == ("queued", 0)
