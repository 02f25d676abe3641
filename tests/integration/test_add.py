"""Real servers with passwords, through `culling add` and `culling check` as processes; the canary
password is looked for in everything that is written and in the list of processes."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import cv2
import pytest

from benchmarks.testbed.live import LOGIN, RtspServer, free_port
from benchmarks.testbed.servers import web
from benchmarks.testbed.servers.clips import RATE_FPS, jpeg, moving_picture, write_h264, write_hls
from benchmarks.testbed.servers.web import CANARY, LivePlaylist, WebServer, fixed
from jobs import cli
from jobs.config.load import load_config
from streams.probe import probe
from tests.integration.live import require_gstreamer
from tests.unit.clips import constant_rate, write_clip
from tests.unit.plans import live_options

ROOT = Path(__file__).resolve().parents[2]
PICTURES = [jpeg(moving_picture(number)) for number in range(8)]


@pytest.fixture(scope="module")
def camera(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RtspServer]:
    """Asks for the password by digest."""
    require_gstreamer()
    clip = write_h264(tmp_path_factory.mktemp("rtsp") / "cam.h264")
    server = RtspServer(clip, auth="digest")
    yield server
    server.kill()


@pytest.fixture
def server() -> Iterator[WebServer]:
    server = WebServer()
    yield server
    server.kill()


class Culling:
    """Runs `culling` in a folder; gathers all it says, and what `ps` shows of it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.said = folder, ""
        self.last_in_ps: dict[int, bytes] = {}

    def __call__(self, *arguments: str, code: int = 0, **variables: str) -> str:
        process = subprocess.Popen(
            [sys.executable, "-m", "jobs.cli", *arguments],
            cwd=self.folder,
            env=os.environ | {"PYTHONPATH": str(ROOT)} | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        watcher = threading.Thread(target=self._watch, args=(process,))
        watcher.start()
        out, err = process.communicate(timeout=120)
        watcher.join()
        self.said += out + err
        assert process.returncode == code, err
        return out

    def _watch(self, process: subprocess.Popen[str]) -> None:
        """Remembers the last there was to see: while Python starts, nothing is hidden yet."""
        while process.poll() is None:
            for pid in [process.pid, *children(process.pid)]:
                with suppress(OSError):
                    line = Path(f"/proc/{pid}/cmdline").read_bytes()
                    self.last_in_ps[pid] = line or self.last_in_ps.get(pid, b"")
            time.sleep(0.1)

    def assert_no_canary(self, *, but_in: str = "nothing") -> None:
        assert CANARY not in self.said
        assert not [line for line in self.last_in_ps.values() if CANARY.encode() in line]
        files = [p for p in self.folder.rglob("*") if p.is_file() and p.name != but_in]
        assert [p for p in files if CANARY.encode() in p.read_bytes()] == []


def children(pid: int) -> list[int]:
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True)
    return [int(line) for line in found.stdout.split()]


@pytest.fixture
def culling(tmp_path: Path) -> Culling:
    return Culling(tmp_path)


def stream_findings(out: str) -> dict[str, dict[str, object]]:
    return {f["camera"]: f for f in json.loads(out)["findings"] if f["part"] == "stream"}


def test_add_then_check_then_load(
    culling: Culling, camera: RtspServer, server: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.paths["/video.mjpg"] = web.basic(web.mjpeg(PICTURES))
    mjpeg_url = server.url("/video.mjpg", login=LOGIN)
    shown = json.loads(culling("add", "yard", camera.url(login=LOGIN), "--debug", "--json"))
    assert shown["found"] == {
        "kind": "rtsp",
        "live": True,
        "width_px": 320,
        "height_px": 192,
        "rate_fps": pytest.approx(RATE_FPS, rel=0.1),
        "codec": "h264",
        "keyframe_interval_s": 0.5,
        "duration_s": None,
        "frames": None,
        "to_fetch": None,
        "look_bytes": None,
        "said": [],
    }
    assert shown["variables"] == ["YARD_PASSWORD"]
    assert cv2.imread(shown["snapshot"]).shape == (192, 320, 3)
    said = culling("add", "door", mjpeg_url, "--password-file", "door.password", "--debug")
    assert re.search(r"kind +mjpeg \(live\)\n +size +320×192\n +rate +\d+(\.\d+)? pictures", said)
    assert "a keyframe" not in said

    out = culling("check", "--json", "--debug", YARD_PASSWORD=CANARY)
    found = stream_findings(out)
    assert {name: one["exit_code"] for name, one in found.items()} == {"yard": 0, "door": 0}
    assert "rtsp (live), 320×192, " in str(found["yard"]["detail"])
    assert "h264, a keyframe every 0.5 s, rtsp://***@127.0.0.1" in str(found["yard"]["detail"])
    assert found["door"]["found"]["kind"] == "mjpeg"  # type: ignore[index]
    monkeypatch.setenv("YARD_PASSWORD", CANARY)
    config = load_config(culling.folder / "config.yaml")
    assert list(config.cameras) == ["yard", "door"]
    assert config.cameras["yard"].source == camera.url(login=LOGIN)
    assert config.cameras["door"].source == mjpeg_url
    assert any(b"***" in line for line in culling.last_in_ps.values())
    culling.assert_no_canary(but_in="door.password")


def test_what_goes_wrong_does_not_show_the_password_either(
    tmp_path: Path,
    camera: RtspServer,
    server: WebServer,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    server.paths["/refuses"] = web.digest(fixed("text/html", b"x", status=500))
    addresses = {
        camera.url(login=f"not-{LOGIN}"): "wrong password; answered 401: check user and password",
        camera.url(login=LOGIN, path="/yard"): "not found; answered 404",
        f"rtsp://{LOGIN}@127.0.0.1:{free_port()}/cam": "refused; nothing listens there",
        server.url("/gone", login=LOGIN): "not found; answered 404",
        server.url("/refuses", login=LOGIN): "server error",
        f"rtmp://{LOGIN}@127.0.0.1/cam": "addresses of the kind rtmp:// are not known",
    }
    said = ""
    for url, reason in addresses.items():
        assert cli.run(["add", "yard", url, "--debug", "--json"]) == 3
        out, err = capfd.readouterr()
        assert reason in json.loads(out)["error"]
        said += out + err
    assert list(tmp_path.iterdir()) == []
    assert "Traceback" in said
    assert CANARY not in said


AWKWARD = "p@ss/w:rd#"
"""It has to be percent-encoded where it goes in, and decoded by who answers the server."""


def test_an_awkward_password_opens_a_web_camera(
    tmp_path: Path,
    server: WebServer,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    received, show = [], web.mjpeg(PICTURES)

    def ask(handler: web.Handler) -> None:
        given = handler.headers.get("Authorization", "")
        if not given:
            return handler.answer(
                "text/plain", b"", status=401, more='WWW-Authenticate: Basic realm="c"'
            )
        received.append(base64.b64decode(given.removeprefix("Basic ")).decode())
        return show(handler)

    monkeypatch.chdir(tmp_path)
    Path("pw").write_text(f"{AWKWARD}\n")
    server.paths["/video.mjpg"] = ask
    url = server.url("/video.mjpg", login=web.USER)
    assert cli.run(["add", "yard", url, "--password-file", "pw"]) == 0
    assert set(received) == {f"{web.USER}:{AWKWARD}"}
    out, err = capfd.readouterr()
    assert AWKWARD not in out + err + Path("config.yaml").read_text()


def test_an_awkward_password_opens_an_rtsp_camera(
    tmp_path: Path,
    camera: RtspServer,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    clip = write_h264(tmp_path / "cam.h264")
    server = RtspServer(clip, auth="digest")
    server.restart(clip, password=AWKWARD)
    try:
        url = server.url(login=f"{web.USER}:{quote(AWKWARD, safe='')}")
        assert cli.run(["add", "yard", url, "--json"]) == 0
        variable = json.loads(capfd.readouterr().out)["variables"][0]
        monkeypatch.setenv(variable, AWKWARD)
        assert (
            cli.run(["add", "again", server.url(login="viewer:${YARD_PASSWORD}"), "--force"]) == 0
        )
    finally:
        server.kill()
    out, err = capfd.readouterr()
    assert AWKWARD not in out + err + Path("config.yaml").read_text()


# -- the first look at each kind -------------------------------------------------------------------


def segments(server: WebServer, folder: Path) -> LivePlaylist:
    names = write_hls(folder / "hls", seconds=24)
    for name in names:
        server.paths[f"/{name}"] = fixed("video/mp2t", (folder / "hls" / name).read_bytes())
    return LivePlaylist(names)


def a_snapshot(server: WebServer, folder: Path) -> str:
    server.paths["/cam.jpg"] = web.pictures_in_turn(PICTURES)
    return server.url("/cam.jpg")


def a_live_playlist(server: WebServer, folder: Path) -> str:
    server.paths["/live.m3u8"] = segments(server, folder)
    return server.url("/live.m3u8")


def a_recorded_playlist(server: WebServer, folder: Path) -> str:
    segments(server, folder)
    data = (folder / "hls" / "recorded.m3u8").read_bytes()
    server.paths["/recorded.m3u8"] = fixed("application/vnd.apple.mpegurl", data)
    return server.url("/recorded.m3u8")


def a_web_video(server: WebServer, folder: Path) -> str:
    path = write_clip(folder / "a.mp4", constant_rate(100))
    server.paths["/a.mp4"] = web.video(path, ranges=True)
    return server.url("/a.mp4")


@pytest.mark.parametrize(
    ("serve", "kind", "is_live", "rate_fps", "keyframe_interval_s"),
    [
        (a_snapshot, "snapshot", True, None, None),
        (a_live_playlist, "hls", True, RATE_FPS, 0.5),
        (a_recorded_playlist, "hls recording", False, RATE_FPS, 0.5),
        (a_web_video, "web video", False, 25, 1.0),
    ],
)
def test_the_first_look(
    server: WebServer,
    tmp_path: Path,
    serve: Callable[[WebServer, Path], str],
    kind: str,
    is_live: bool,
    rate_fps: float | None,
    keyframe_interval_s: float | None,
) -> None:
    found = probe(serve(server, tmp_path), camera="yard", options=live_options())
    assert (found.info.kind, found.is_live, found.is_site) == (kind, is_live, False)
    assert found.image.shape == (found.info.height_px, found.info.width_px, 3)
    if rate_fps is not None:
        assert found.info.rate_fps == pytest.approx(rate_fps, rel=0.1)
    assert found.info.keyframe_interval_s == pytest.approx(keyframe_interval_s, abs=0.05)
