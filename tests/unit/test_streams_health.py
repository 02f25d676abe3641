"""A live camera's states by a clock of our own; pictures alike, nearly alike and dark."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from numpy.typing import NDArray

from streams.live.clock import FakeClock, SystemClock
from streams.live.health import GLANCE_PX, Health, State
from tests.unit.plans import health_limits

LIMITS = health_limits(stalled_s=5, frozen_s=60, nearly_frozen_s=600, dark_s=10, look_s=1)
SHAPE = (GLANCE_PX[1], GLANCE_PX[0])


class Camera:
    """A health that is told of a picture a second."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.health = Health("camera 'gate': x", LIMITS, self.clock)

    def show(self, glance: NDArray[np.uint8] | None, *, for_s: int = 1) -> State:
        for _ in range(for_s):
            self.clock.advance(1)
            self.health.pictured(glance)
        return self.health.report().state


@pytest.fixture
def camera() -> Camera:
    return Camera()


def scene(seed: int = 0, *, level: int = 100) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(level, level + 60, SHAPE, dtype=np.uint8)


def test_connecting_until_the_first_picture(camera: Camera) -> None:
    camera.clock.advance(100)
    assert camera.health.report().state is State.CONNECTING
    assert camera.show(None) is State.LIVE


def test_silence_is_a_stall_noticed_by_whoever_asks(camera: Camera) -> None:
    camera.show(None)
    camera.clock.advance(4.9)
    assert camera.health.report().state is State.LIVE
    camera.clock.advance(0.1)
    report = camera.health.report()
    assert (report.state, report.since) == (State.STALLED, camera.clock.now())
    assert report.reason == "connected, but nothing usable came for 5 s"
    camera.clock.advance(3)
    assert camera.health.report().since == report.since
    assert camera.show(None) is State.LIVE


def test_data_without_a_picture_is_no_stall_and_some_may_be_silent_longer(camera: Camera) -> None:
    camera.show(None)
    camera.clock.advance(4)
    camera.health.alive()
    camera.clock.advance(4)
    assert camera.health.report().state is State.LIVE
    camera.health.pictured(None, silence_s=18)
    camera.clock.advance(17)
    assert camera.health.report().state is State.LIVE
    camera.clock.advance(1)
    assert camera.health.report().state is State.STALLED


def test_lost_stays_lost_whatever_the_clock_says_and_keeps_its_time(camera: Camera) -> None:
    camera.show(None)
    camera.health.failed("refused")
    since = camera.health.report().since
    camera.clock.advance(3600)
    camera.health.failed("timed out")
    report = camera.health.report()
    assert (report.state, report.reason, report.since) == (State.LOST, "timed out", since)
    assert camera.show(None) is State.LIVE


def test_the_same_picture_for_a_set_time_is_frozen(camera: Camera) -> None:
    assert camera.show(scene(), for_s=60) is State.LIVE
    assert camera.show(scene()) is State.FROZEN
    assert camera.health.report().reason == "the same picture for 60 s"
    assert camera.show(scene(1)) is State.LIVE


def test_nearly_the_same_picture_takes_longer(camera: Camera) -> None:
    def encoded_anew(second: int) -> NDArray[np.uint8]:
        image = scene()
        image[second % 90] += 3
        return image

    for second in range(600):
        assert camera.show(encoded_anew(second)) is State.LIVE, second
    assert camera.show(encoded_anew(600)) is State.FROZEN
    assert camera.health.report().reason == "nearly the same picture for 600 s"


def test_one_person_far_off_or_a_sensors_noise_is_not_frozen(camera: Camera) -> None:
    rng = np.random.default_rng(1)
    for second in range(1300):
        image = scene()
        image[second % 90] += 3
        if second % 500 == 499:
            image[40, 50] += 30  # one sample of a person
        assert camera.show(image) is State.LIVE, second
    for _ in range(610):
        noisy = scene() + rng.normal(0, 3, SHAPE)
        assert camera.show(noisy.clip(0, 255).astype(np.uint8)) is State.LIVE


def test_a_reconnect_starts_the_wait_for_frozen_anew(camera: Camera) -> None:
    camera.show(scene(), for_s=50)
    camera.health.failed("ended")
    assert camera.show(scene(), for_s=59) is State.LIVE


def test_black_is_dark_but_a_night_with_a_lamp_is_not(camera: Camera) -> None:
    black = np.zeros(SHAPE, np.uint8)
    assert camera.show(black, for_s=10) is State.LIVE
    assert camera.show(black) is State.DARK
    assert camera.show(scene()) is State.LIVE
    lamp = black.copy()
    lamp[:10, :20] = 255
    assert camera.show(lamp, for_s=30) is State.LIVE


def test_one_log_line_for_each_change_and_none_for_each_try(
    camera: Camera, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="streams.live.health")  # the commands turn it down
    camera.show(None)
    for _ in range(100):
        camera.clock.advance(60)
        camera.health.failed("refused")
    camera.show(None, for_s=10)
    assert [r.getMessage() for r in caplog.records] == [
        "camera 'gate': x: live (pictures come), was connecting",
        "camera 'gate': x: lost (refused), was live",
        "camera 'gate': x: live (pictures come), was lost",
    ]


def test_glances_are_asked_for_at_their_interval(camera: Camera) -> None:
    assert camera.health.wants_glance
    camera.show(scene())
    assert not camera.health.wants_glance
    camera.clock.advance(1)
    assert camera.health.wants_glance


def test_the_clocks_agree_with_what_they_promise(camera: Camera) -> None:
    system = SystemClock()
    assert system.now().utcoffset() == camera.clock.now().utcoffset()
    assert system.monotonic() <= system.monotonic()
