"""The first look at a source: its rate, its keyframes, and a camera that falls silent."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest

from streams import probe as module
from streams.base import ConnectionFailedError, SourceNotFoundError
from streams.live.connection import Arrival, Demand, JpegPicture, StreamFacts
from streams.live.options import LiveOptions
from streams.live.source import LiveSource
from streams.open import is_youtube
from streams.probe import _rate_fps, probe
from streams.recorded.picture_times import PictureOptions
from tests.unit.clips import constant_rate, numbered_image, read_number, write_clip
from tests.unit.plans import live_options

PICTURE = cv2.imencode(".jpg", numbered_image(0))[1].tobytes()


class Fake:
    """A connection that gives a backlog at once, then pictures at a rate, then nothing."""

    def __init__(
        self, *, count: int = 10**6, backlog: int = 0, keyframes_after: int | None = None
    ) -> None:
        self.count, self.backlog, self.keyframes_after = count, backlog, keyframes_after
        self.given = 0

    @property
    def facts(self) -> StreamFacts:
        seen = self.keyframes_after is not None and self.given > self.keyframes_after
        return StreamFacts(kind="fake", codec="h264", keyframe_interval_s=0.7 if seen else None)

    def arrivals(self, demand: Demand) -> Iterator[Arrival | None]:
        while self.given < self.count:
            if self.given >= self.backlog:
                time.sleep(0.02)
            yield Arrival(JpegPicture(PICTURE), pts_s=self.given / 50)
            self.given += 1
        while True:
            time.sleep(0.02)
            yield None

    def close(self) -> None: ...


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RATE_NEEDS_S", 0.6)
    monkeypatch.setattr(module, "BACKLOG_S", 0.2)


def look(monkeypatch: pytest.MonkeyPatch, fake: Fake, *, watched_s: float = 5) -> module.Probe:
    def open_source(
        url: str, *, camera: str, live: LiveOptions, pictures: PictureOptions | None
    ) -> LiveSource:
        assert (live.must_answer, live.sampling) == (True, "exact")
        return LiveSource(lambda: fake, camera=camera, location="fake", options=live)

    monkeypatch.setattr(module, "open_source", open_source)
    options = live_options(must_answer=False, sampling="keyframes")
    return probe("rtsp://cam", camera="yard", options=options, watched_s=watched_s)


def test_a_live_camera_is_watched_until_its_keyframes_are_known(
    monkeypatch: pytest.MonkeyPatch, quick: None
) -> None:
    began_s = time.monotonic()
    found = look(monkeypatch, Fake(backlog=40, keyframes_after=60), watched_s=100)
    assert 0.6 < time.monotonic() - began_s < 50  # until it is known, not to the end
    assert found.is_live
    assert (found.info.codec, found.info.keyframe_interval_s) == ("h264", 0.7)
    assert found.info.rate_fps == pytest.approx(50, rel=0.2)
    assert found.image.shape == (64, 144, 3)


def test_keyframes_that_do_not_come_are_not_waited_for_longer_than_asked(
    monkeypatch: pytest.MonkeyPatch, quick: None
) -> None:
    began_s = time.monotonic()
    found = look(monkeypatch, Fake(), watched_s=1)
    assert 0.9 < time.monotonic() - began_s < 50
    assert found.info.keyframe_interval_s is None


def test_a_camera_that_falls_silent_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConnectionFailedError, match="one picture came, and then no other"):
        look(monkeypatch, Fake(count=1), watched_s=0.3)


def test_the_rate_is_told_from_the_gaps_after_the_backlog() -> None:
    steady = [5 + n / 25 for n in range(40)]
    backlog = [4.9 + n / 1000 for n in range(30)]
    assert _rate_fps(backlog + steady, len(backlog)) == pytest.approx(25)
    assert _rate_fps(steady[:10] + steady[12:], 0) == pytest.approx(25)  # two lost
    assert _rate_fps([1.0], 1) is None


def test_a_recording_is_looked_at_from_its_start(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", constant_rate(60))
    found = probe(str(path), camera="yard", options=live_options())
    assert (found.info.kind, found.is_live, found.is_site) == ("file", False, False)
    assert (found.info.rate_fps, found.info.keyframe_interval_s) == (25.0, 1.0)
    assert read_number(found.image) == read_number(numbered_image(0)) == 0
    one = write_clip(tmp_path / "b.mp4", constant_rate(5))
    assert probe(str(one), camera="b", options=live_options()).info.keyframe_interval_s is None
    with pytest.raises(SourceNotFoundError):
        probe(str(tmp_path / "gone.mp4"), camera="yard", options=live_options())


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://www.youtube.com/watch?v=x", True),
        ("youtu.be/x", True),
        ("https://example.org/youtube.com/x", False),
        ("rtsp://cam/1", False),
    ],
)
def test_youtube_is_told_by_its_address(url: str, expected: bool) -> None:
    assert is_youtube(url) is expected
