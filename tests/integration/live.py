"""What the tests of live cameras share: quick options, servers as processes, and the canary."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from streams.base import Frame, StreamError
from streams.live.health import HealthLimits, State
from streams.live.options import LiveOptions
from streams.live.source import LiveSource
from streams.open import open_source
from tests.integration.servers.clips import RATE_FPS
from tests.integration.servers.network import CameraNetwork, missing_tools, unable
from tests.integration.servers.web import CANARY, USER

SERVER = Path(__file__).parent / "servers" / "rtsp_server.py"
SYSTEM_PYTHON = "/usr/bin/python3"

QUICK = LiveOptions(
    open_timeout_s=3.0,
    read_timeout_s=1.5,
    first_pause_s=0.1,
    longest_pause_s=0.4,
    settled_s=0.5,
    barren_s=1.5,
    poll_s=0.1,
    health=HealthLimits(stalled_s=0.7, look_s=0.1),
)
LOGIN = f"{USER}:{CANARY}"


def require_gstreamer() -> None:
    """Skip where the RTSP server's packages are missing; fail where they were promised."""
    probe = "import gi; gi.require_version('GstRtspServer', '1.0')"
    found = subprocess.run([SYSTEM_PYTHON, "-c", probe], capture_output=True, check=False)
    if found.returncode == 0:
        return
    skip_or_fail("no RTSP server here: install the Debian packages that .ci/run names")


def require_network() -> None:
    """Skip where no network of a camera's own can be made; fail where its tools were promised.

    A kernel without namespaces, or a user who is not root, can be promised nothing.
    """
    absent = missing_tools()
    if absent is not None:
        skip_or_fail(absent)
    reason = unable()
    if reason is not None:
        pytest.skip(reason)


def skip_or_fail(message: str, *, promised: str = "CULLING_NEEDS_RTSP") -> None:
    """Skip a test, or fail it where what it lacks was promised by this variable or by CI."""
    if os.environ.get("CI") or os.environ.get(promised):
        pytest.fail(message)
    pytest.skip(message)


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


def take(frames: Iterator[Frame], count: int) -> list[Frame]:
    return [next(frames) for _ in range(count)]


def wait_until(holds: Callable[[], bool], *, within_s: float) -> float:
    """Seconds until it holds; fails if it does not in time."""
    began_s = time.monotonic()
    while not holds():
        assert time.monotonic() - began_s < within_s, f"not within {within_s} s"
        time.sleep(0.02)
    return time.monotonic() - began_s


def wait_for(source: LiveSource, *states: State, within_s: float) -> float:
    return wait_until(lambda: source.health.state in states, within_s=within_s)


def all_said(error: BaseException) -> str:
    """Everything an exception shows: its text, repr, chain and traceback."""
    whole = traceback.TracebackException.from_exception(error, capture_locals=False)
    chain = [repr(error), str(error), repr(error.__cause__), repr(error.__context__)]
    return "\n".join([*chain, *whole.format()])


def refused(url: str, options: LiveOptions = QUICK) -> StreamError:
    """The error of an address that must not open."""
    with pytest.raises(StreamError) as caught:
        open_source(url, camera="gate", live=options)
    return caught.value
