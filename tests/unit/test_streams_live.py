"""The live source without a server: back-off, timeline, keyframes, what the reader promises."""

from __future__ import annotations

import dataclasses
import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise

import cv2
import numpy as np
import pytest

from streams.base import ConnectionFailedError, StreamError
from streams.failures import REFUSED, WRONG_PASSWORD, failure
from streams.keyframes import KeyframeGate
from streams.live.backoff import Backoff
from streams.live.connection import Arrival, Demand, JpegPicture, StreamFacts
from streams.live.device import DeviceConnection
from streams.live.health import GLANCE_PX, State
from streams.live.source import LiveSource
from streams.live.timeline import LAG_S, WINDOW_S, Timeline
from streams.sampler import Sampler
from tests.unit.clips import numbered_image, read_number
from tests.unit.plans import health_limits, live_options

QUICK = live_options(
    open_timeout_s=1, read_timeout_s=1, first_pause_s=0.01, longest_pause_s=0.05, barren_s=0.2
)
CANARY = "c4n4ry-0f-the-t3sts"
WHERE = "camera 'gate': fake"


# -- back-off --------------------------------------------------------------------------------------


def test_pauses_double_up_to_the_longest_and_begin_again_after_a_reset() -> None:
    pauses = Backoff(1, 10, jitter=0)
    assert [pauses.pause_s() for _ in range(6)] == [1, 2, 4, 8, 10, 10]
    pauses.reset()
    assert pauses.pause_s() == 1
    assert pauses.pause_s(longest=True) == 10
    for _ in range(2000):  # for ever, without overflow
        assert pauses.pause_s() <= 10


def test_chance_shortens_pauses_by_up_to_its_share() -> None:
    pauses = Backoff(8, 8, jitter=0.5, rng=random.Random(1))
    drawn = [pauses.pause_s() for _ in range(200)]
    assert 4 <= min(drawn) < 4.2
    assert 7.8 < max(drawn) <= 8


# -- timeline --------------------------------------------------------------------------------------


def test_regular_frames_keep_their_distance_whatever_the_network_does() -> None:
    timeline, rng = Timeline(), random.Random(3)
    times = [timeline.place(n * 0.04, 100 + n * 0.04 + rng.random() * 0.03) for n in range(200)]
    assert all(b - a == pytest.approx(0.04, abs=1e-9) for a, b in pairwise(times))


def test_bursts_of_segments_are_spread_over_their_own_time() -> None:
    timeline = Timeline()
    for n in range(18):  # three buffered segments at once
        timeline.place(float(n), 100.0)
    placed = [timeline.place(18.0 + n, 106.0 + n // 6 * 6) for n in range(30)]
    assert [b - a for a, b in pairwise(placed)] == pytest.approx([1.0] * 29)
    assert 105 < placed[5] <= 106.1


@pytest.mark.parametrize("jump_s", [-50.0, -1e6, 500.0, 1e9])
def test_a_jump_of_the_cameras_clock_is_not_seen(jump_s: float) -> None:
    timeline = Timeline()
    before = [timeline.place(60 + n * 0.04, 100 + n * 0.04) for n in range(50)]
    after = [timeline.place(62 + jump_s + n * 0.04, 102 + n * 0.04) for n in range(50)]
    assert [b - a for a, b in pairwise(before + after)] == pytest.approx([0.04] * 99, abs=1e-6)


def test_a_camera_whose_time_stood_still_for_minutes_is_not_placed_in_the_past() -> None:
    timeline = Timeline()
    timeline.place(5.0, 100.0)
    assert timeline.place(5.04, 700.0) == 700.0


def test_missing_and_broken_times_go_by_arrival_and_always_increase() -> None:
    timeline = Timeline()
    claimed = [None, float("nan"), 5.0, 5.0, 4.9, 5.04, float("inf"), None]
    placed = [timeline.place(pts, 10.0 + n * 0.01) for n, pts in enumerate(claimed)]
    assert all(a < b for a, b in pairwise(placed))
    assert placed[-1] == pytest.approx(10.07, abs=0.2)


def test_a_slow_camera_clock_does_not_fall_behind_for_ever() -> None:
    timeline = Timeline()
    lags = [100 + n - timeline.place(n * 0.99, 100.0 + n) for n in range(2000)]
    assert max(lags) < 0.01 * 2 * WINDOW_S + 0.2 < LAG_S
    timeline.restart()
    assert timeline.place(0.0, 3000.0) == 3000.0


# -- keyframes -------------------------------------------------------------------------------------


def decoded(sampling: str, gaps_s: list[float], interval_s: float | None) -> list[int]:
    """Of a stream with 5 frames from one keyframe to the next, how many of each group."""
    gate, time_s, counts = KeyframeGate(sampling), 0.0, []  # type: ignore[arg-type]
    for gap_s in gaps_s:
        admitted = [
            gate.admits(is_key=n == 0, time_s=time_s + n * gap_s / 5, interval_s=interval_s)
            for n in range(5)
        ]
        counts.append(sum(admitted))
        time_s += gap_s
    return counts


@pytest.mark.parametrize(
    ("sampling", "gaps_s", "interval_s", "expected"),
    [
        ("exact", [1] * 5, 10.0, [5, 5, 5, 5, 5]),
        ("keyframes", [30] * 3, 1.0, [1, 1, 1]),
        ("auto", [1] * 5, 1.0, [5, 5, 1, 1, 1]),
        ("auto", [1] * 5, 0.9, [5, 5, 5, 5, 5]),
        ("auto", [1] * 5, None, [5, 5, 5, 5, 5]),
        ("auto", [1, 1, 1, 4, 4, 4, 1, 1, 1, 1, 1], 1.0, [5, 5, 1, 1, 5, 5, 5, 5, 5, 5, 1]),
    ],
)
def test_only_keyframes_where_they_come_often_enough(
    sampling: str, gaps_s: list[float], interval_s: float | None, expected: list[int]
) -> None:
    assert decoded(sampling, gaps_s, interval_s) == expected


def test_nothing_before_the_first_keyframe() -> None:
    gate = KeyframeGate("exact")
    assert not gate.admits(is_key=False, time_s=0, interval_s=None)
    assert gate.admits(is_key=True, time_s=1, interval_s=None)
    assert gate.admits(is_key=False, time_s=2, interval_s=None)


# -- the source ------------------------------------------------------------------------------------


class Fake:
    """A connection that gives what it is told to, then fails."""

    facts = StreamFacts(kind="fake")

    def __init__(self, count: int, *, reason: str = REFUSED, step_s: float = 0.01) -> None:
        self.count, self.reason, self.step_s = count, reason, step_s
        self.closed = False

    def arrivals(self, demand: Demand) -> Iterator[Arrival | None]:
        for number in range(self.count):
            time.sleep(self.step_s)
            yield Arrival(picture(number))
        raise failure(WHERE, self.reason)

    def close(self) -> None:
        self.closed = True


def picture(number: int) -> JpegPicture:
    return JpegPicture(bytes(cv2.imencode(".png", numbered_image(number))[1].tobytes()))


def until(holds: Callable[[], bool]) -> None:
    """Wait for it; the test's own time-out ends what never comes."""
    while not holds():
        time.sleep(0.01)


def live(connect: object, **changes: object) -> LiveSource:
    options = dataclasses.replace(QUICK, **changes)  # type: ignore[arg-type]
    return LiveSource(connect, camera="gate", location="fake", options=options)  # type: ignore[arg-type]


def test_it_connects_again_for_ever_and_closes_each_connection() -> None:
    made: list[Fake] = []

    def connect() -> Fake:
        made.append(Fake(3))
        return made[-1]

    with live(connect) as source:
        frames = source.frames()
        assert all(a.time_s < b.time_s for a, b in pairwise(next(frames) for _ in range(12)))
        assert source.counts.connections >= 3
    assert all(connection.closed for connection in made)
    assert not source._reader.thread.is_alive()
    assert list(frames) == []
    with pytest.raises(StreamError, match="camera 'gate': fake: the source was closed"):
        source.frames()


def test_opening_tells_the_first_failure_and_leaves_no_thread() -> None:
    def connect() -> Fake:
        raise failure(WHERE, WRONG_PASSWORD)

    with pytest.raises(
        ConnectionFailedError, match="wrong password; answered 401: check"
    ) as caught:
        live(connect)
    assert caught.value.__context__ is None
    assert not any(thread.name == "live-gate" for thread in threading.enumerate())


def test_an_error_nobody_expected_is_logged_without_its_words_and_survived(
    caplog: pytest.LogCaptureFixture,
) -> None:
    tries = iter(range(100))

    def connect() -> Fake:
        if next(tries) == 0:
            message = f"rtsp://viewer:{CANARY}@host"
            raise ZeroDivisionError(message)
        return Fake(10**6)

    with live(connect, must_answer=False) as source:
        next(source.frames())
        assert source.health.state is State.LIVE
    assert "ZeroDivisionError in the reader" in caplog.text
    assert CANARY not in caplog.text


def test_two_consumers_get_their_own_frames_by_their_own_samplers() -> None:
    with live(lambda: Fake(10**6)) as source:
        every, some = source.frames(), source.frames(Sampler(0.1))
        one, other = next(every), next(some)
        one.image[:] = 0
        assert next(some).time_s - other.time_s > 0.09
        assert source._outlet.demand.interval_s is None
        every.close()  # type: ignore[attr-defined]
        assert source._outlet.demand.interval_s == 0.1


def test_what_one_consumer_does_to_a_picture_no_other_sees() -> None:
    with live(lambda: Fake(10**6), queue_frames=100) as source:
        one, other = source.frames(), source.frames()
        seen = [[next(one), next(other)] for _ in range(20)]
        images = [frame.image for pair in seen for frame in pair]
        times_s = [frame.time_s for pair in seen for frame in pair]
        assert len(set(times_s)) < len(times_s)  # the same pictures came to both
        assert len({image.__array_interface__["data"] for image in images}) == len(images)


def test_a_connection_that_only_brings_garbage_is_none() -> None:
    class Garbage(Fake):
        def arrivals(self, demand: Demand) -> Iterator[Arrival | None]:
            yield from (Arrival(JpegPicture(b"garbage")) for _ in range(3))
            raise failure(WHERE, REFUSED)

    made = iter([Fake(2)])
    with live(lambda: next(made, None) or Garbage(0)) as source:
        until(lambda: source.counts.tries >= 5)
        assert source.counts.connections == 1
        assert source.counts.pictures == 2


def test_a_consumer_that_is_behind_loses_the_oldest() -> None:
    with live(lambda: Fake(10**6), queue_frames=2) as source:
        frames = source.frames()
        first = read_number(next(frames).image)
        until(lambda: source.counts.dropped > 10)
        got = [read_number(next(frames).image) for _ in range(2)]
        assert got[0] > first + 10
        assert got[1] == got[0] + 1


def test_nothing_but_damaged_pictures_is_stalled_and_then_broken_off(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Damaged(Fake):
        def arrivals(self, demand: Demand) -> Iterator[Arrival | None]:
            yield Arrival(picture(1))
            while True:
                time.sleep(0.01)
                yield Arrival(None)

    limits = health_limits(stalled_s=0.05)
    options = {"first_pause_s": 9, "longest_pause_s": 9, "barren_s": 2.0}  # time to be seen stalled
    with live(lambda: Damaged(0), health=limits, **options) as source:
        until(lambda: source.health.state is State.LOST)
        assert source.counts.damaged > 2
        assert source.health.reason == "broken off"
    assert "stalled" in caplog.text


def test_data_without_a_picture_is_given_up() -> None:
    class Barren(Fake):
        def arrivals(self, demand: Demand) -> Iterator[Arrival | None]:
            while True:
                time.sleep(0.01)
                yield Arrival(JpegPicture(b"garbage"))

    with pytest.raises(ConnectionFailedError, match="not a video"):
        live(lambda: Barren(0))


def test_a_connection_that_asks_for_the_next_is_not_lost(caplog: pytest.LogCaptureFixture) -> None:
    class Expiring(Fake):
        def arrivals(self, demand: Demand) -> Iterator[Arrival | None]:
            for number in range(5):
                time.sleep(0.01)
                yield Arrival(picture(number))

    caplog.set_level(logging.INFO)
    with live(lambda: Expiring(0)) as source:
        for _ in zip(range(20), source.frames(), strict=False):
            assert source.health.state is State.LIVE
    assert ": lost" not in caplog.text


def test_a_wrong_password_is_tried_again_only_after_the_longest_pause() -> None:
    def connect() -> Fake:
        raise failure(WHERE, WRONG_PASSWORD)

    with live(connect, must_answer=False, longest_pause_s=5) as source:
        until(lambda: source.counts.tries == 1)
        time.sleep(0.3)
        assert source.counts.tries == 1


def test_pictures_give_their_glance_and_damaged_ones_nothing() -> None:
    glance = picture(5).glance()
    assert glance is not None
    assert glance.shape == GLANCE_PX[::-1]
    assert glance.dtype == np.uint8
    assert JpegPicture(b"garbage").glance() is None
    assert JpegPicture(b"").rgb() is None


# -- devices and options ---------------------------------------------------------------------------


class Capture:
    """What OpenCV gives for a device with this many pictures in it."""

    def __init__(self, count: int) -> None:
        self.count, self.released = count, False

    def isOpened(self) -> bool:
        return self.count > 0

    def grab(self) -> bool:
        self.count -= 1
        return self.count >= 0

    def retrieve(self) -> tuple[bool, np.ndarray]:
        image = np.zeros((48, 64, 3), np.uint8)
        image[..., 2] = 255  # red, as OpenCV has it
        return True, image

    def get(self, _: int) -> float:
        return 30.0

    def release(self) -> None:
        self.released = True


def test_a_device_gives_its_pictures_in_rgb_and_breaks_when_it_is_unplugged() -> None:
    connection = DeviceConnection(Capture(3), where="camera 'gate': device:0")
    assert connection.facts.rate_fps == 30
    arrivals = connection.arrivals(Demand())
    pictures = [next(arrivals) for _ in range(3)]
    assert pictures[0] is not None
    image, glance = pictures[0].picture.rgb(), pictures[0].picture.glance()
    assert image is not None
    assert image[0, 0].tolist() == [255, 0, 0]
    assert glance is not None
    assert glance.shape == GLANCE_PX[::-1]
    with pytest.raises(ConnectionFailedError, match="device:0: broken off"):
        next(arrivals)
    connection.close()


def test_a_device_that_is_not_there_says_so() -> None:
    capture = Capture(0)
    with pytest.raises(ConnectionFailedError, match="camera 'gate': device:7: no such device"):
        DeviceConnection(capture, where="camera 'gate': device:7")
    assert capture.released


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sampling": "some"}, r"sampling: got 'some', allowed: \('exact', 'keyframes', 'auto'\)"),
        ({"transport": "pigeon"}, r"transport: got 'pigeon', allowed: \('tcp', 'udp'\)"),
        ({"read_timeout_s": 0}, "read_timeout_s: got 0, allowed: a finite number > 0"),
        ({"queue_frames": 0}, "queue_frames: got 0, allowed: a whole number ≥ 1"),
        ({"longest_pause_s": 0.5}, "longest_pause_s: got 0.5, allowed: at least first_pause_s"),
    ],
)
def test_options_out_of_range_are_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=f"live source: {said}"):
        live_options(**changes)  # type: ignore[arg-type]
