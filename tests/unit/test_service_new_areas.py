"""A mask that is drawn while the service watches is there at the next frame."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from jobs.config.load import load_config
from jobs.config.settings import CameraConfig
from jobs.database.store import Store
from jobs.executors.local import LocalExecutor
from jobs.service import service as service_module
from jobs.service.new_areas import NewAreas
from jobs.service.nights import Origin
from jobs.service.service import Service
from jobs.setup.areas import AreaChange, Areas, save_areas

LEFT: Areas = (((0.0, 0.0), (0.5, 0.0), (0.5, 1.0)),)
TEXT = "data_dir: data\nservice: {port: null}\ncameras:\n  gate:\n    source: rtsp://192.0.2.1/\n"
TEXT += "    classes: [car]\n  door:\n    source: rtsp://192.0.2.2/\n    classes: [car]\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(TEXT, encoding="utf-8")
    return path


def draw(path: Path, before: Areas, after: Areas) -> None:
    save_areas(path, AreaChange(camera="gate", areas={"mask": after}, instead_of={"mask": before}))


def test_only_new_areas_are_taken_up(path: Path) -> None:
    cameras = list(load_config(path).cameras.values())
    areas = NewAreas(path, {})
    assert areas.of(cameras) is None
    draw(path, (), LEFT)
    now = areas.of(cameras)
    assert now is not None
    assert [camera.mask for camera in now] == [LEFT, ()]
    assert areas.of(now) is None
    path.write_text(path.read_text().replace("192.0.2.1", "192.0.2.9"))
    assert areas.of(now) is None, "another address waits for a restart"


def test_a_file_with_a_mistake_changes_nothing(path: Path) -> None:
    cameras = list(load_config(path).cameras.values())
    areas = NewAreas(path, {})
    path.write_text("cameras: [")
    assert areas.of(cameras) is None
    path.unlink()
    assert areas.of(cameras) is None
    path.write_text(TEXT)
    draw(path, (), LEFT)
    assert areas.of(cameras) is not None


class Watching:
    """In the place of the cameras, which are not there: watches until it is stopped."""

    begun: threading.Semaphore
    masks: list[Areas]

    def __init__(self, config: object, cameras: Sequence[CameraConfig], store: object) -> None:
        self.watchers: dict[str, object] = {}
        self._stop = threading.Event()
        Watching.masks.append(cameras[0].mask)

    def run(self) -> None:
        Watching.begun.release()
        self._stop.wait(60)

    def stop(self) -> None:
        self._stop.set()


def test_the_service_watches_on_with_the_new_mask(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Watching.begun, Watching.masks = threading.Semaphore(0), []
    monkeypatch.setattr(service_module, "CameraWatch", Watching)
    monkeypatch.setattr(service_module, "TICK_S", 0.01)
    config = load_config(path)
    with Store(config.data_dir) as store:
        service = Service(config, Origin(path, {}), store, LocalExecutor(1))
        running = threading.Thread(target=service.run)
        running.start()
        try:
            assert Watching.begun.acquire(timeout=60)
            draw(path, (), LEFT)
            assert Watching.begun.acquire(timeout=60)
        finally:
            service.stop()
            running.join(60)
    assert Watching.masks == [(), LEFT]
