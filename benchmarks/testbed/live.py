"""Live cameras to try things on: quick options, and an RTSP server as a process."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from dataclasses import replace
from pathlib import Path

from benchmarks.testbed.servers.clips import RATE_FPS
from benchmarks.testbed.servers.network import CameraNetwork
from benchmarks.testbed.servers.web import CANARY, USER
from jobs.config.live import LiveSettings
from streams.live.options import LiveOptions
from streams.live.source import LiveSource
from streams.open import open_source

SERVER = Path(__file__).parent / "servers" / "rtsp_server.py"
SYSTEM_PYTHON = "/usr/bin/python3"

USUAL = LiveSettings().to_options(must_answer=True)
QUICK = replace(
    USUAL,
    open_timeout_s=3.0,
    read_timeout_s=1.5,
    first_pause_s=0.1,
    longest_pause_s=0.4,
    settled_s=0.5,
    barren_s=1.5,
    poll_s=0.1,
    health=replace(USUAL.health, stalled_s=0.7, look_s=0.1),
)
LOGIN = f"{USER}:{CANARY}"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RtspServer:
    """GStreamer's RTSP server as a process that can be killed, stopped and started again."""

    def __init__(
        self,
        file: Path,
        *,
        auth: str | None = None,
        network: CameraNetwork | None = None,
        rate_fps: int = RATE_FPS,
    ) -> None:
        self.port, self._auth, self._rate_fps = free_port(), auth, rate_fps
        self._prefix = [] if network is None else network.prefix
        self._host = "127.0.0.1" if network is None else network.camera_ip
        self.start(file)

    def url(self, *, login: str = "", path: str = "/cam") -> str:
        return f"rtsp://{login and login + '@'}{self._host}:{self.port}{path}"

    def start(self, file: Path, *, password: str = CANARY, path: str = "/cam") -> None:
        command = [*self._prefix, SYSTEM_PYTHON, str(SERVER), "--file", str(file)]
        command += ["--host", self._host, "--port", str(self.port), "--path", path]
        command += ["--rate-fps", str(self._rate_fps)]
        if self._auth is not None:
            command += ["--auth", self._auth, "--user", USER, "--password", password]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        assert self._process.stdout.readline().strip() == "ready"

    def restart(self, file: Path, *, password: str = CANARY, path: str = "/cam") -> None:
        self.kill()
        self.start(file, password=password, path=path)

    def stop(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


def open_files() -> int:
    """How many file handles this process has."""
    return len(os.listdir("/proc/self/fd"))


def open_live(url: str, options: LiveOptions = QUICK) -> LiveSource:
    source = open_source(url, camera="gate", live=options)
    assert isinstance(source, LiveSource)
    return source
