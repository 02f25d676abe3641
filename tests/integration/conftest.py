"""The undisturbed tiny night that others are compared with; made once for all tests."""

from __future__ import annotations

import pytest

from tests.integration.tiny import CAMERA, DoneNight, run_tiny_night, tiny_config


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> DoneNight:
    config = tiny_config(tmp_path_factory.mktemp("undisturbed"))
    given_up = config.work_dir(CAMERA, "2020-01-01")
    given_up.mkdir(parents=True)
    (given_up / "student.npz").write_bytes(b"left by a night nobody took up again")
    return DoneNight(config, run_tiny_night(config))
