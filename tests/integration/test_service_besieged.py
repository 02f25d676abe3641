"""`culling run` while cameras send the worst there is and strangers hold its port: a healthy camera
is watched, its owner gets pages, and it ends in order."""

from __future__ import annotations

import signal
import socket
import subprocess
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest
import yaml

from benchmarks.testbed.servers.clips import jpeg, moving_picture
from benchmarks.testbed.servers.web import Handler, Serve, WebServer, fixed, mjpeg
from benchmarks.testbed.tiny import command, environment
from jobs.config.load import load_config
from jobs.pages.port import MOST
from tests.integration.services import running
from tests.unit.test_streams_pictures import claiming

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

LINE = b"#EXT-X-STREAM-INF:"
"""Repeated in one playlist, this took hours, and held up all threads meanwhile."""
PLAYLIST = b"#EXTM3U\n" + LINE * (2 * 1024**2 // len(LINE))
GIB = 1024**3
IDLE = 500


@pytest.mark.parametrize("files", [None, 200])
def test_a_healthy_camera_is_watched_whatever_the_others_and_strangers_do(
    tmp_path: Path, files: int | None
) -> None:
    web = WebServer()
    web.paths["/good"] = mjpeg([jpeg(moving_picture(number)) for number in range(8)])
    asked: set[str] = set()
    for path, serve in (
        ("/frozen.m3u8", fixed("application/vnd.apple.mpegurl", PLAYLIST)),
        ("/bomb.jpg", fixed("image/jpeg", claiming(".jpg"))),
        ("/bombs", mjpeg([claiming(".jpg")])),
    ):
        web.paths[path] = noted(asked, serve)
    cameras = {
        name: {"source": web.url(f"/{path}"), "fps": 1, "classes": ["person"]}
        for name, path in (
            ("good", "good"), ("frozen", "frozen.m3u8"), ("bomb", "bomb.jpg"), ("bombs", "bombs"),
        )
    }  # fmt: skip
    content = {
        "device": "cpu", "data_dir": "data", "workers": 1, "cameras": cameras,
        "defaults": {"schedule": None}, "service": {"port": 0},
    }  # fmt: skip
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    with running(tmp_path, files=files) as service, ExitStack() as strangers:
        good = tmp_path / "data" / "days" / "good"
        service.wait_until(lambda: service.address is not None)
        service.grows(good)
        quiet = psutil.Process(service.process.pid)
        threads = quiet.num_threads()
        assert service.address is not None
        port = int(service.address.split(":")[2].partition("/")[0])
        for _ in range(IDLE):
            strangers.enter_context(socket.create_connection(("127.0.0.1", port), timeout=60))
        service.grows(good)
        assert service.status("") == service.status("../metrics") == 200
        assert quiet.num_threads() <= threads + 30
        assert len(of_port(quiet, port)) <= MOST + 5
        assert quiet.memory_info().rss < 2 * GIB
        service.wait_until(lambda: asked == {"/frozen.m3u8", "/bomb.jpg", "/bombs"})
        service.grows(good)
        assert service.end(signal.SIGTERM) == 0
    assert "Traceback" not in service.log.read_text()
    web.kill()


def of_port(process: psutil.Process, port: int) -> list[object]:
    """The connections that it has accepted."""
    return [c for c in process.net_connections() if c.laddr.port == port and c.raddr]


def noted(asked: set[str], serve: Serve) -> Serve:
    """Serve it, and note that it was asked for."""

    def and_note(handler: Handler) -> None:
        asked.add(handler.path)
        serve(handler)

    return and_note


def test_twelve_commands_add_twelve_cameras_at_once(tmp_path: Path) -> None:
    adding = [
        subprocess.Popen(
            command("add", f"cam{k}", f"rtsp://192.0.2.1/{k}", "--no-probe"),
            cwd=tmp_path, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )
        for k in range(12)
    ]  # fmt: skip
    errors = [process.communicate()[1] for process in adding]
    assert [process.returncode for process in adding] == [0] * 12, errors
    assert set(load_config(tmp_path / "config.yaml").cameras) == {f"cam{k}" for k in range(12)}
