"""What the tests of live cameras share: what they need, waiting, and errors."""

from __future__ import annotations

import os
import subprocess
import time
import traceback
from collections.abc import Callable, Iterator

import pytest

from benchmarks.testbed.live import QUICK, SYSTEM_PYTHON
from benchmarks.testbed.servers.network import missing_tools, unable
from streams.base import Frame, StreamError
from streams.live.health import State
from streams.live.options import LiveOptions
from streams.live.source import LiveSource
from streams.open import open_source


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


def take(frames: Iterator[Frame], count: int) -> list[Frame]:
    return [next(frames) for _ in range(count)]


BUSY = 10
"""How many times as long as a quiet machine a busy one may take. How fast a lost camera is noticed
is for `benchmarks.faults` to measure, not for a test."""


def wait_until(holds: Callable[[], bool], *, within_s: float) -> None:
    """Wait until it holds; fails if it does not in good time, which is `within_s` when quiet."""
    deadline_s = time.monotonic() + BUSY * within_s
    while not holds():
        assert time.monotonic() < deadline_s, f"not within {BUSY} times {within_s} s"
        time.sleep(0.02)


def wait_for(source: LiveSource, *states: State, within_s: float) -> None:
    wait_until(lambda: source.health.state in states, within_s=within_s)


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
