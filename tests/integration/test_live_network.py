"""The fault table's network: a cable that is pulled out, and one that loses three packets in ten.

The cameras live in a network namespace of their own (`servers/network.py`).
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.testbed.live import LOGIN, QUICK, RtspServer, open_files, open_live
from benchmarks.testbed.servers.clips import pictures_of, write_h264
from benchmarks.testbed.servers.network import CameraNetwork
from streams.base import Frame
from streams.live.health import State
from tests.integration.live import require_gstreamer, require_network, take, wait_for, wait_until

pytestmark = pytest.mark.usefixtures("no_canary")

NOTICED_S = 3 * QUICK.read_timeout_s
RECOVERED_S = QUICK.longest_pause_s + 3.0
CUT_S = 4.0


@pytest.fixture(scope="module", autouse=True)
def _able() -> None:
    require_gstreamer()
    require_network()


@pytest.fixture
def network() -> Iterator[CameraNetwork]:
    network = CameraNetwork()
    yield network
    network.remove()


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_h264(tmp_path_factory.mktemp("network") / "cam.h264")


@pytest.fixture
def camera(network: CameraNetwork, clip: Path) -> Iterator[RtspServer]:
    server = RtspServer(clip, auth="digest", network=network)
    yield server
    server.kill()


def test_a_pulled_cable_is_noticed_tried_again_and_found(
    camera: RtspServer, network: CameraNetwork
) -> None:
    with open_live(camera.url(login=LOGIN)) as source:
        frames = source.frames()
        before, files = take(frames, 3)[-1], open_files()
        network.cut()
        wait_for(source, State.LOST, within_s=NOTICED_S)
        assert source.health.reason == "timed out"
        tries = source.counts.tries
        time.sleep(CUT_S)
        assert source.counts.tries > tries
        assert source.health.state is State.LOST
        network.mend()
        wait_for(source, State.LIVE, within_s=RECOVERED_S)
        after = take(frames, QUICK.queue_frames + 1)[-1]
        assert after.time_s - before.time_s > CUT_S
        wait_until(lambda: open_files() <= files, within_s=2.0)


def test_with_three_packets_in_ten_lost_hardly_a_picture_is_smeared(
    camera: RtspServer, network: CameraNetwork, clip: Path
) -> None:
    whole = pictures_of(clip)
    options = dataclasses.replace(QUICK, transport="udp", barren_s=10.0)
    with open_live(camera.url(login=LOGIN), options) as source:
        frames = source.frames()
        take(frames, 5)
        network.lose(30)
        lossy = frames_for(8.0, frames)
        assert network.lost_packets() > 20
        assert source.counts.damaged > 5
        network.lose_none()
        wait_for(source, State.LIVE, within_s=RECOVERED_S)
        healed = frames_for(2.5, frames)[-10:]
    smeared = [frame.image.tobytes() not in whole for frame in lossy]
    assert len(smeared) > 5  # it goes on all the same
    assert sum(smeared) <= len(smeared) / 5  # FFmpeg does not see all damage; unguarded, it is half
    assert all(frame.image.tobytes() in whole for frame in healed)


def frames_for(seconds: float, frames: Iterator[Frame]) -> list[Frame]:
    until_s, got = time.monotonic() + seconds, []
    while time.monotonic() < until_s:
        got.append(next(frames))
    return got
