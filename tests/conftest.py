"""Shared by all tests: defined surroundings, one torch thread, random state restored, secrets
forgotten, `../shared` found or skipped."""

from __future__ import annotations

import logging
import os
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from tests.surroundings import settle

settle()

import torch  # noqa: E402 - it reads the environment

from models.without_compiler import spare_the_compiler  # noqa: E402

settings.register_profile("no deadline", deadline=None)  # an example may take its time
settings.load_profile("no deadline")

torch.set_num_threads(1)
spare_the_compiler()

SHARED = Path(__file__).resolve().parents[1].parent / "shared"


LONGEST_FIRST = (
    *("test_service.py", "test_live_web.py", "test_live_rtsp.py", "test_live_network.py"),
    *("test_sigkill.py", "test_night.py", "test_ingest.py", "test_storage.py", "test_wheel.py"),
    *("test_service_besieged.py", "test_old_data.py", "test_quickstart.py", "test_real_days.py"),
    *("test_private_night.py", "test_bad_input.py", "test_service_outage.py", "test_add.py"),
    *("test_groups.py", "test_any_loop.py", "test_store_shared.py", "test_real_footage.py"),
    *("test_replay.py", "test_pretrain.py", "test_ascii_output.py", "test_demo.py"),
)
"""The slow files that take half a minute and more: each goes to one worker as a whole, and one that
came last would let the others stand idle. A service's nights yield to all other work (`NICE`), so
they begin beside tests that mostly wait for a camera: beside whole nights they would stand still.
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole nights, servers and programs are slow, each of them."""
    for item in items:
        if "integration" in item.path.parts:
            item.add_marker(pytest.mark.slow)
    rank = {name: place for place, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: rank.get(item.path.name, len(rank)))


@pytest.fixture(scope="session", autouse=True)
def _empty_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test reads or writes what its user has at home."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(autouse=True)
def _restore_random_state() -> Iterator[None]:
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    yield
    random.setstate(states[0])
    np.random.set_state(states[1])
    torch.set_rng_state(states[2])


LOGGERS = ("jobs", "culling_pipeline", "models", "streams", "streams.live.health")


@pytest.fixture(autouse=True)
def _restore_log_levels() -> Iterator[None]:
    """A command run in this process sets what is logged, and leaves it so for the next test."""
    levels = {name: logging.getLogger(name).level for name in LOGGERS}
    yield
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


@pytest.fixture(autouse=True)
def _forget_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test keeps secret must not put stars into the next one's texts."""
    monkeypatch.setattr("streams.secret_words._known", set())


@pytest.fixture(autouse=True)
def _no_error_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    errors = [r for r in caplog.get_records("call") if r.levelno >= logging.ERROR]
    assert not errors, [r.getMessage() for r in errors]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real footage, labels and detectors beside the checkout; absent on most machines."""
    folder = Path(os.environ.get("CULLING_SHARED_DATA", SHARED / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real footage at {folder}: set CULLING_SHARED_DATA to run this test")
    return folder
