"""A whole night under an umask that allows everything, in a folder that all can read: nothing of it
can be read by others."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest
import yaml

from benchmarks.testbed.tiny import CAMERA, command, environment
from tests.integration.services import ONE_ARM, running
from tests.unit.test_private_files import open_to_others

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


def culling(folder: Path, *arguments: str) -> None:
    done = subprocess.run(
        command(*arguments),
        cwd=folder, env=environment(), umask=0, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_nothing_of_a_night_can_be_read_by_others(tmp_path: Path) -> None:
    # Given a data_dir that is a mount point which all can read
    data = tmp_path / "data"
    data.mkdir()
    data.chmod(0o755)
    content = {
        "device": "cpu", "data_dir": "data", "workers": 1, "service": {"port": 0},
        "defaults": {"schedule": None}, "cameras": {CAMERA: ONE_ARM},
    }  # fmt: skip
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(content), encoding="utf-8")
    config.chmod(0o600)

    # When there are a night, exports, corrections and a service
    culling(tmp_path, "retrain", CAMERA)
    culling(tmp_path, "dataset", "export", CAMERA, "--output", "out")
    culling(tmp_path, "dataset", "import", CAMERA, "out/annotations.json")
    culling(tmp_path, "export", CAMERA, "--format", "torchscript")
    with running(tmp_path, umask=0) as service:
        service.wait_until(lambda: service.address is not None)
        assert service.end(signal.SIGTERM) == 0

    (tmp_path / "log-0").unlink()  # this test's own

    # Then all of it is its owner's alone
    made = {path.name for path in data.iterdir()}
    assert {"culling.db", "models", "frames", "reports", "corrections", "views"} <= made
    assert "port-token" in made
    assert open_to_others(tmp_path) == [data]
    page = next((data / "reports").rglob("index.html"))
    page.chmod(0o640)
    assert open_to_others(tmp_path) == [data, page]
