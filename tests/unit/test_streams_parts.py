"""Recordings on the web that are fetched in parts: how many bytes are served for which frames."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from benchmarks.testbed.servers.clips import write_hls
from benchmarks.testbed.servers.web import Handler, Serve, WebServer, fixed
from streams.address import Address
from streams.base import Frame, FrameSource
from streams.open import open_source
from streams.probe import probe
from streams.recorded.ranges import FIRST_BYTES, BrokenOffError, Parts, Place, WebFile
from streams.recorded.remote import RemoteVideo
from streams.sampler import Sampler
from tests.unit.clips import constant_rate, read_number, write_clip
from tests.unit.plans import live_options
from tests.unit.served import Counting, noisy


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Two hours of a frame every two seconds, a keyframe every 50 s; padded to 6 MB."""
    path = tmp_path_factory.mktemp("clip") / "long.mp4"
    options = {"movflags": "+faststart"}
    write_clip(path, constant_rate(3600, step_ms=2000), options=options)
    return path.read_bytes()


@pytest.fixture
def server() -> Iterator[WebServer]:
    server = WebServer()
    yield server
    server.kill()


def opened(server: WebServer, serve: Counting) -> FrameSource:
    server.paths["/long.mp4"] = serve
    options = live_options(open_timeout_s=5, read_timeout_s=5)
    source = open_source(server.url("/long.mp4"), camera="gate", recorded=options)
    assert isinstance(source, RemoteVideo)
    return source


def same(one: Frame, other: Frame) -> bool:
    return one.time_s == other.time_s and np.array_equal(one.image, other.image)


def test_frames_far_apart_are_fetched_in_jumps_and_are_the_same(
    server: WebServer, clip: bytes
) -> None:
    serve = Counting(clip)
    source = opened(server, serve)
    oracle = Sampler(600.0)
    expected = [frame for frame in source.frames() if oracle.wants(frame.time_s)]
    whole, serve.served = serve.served, 0
    got = list(source.frames(Sampler(600.0)))
    assert [read_number(f.image) for f in got] == [read_number(f.image) for f in expected]
    assert len(got) == 12
    assert all(map(same, got, expected))
    assert whole >= len(clip)
    assert source.left_out == {}


def test_a_pass_in_jumps_costs_what_was_said(server: WebServer, noise: bytes) -> None:
    """Noise, so that a frame has bytes enough for a jump to be worth something."""
    serve = Counting(noise)
    source = opened(server, serve)
    assert isinstance(source, RemoteVideo)
    assert source.to_fetch(1.0) == len(noise)
    said = source.to_fetch(300.0)
    assert said is not None
    assert said < len(noise) / 3
    serve.served = 0
    assert len(list(source.frames(Sampler(300.0)))) == 12
    assert serve.served < len(noise) / 3
    assert serve.served == pytest.approx(said, rel=0.7)


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return noisy(tmp_path_factory.mktemp("noise") / "noise.mp4")


def test_a_part_that_breaks_off_is_fetched_again_and_nothing_else(
    server: WebServer, noise: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.recorded.ranges.FIRST_PAUSE_S", 0.01)
    serve = Counting(noise)
    source = opened(server, serve)
    before = serve.requests
    serve.break_at = {before + 4, before + 6}
    serve.refuse = {before + 8}
    serve.served = 0
    times_s = [frame.time_s for frame in source]
    assert len(times_s) == 3600
    assert all(a < b for a, b in pairwise(times_s))
    assert serve.served < 1.1 * len(noise)


def test_without_parts_it_is_read_as_it_comes(server: WebServer, clip: bytes) -> None:
    serve = Counting(clip, ranges=False)
    source = opened(server, serve)
    assert isinstance(source, RemoteVideo)
    assert source.to_fetch(600.0) == pytest.approx(len(clip), rel=0.5)  # by its packets
    assert len(list(source.frames(Sampler(600.0)))) == 12


def test_check_is_told_what_a_night_fetches(server: WebServer, clip: bytes) -> None:
    server.paths["/long.mp4"] = Counting(clip)
    options = live_options(open_timeout_s=5, read_timeout_s=5)
    found = probe(server.url("/long.mp4"), camera="gate", options=options, interval_s=1.0)
    assert found.to_fetch == len(clip)
    assert found.frames == 3600


# -- single keyframes ------------------------------------------------------------------------------


def test_single_keyframes_are_those_of_reading_on(server: WebServer, noise: bytes) -> None:
    serve = Counting(noise)
    source = opened(server, serve)
    at = {frame.time_s: frame for frame in source}
    there = source.moments(1.0)
    each = source.look_bytes(1.0)
    assert there is not None
    assert each is not None
    assert there[1] >= 5.0  # as often as there are keyframes, and no more
    serve.served = 0
    got = list(source.frames_at([3.0, 4.9, 7.0, 1801.2, 3599.5]))
    assert [frame.time_s for frame in got] == [0.0, 5.0, 1800.0, 3595.0]
    assert all(same(frame, at[frame.time_s]) for frame in got)
    assert serve.served < 8 * each
    assert source.left_out == {}


@pytest.mark.parametrize("lost", ["a part", "an address", "much"])
def test_single_keyframes_go_on_after_a_break(
    server: WebServer, noise: bytes, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    monkeypatch.setattr("streams.recorded.ranges.FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr("streams.recorded.remote.FIRST_PAUSE_S", 0.01)
    serve = Counting(noise)
    source = opened(server, serve)
    wanted = [60.0 * number for number in range(60)]
    first = serve.requests + 1
    frames = source.frames_at(wanted)
    got = [next(frames).time_s]
    asked = serve.requests + 1
    if lost == "a part":
        serve.break_at = {asked, asked + 3}
    elif lost == "an address":
        serve.refuse = {asked, asked + 3}
    else:  # as long as parts are asked for, and once when it is opened again
        serve.refuse = set(range(asked, asked + 8))
    got += [frame.time_s for frame in frames]
    assert serve.requests > first
    assert got == wanted


def test_a_server_that_stays_away_ends_the_pass_with_what_there_is(
    server: WebServer,
    noise: bytes,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("streams.recorded.ranges.FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr("streams.recorded.remote.FIRST_PAUSE_S", 0.01)
    serve = Counting(noise)
    source = opened(server, serve)
    frames = source.frames_at([60.0 * number for number in range(60)])
    got = [next(frames).time_s for _ in range(10)]
    serve.refuse = set(range(serve.requests, serve.requests + 10_000))
    asked = serve.requests
    assert list(frames) == []
    assert len(got) == 10
    assert serve.requests < asked + 40
    assert "breaks off, 50 of 60 frames were not fetched" in caplog.text


def test_a_first_look_fetches_little(server: WebServer, tmp_path: Path) -> None:
    serve = Counting(noisy(tmp_path / "noise.mp4"))
    server.paths["/long.mp4"] = serve
    options = live_options(open_timeout_s=5, read_timeout_s=5)
    found = probe(server.url("/long.mp4"), camera="gate", options=options)
    assert found.info.keyframe_interval_s == pytest.approx(5.0)
    assert found.look_bytes is not None
    assert serve.served < len(serve.data) / 10


def test_without_parts_there_are_no_single_keyframes(server: WebServer, clip: bytes) -> None:
    source = opened(server, Counting(clip, ranges=False))
    assert source.moments(1.0) is None
    assert source.look_bytes(1.0) is None


def test_where_no_place_can_be_found_there_are_no_single_keyframes(
    server: WebServer, tmp_path: Path
) -> None:
    """A fragmented MP4 without an index of its fragments: a seek does not end where it should."""
    data = noisy(tmp_path / "noise.mp4", movflags="frag_keyframe+empty_moov+default_base_moof")
    source = opened(server, Counting(data))
    there = source.moments(1.0)
    wanted = [] if there is None else list(there[::60])
    assert len(list(source.frames_at(wanted))) == len(wanted)


# -- the file itself -------------------------------------------------------------------------------


def web_file(server: WebServer, serve: Serve, patience_s: float = 5.0) -> WebFile:
    server.paths["/data"] = serve
    place = Place(Address(server.url("/data")), {})
    return WebFile(
        find=lambda anew: place,
        where="x",
        timeout_s=5.0,
        read_timeout_s=patience_s,
        pause=lambda seconds: False,
    )


def test_any_way_to_read_gives_the_files_bytes(server: WebServer) -> None:
    data = np.random.default_rng(0).bytes(700_000)
    serve = Counting(data)
    parts = Parts(web_file(server, serve))
    assert parts.size == len(data)
    rng = np.random.default_rng(1)
    for _ in range(60):
        at, most = int(rng.integers(len(data))), int(rng.integers(1, 200_000))
        assert parts.seek(at) == parts.tell() == at
        piece = parts.read(most)
        assert piece
        assert data[at : at + len(piece)] == piece
    parts.seek(-10, 2)
    assert parts.read() == data[-10:]
    assert parts.read(5) == b""
    parts.seek(0)
    assert b"".join(iter(lambda: parts.read(100_000), b"")) == data


def test_reading_on_asks_seldom_and_a_jump_asks_for_little(server: WebServer) -> None:
    serve = Counting(bytes(20_000_000))
    parts = Parts(web_file(server, serve))
    while parts.read(32768):
        pass
    assert serve.requests < 15
    assert parts.fetched == 20_000_000
    parts.seek(1_000_000)
    parts.read(100)
    assert parts.fetched == 20_000_000 + FIRST_BYTES


def test_a_server_that_answers_with_another_part_is_not_believed(server: WebServer) -> None:
    with pytest.raises(ValueError, match="not the part"):
        Parts(web_file(server, Counting(bytes(100_000), ranges=False)))


def test_a_file_that_has_changed_is_not_read_on(server: WebServer) -> None:
    serve = Counting(bytes(1_000_000))
    parts = Parts(web_file(server, serve))
    serve.data = bytes(900_000)
    parts.seek(500_000)
    with pytest.raises(BrokenOffError):
        parts.read(10)


def test_a_slow_line_gets_smaller_parts_and_loses_nothing(server: WebServer) -> None:
    """A part that would take longer than its time is used as far as it came."""
    data = np.random.default_rng(0).bytes(300_000)
    serve = Counting(data)
    pieces: list[int] = []

    def slowly(handler: Handler) -> None:
        whole = handler.wfile.write

        def write(piece: bytes) -> int:
            pieces.append(len(piece))
            time.sleep(0.02)
            return whole(piece)

        handler.wfile.write = write  # type: ignore[method-assign, assignment]
        serve(handler)

    parts = Parts(web_file(server, slowly, patience_s=0.05))
    assert b"".join(iter(lambda: parts.read(100_000), b"")) == data
    assert serve.requests > 300_000 / FIRST_BYTES


# -- finished playlists ----------------------------------------------------------------------------


def test_of_a_finished_playlist_only_the_segments_of_wanted_frames_are_fetched(
    server: WebServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    names, hits = write_hls(tmp_path / "hls", seconds=60), list[str]()

    def segment(name: str) -> Serve:
        data = (tmp_path / "hls" / name).read_bytes()

        def serve(handler: Handler) -> None:
            hits.append(name)
            handler.answer("video/mp2t", data)

        return serve

    for name in names:
        server.paths[f"/{name}"] = segment(name)
    text = (tmp_path / "hls" / "recorded.m3u8").read_bytes()
    server.paths["/r.m3u8"] = fixed("application/vnd.apple.mpegurl", text)
    options = live_options(open_timeout_s=5, read_timeout_s=5)
    source = open_source(server.url("/r.m3u8"), camera="gate", recorded=options)
    oracle = Sampler(15.3)
    expected = [frame for frame in source.frames() if oracle.wants(frame.time_s)]
    all_segments = source.to_fetch(1.0)
    some = source.to_fetch(15.3)
    assert all_segments is not None
    assert some is not None
    assert some < all_segments / 5
    hits.clear()
    got = list(source.frames(Sampler(15.3)))
    assert all(map(same, got, expected))
    assert len(got) == len(expected) == 4
    assert len(set(hits)) < 15
    hits.clear()
    moments = [3.2, 21.7, 40.1, 58.9]
    got = list(source.frames_at(moments))
    assert [at_s - frame.time_s for at_s, frame in zip(moments, got, strict=True)] == (
        pytest.approx([0.2, 0.2, 0.1, 0.4], abs=1e-3)
    )
    assert len(set(hits)) <= 3 * len(moments)
    assert all(same(frame, frame_of(source, frame.time_s)) for frame in got)
    assert "ends early" not in caplog.text


def frame_of(source: FrameSource, time_s: float) -> Frame:
    return next(frame for frame in source if abs(frame.time_s - time_s) < 1e-6)
