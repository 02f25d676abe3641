"""RTSP cameras: GStreamer's own server, with and without passwords, well and in trouble."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from benchmarks.testbed.live import LOGIN, QUICK, RtspServer, open_live
from benchmarks.testbed.servers.clips import RATE_FPS, write_h264
from benchmarks.testbed.servers.web import CANARY
from streams.live.health import State
from streams.sampler import Sampler
from tests.integration.live import all_said, refused, require_gstreamer, take, wait_for, wait_until

pytestmark = pytest.mark.usefixtures("no_canary")

NOTICED_S = 3 * QUICK.read_timeout_s


@pytest.fixture(scope="module", autouse=True)
def _gstreamer() -> None:
    require_gstreamer()


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_h264(tmp_path_factory.mktemp("rtsp") / "cam.h264")


@pytest.fixture(scope="module")
def camera(clip: Path) -> Iterator[RtspServer]:
    """Asks for a password by digest; not to be disturbed."""
    server = RtspServer(clip, auth="digest")
    yield server
    server.kill()


@pytest.fixture
def mortal(clip: Path) -> Iterator[RtspServer]:
    """One to be killed."""
    server = RtspServer(clip)
    yield server
    server.kill()


def test_frames_come_with_honest_times_and_nothing_is_left_behind(camera: RtspServer) -> None:
    threads = threading.active_count()
    with open_live(camera.url(login=LOGIN)) as source:
        coming = source.frames()
        frames = take(coming, 12)
        while source.counts.camera_ahead_s is None:  # the camera reports its clock when it likes
            frames.append(next(coming))
        assert (source.info.kind, source.info.codec) == ("rtsp", "h264")
        assert (source.info.width_px, source.info.height_px) == (320, 192)
        assert source.health.state is State.LIVE
        assert source.counts.camera_ahead_s == pytest.approx(0, abs=2)
    assert all(a.time_s < b.time_s for a, b in pairwise(frames))
    assert abs((frames[-1].wall_time - datetime.now(UTC)).total_seconds()) < 2
    assert {frame.image.shape for frame in frames} == {(192, 320, 3)}
    assert threading.active_count() == threads
    assert CANARY not in repr(source) + repr(source.info) + repr(vars(source))


@pytest.mark.parametrize("sampling", ["auto", "keyframes"])
def test_keyframes_alone_are_decoded_where_they_are_enough(
    camera: RtspServer, sampling: str
) -> None:
    options = dataclasses.replace(QUICK, sampling=sampling)
    with open_live(camera.url(login=LOGIN), options) as source:
        frames = source.frames(Sampler(0.5))
        take(frames, 3)
        before = source.counts.pictures
        got = take(frames, 2)
        assert source.counts.pictures - before <= 4  # of 10 that came
        assert source.info.keyframe_interval_s == pytest.approx(0.5, abs=0.05)
    assert 0.3 < got[1].time_s - got[0].time_s < 1.3


def test_basic_authentication_and_udp(clip: Path) -> None:
    server = RtspServer(clip, auth="basic")
    try:
        options = dataclasses.replace(QUICK, transport="udp")
        with open_live(server.url(login=LOGIN), options) as source:
            take(source.frames(), 5)
    finally:
        server.kill()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda url: url.replace(CANARY, f"not-{CANARY}"), "wrong password"),
        (lambda url: url.replace(f"{LOGIN}@", ""), "wrong password"),
        (lambda url: url.replace("/cam", "/yard"), "not found"),
    ],
)
def test_an_error_says_why_and_no_more(camera: RtspServer, change, reason: str) -> None:
    error = refused(change(camera.url(login=LOGIN)))
    assert error.reason == reason
    assert str(error).startswith("camera 'gate': rtsp://")
    assert CANARY not in all_said(error)
    assert error.__context__ is None


def test_a_killed_server_is_lost_and_found_again_with_another_size(
    mortal: RtspServer, tmp_path: Path
) -> None:
    with open_live(mortal.url()) as source:
        frames = source.frames()
        before = take(frames, 3)[-1]
        mortal.kill()
        wait_for(source, State.LOST, within_s=NOTICED_S)
        wait_until(lambda: source.health.reason == "refused", within_s=NOTICED_S)
        mortal.start(write_h264(tmp_path / "large.h264", width_px=480, height_px=272))
        wait_for(source, State.LIVE, within_s=8.0)
        while (after := next(frames)).image.shape == (192, 320, 3):
            """What was still waiting."""
        assert after.image.shape == (272, 480, 3)
        assert after.time_s > before.time_s  # the camera's own time began at zero again
        assert (source.info.width_px, source.info.height_px) == (480, 272)


def test_a_stopped_server_is_stalled_then_lost_then_live(
    mortal: RtspServer, caplog: pytest.LogCaptureFixture
) -> None:
    with open_live(mortal.url()) as source:
        frames = source.frames()
        take(frames, 3)
        mortal.stop()
        wait_for(source, State.LOST, within_s=NOTICED_S)
        mortal.go_on()
        wait_for(source, State.LIVE, within_s=8.0)
        take(frames, 3)
    states = [r.getMessage().split(": ")[-1].split(" (")[0] for r in caplog.records]
    seen = [state for state in states if state in set(State)]
    assert list(dict.fromkeys(seen)) == ["live", "stalled", "lost"]
    assert seen[-1] == "live"
    assert seen[: seen.index("lost")].count("stalled") == 1  # no life in one belated packet


def test_closing_from_another_thread_ends_the_iteration_even_in_a_stall(
    mortal: RtspServer,
) -> None:
    patient = dataclasses.replace(QUICK, read_timeout_s=6.0)
    source = open_live(mortal.url(), patient)
    frames = source.frames()
    take(frames, 2)
    mortal.stop()
    wait_for(source, State.STALLED, within_s=10.0)
    threading.Timer(0.3, source.close).start()
    began_s = time.monotonic()
    list(frames)
    assert time.monotonic() - began_s < patient.read_timeout_s - 1  # not by its time-out
    source.close()
    assert not any(thread.name == "live-gate" for thread in threading.enumerate())
    mortal.go_on()


def test_a_slow_consumer_loses_the_oldest_and_is_never_behind(camera: RtspServer) -> None:
    with open_live(camera.url(login=LOGIN)) as source:
        frames = source.frames()
        (first,) = take(frames, 1)
        # What was sent while FFmpeg looked at the stream comes in one burst, some 25 frames.
        wait_until(lambda: source.counts.dropped >= 40, within_s=30.0)
        waiting = take(frames, QUICK.queue_frames)
        assert waiting[0].time_s - first.time_s > 10 / RATE_FPS  # the oldest are gone
        assert all(a.time_s < b.time_s for a, b in pairwise(waiting))
