"""Cameras and recordings on the web: MJPEG, snapshots, HLS, plain video and yt-dlp's pages."""

from __future__ import annotations

import dataclasses
import socket
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from benchmarks.testbed.live import LOGIN, QUICK, free_port, open_live
from benchmarks.testbed.servers import web
from benchmarks.testbed.servers.clips import jpeg, moving_picture, write_hls
from benchmarks.testbed.servers.web import CANARY, LivePlaylist, Serve, WebServer, fixed
from streams import site
from streams.address import Address
from streams.base import ConnectionFailedError, Frame, SourceUnreadableError
from streams.live.health import State
from streams.open import open_source
from streams.recorded import remote
from streams.recorded.remote import RemoteVideo
from streams.sampler import Sampler
from tests.integration.live import all_said, refused, take, wait_for, wait_until
from tests.unit.clips import constant_rate, read_number, write_clip

pytestmark = pytest.mark.usefixtures("no_canary")

FFMPEG_READS_ON_BYTES = 256 * 1024
"""A jump by less than this is read through, which needs no Range."""

PICTURES = [jpeg(moving_picture(number)) for number in range(8)]
LARGE = [jpeg(moving_picture(number, width_px=480, height_px=272)) for number in range(8)]


@pytest.fixture
def server() -> Iterator[WebServer]:
    server = WebServer()
    yield server
    server.stopped.clear()
    server.kill()


@pytest.fixture(scope="module")
def hls(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    folder = tmp_path_factory.mktemp("hls") / "segments"
    return folder, write_hls(folder, seconds=24)


def serve_segments(server: WebServer, hls: tuple[Path, list[str]]) -> None:
    folder, names = hls
    for name in names:
        server.paths[f"/{name}"] = fixed("video/mp2t", (folder / name).read_bytes())


# -- MJPEG and snapshots ---------------------------------------------------------------------------


@pytest.mark.parametrize("with_length", [True, False])
@pytest.mark.parametrize("lock", [web.basic, web.digest])
def test_mjpeg_behind_a_password(
    server: WebServer, lock: Callable[[Serve], Serve], with_length: bool
) -> None:
    server.paths["/video"] = lock(web.mjpeg(PICTURES, with_length=with_length))
    threads = threading.active_count()
    with open_live(server.url("/video", login=LOGIN)) as source:
        frames = take(source.frames(), 6)
        assert source.info.kind == "mjpeg"
        assert source.counts.damaged == 0
        assert CANARY not in repr(vars(source))
    assert {frame.image.shape for frame in frames} == {(192, 320, 3)}
    assert all(a.time_s < b.time_s for a, b in pairwise(frames))
    wait_until(lambda: threading.active_count() <= threads, within_s=2.0)


def test_snapshots_are_asked_for_as_often_as_the_sampler_wants(server: WebServer) -> None:
    in_turn, late_s = web.pictures_in_turn(PICTURES), [0.08]

    def unsteady(handler: web.Handler) -> None:
        time.sleep(late_s[0])
        late_s.append(late_s.pop(0))
        in_turn(handler)

    server.paths["/now.jpg"] = web.digest(unsteady)
    options = dataclasses.replace(QUICK, poll_s=0.02)
    with open_live(server.url("/now.jpg", login=LOGIN), options) as source:
        frames = source.frames(Sampler(0.4))
        next(frames)
        late_s.append(0.0)  # from now on every other one comes earlier than the first did
        before = source.counts.pictures
        got = take(frames, 5)
        assert source.counts.pictures - before <= 7  # and not every other one just too early
        assert source.info.kind == "snapshot"
    assert not np.array_equal(got[1].image, got[2].image)


@pytest.mark.parametrize(
    ("serve", "reason"),
    [
        (web.basic(web.mjpeg(PICTURES)), "wrong password"),
        (web.digest(fixed("image/jpeg", PICTURES[0])), "wrong password"),
        (fixed("text/plain", b"go away", status=403), "forbidden"),
        (None, "not found"),
        (fixed("text/plain", b"sorry", status=500), "server error"),
        (fixed("image/jpeg", b"no picture at all"), "not a video"),
        (fixed("application/x-mpegurl", b"#EXTM3U\nnothing"), "not a video"),
    ],
)
def test_an_error_says_why_and_no_more(server: WebServer, serve: Serve | None, reason: str) -> None:
    if serve is not None:
        server.paths["/video"] = serve
    error = refused(server.url("/video?token=" + CANARY, login=f"viewer:not-{CANARY}"))
    assert isinstance(error, ConnectionFailedError)
    assert error.reason == reason
    assert "camera 'gate': http://***@127.0.0.1" in str(error)
    assert CANARY not in all_said(error)
    assert error.__context__ is None


@pytest.mark.parametrize("url", ["http", "rtsp"])
def test_nobody_there_is_refused(url: str) -> None:
    error = refused(f"{url}://{LOGIN}@127.0.0.1:{free_port()}/cam")
    assert isinstance(error, ConnectionFailedError)
    assert error.reason == "refused"
    assert CANARY not in all_said(error)


@pytest.mark.parametrize("scheme", ["http", "rtsp"])
def test_a_server_that_never_answers_times_out(scheme: str) -> None:
    options = dataclasses.replace(QUICK, open_timeout_s=0.5, read_timeout_s=0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        error = refused(f"{scheme}://{LOGIN}@127.0.0.1:{silent.getsockname()[1]}/cam", options)
    assert isinstance(error, ConnectionFailedError)
    assert error.reason == "timed out"
    assert CANARY not in all_said(error)


def test_without_must_answer_a_camera_is_waited_for() -> None:
    port = free_port()
    options = dataclasses.replace(QUICK, must_answer=False)
    with open_live(f"http://127.0.0.1:{port}/video", options) as source:
        wait_for(source, State.LOST, within_s=2.0)
        assert source.info.width_px == 0
        late = WebServer(port)
        late.paths["/video"] = web.mjpeg(PICTURES)
        assert next(source.frames()).image.shape == (192, 320, 3)
        late.kill()


# -- the fault table, for web cameras --------------------------------------------------------------


def test_a_killed_server_is_lost_and_found_again_with_another_size(
    server: WebServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.paths["/video"] = web.mjpeg(PICTURES)
    with open_live(server.url("/video", login=LOGIN)) as source:
        frames = source.frames()
        take(frames, 3)
        server.kill()
        wait_for(source, State.LOST, within_s=1.0)
        wait_until(lambda: source.counts.tries > 4, within_s=5.0)
        again = WebServer(server.port)
        again.paths["/video"] = web.mjpeg(LARGE)
        shapes = [frame.image.shape for frame in take(frames, 3 + QUICK.queue_frames)]
        assert shapes[-1] == (272, 480, 3)
        again.kill()
    states = [r for r in caplog.records if r.name == "streams.live.health"]
    assert len([r for r in states if ": lost (" in r.getMessage()]) <= 2  # not one a try


def test_a_stopped_server_is_stalled_then_lost_then_live(server: WebServer) -> None:
    server.paths["/video"] = web.mjpeg(PICTURES)
    with open_live(server.url("/video")) as source:
        frames = source.frames()
        take(frames, 3)
        server.stopped.set()
        wait_for(source, State.STALLED, within_s=2.0)
        # The time-out of MJPEG is the longer of the two.
        wait_for(source, State.LOST, within_s=9.0)
        assert source.health.reason == "timed out"
        server.stopped.clear()
        wait_for(source, State.LIVE, within_s=4.0)
        take(frames, 2)


def test_garbage_is_counted_and_given_up_until_pictures_come(server: WebServer) -> None:
    pictures = list(PICTURES)
    server.paths["/video"] = web.mjpeg(pictures)
    with open_live(server.url("/video")) as source:
        frames = source.frames()
        take(frames, 2)
        pictures[:] = [b"\xff\xd8\xff\xe0 garbage " * 50]
        wait_until(lambda: source.counts.damaged > 3, within_s=4.0)
        wait_for(source, State.STALLED, within_s=2.0)  # garbage is no sign of life
        wait_until(lambda: source.health.reason == "not a video", within_s=4.0)
        assert source.health.state is State.LOST
        pictures[:] = PICTURES
        wait_for(source, State.LIVE, within_s=3.0)
        take(frames, 2)


@pytest.mark.parametrize(
    ("picture", "state"),
    [(moving_picture(0), State.FROZEN), (np.zeros((192, 320, 3), np.uint8), State.DARK)],
)
def test_a_frozen_and_a_dark_picture_are_told(
    server: WebServer, picture: np.ndarray, state: State
) -> None:
    server.paths["/video"] = web.mjpeg([jpeg(picture)])
    limits = dataclasses.replace(QUICK.health, stalled_s=2.0, look_s=0.05, frozen_s=0.6, dark_s=0.4)
    with open_live(server.url("/video"), dataclasses.replace(QUICK, health=limits)) as source:
        wait_for(source, state, within_s=3.0)


# -- HLS -------------------------------------------------------------------------------------------


def test_a_live_playlist_goes_stale_and_comes_back(
    server: WebServer, hls: tuple[Path, list[str]], caplog: pytest.LogCaptureFixture
) -> None:
    serve_segments(server, hls)
    playlist = LivePlaylist(hls[1])
    server.paths["/live.m3u8"] = web.basic(playlist)
    for name in hls[1]:
        server.paths[f"/{name}"] = web.basic(server.paths[f"/{name}"])
    with open_live(server.url("/live.m3u8", login=LOGIN)) as source:
        frames = source.frames(Sampler(0.5))
        got = take(frames, 6)
        assert source.info.kind == "hls"
        assert got[5].time_s - got[2].time_s < 2.3  # a segment's frames are not one moment
        assert ": stalled" not in caplog.text  # between two segments there is silence
        playlist.stale_at = playlist.newest
        wait_for(source, State.STALLED, within_s=9.0)
        wait_for(source, State.LOST, within_s=9.0)
        pictures = source.counts.pictures
        wait_until(lambda: source.counts.tries > 2, within_s=9.0)
        assert source.counts.pictures == pictures  # the last segments are not shown again
        playlist.stale_at = None
        wait_for(source, State.LIVE, within_s=6.0)
        take(frames, 2)


def test_truncated_segments_cost_frames_not_the_camera(
    server: WebServer, hls: tuple[Path, list[str]]
) -> None:
    serve_segments(server, hls)
    folder, names = hls
    for name in names[4:6]:
        whole = (folder / name).read_bytes()
        server.paths[f"/{name}"] = fixed("video/mp2t", whole[: len(whole) // 3])
    server.paths["/live.m3u8"] = LivePlaylist(names)
    with open_live(server.url("/live.m3u8")) as source:
        frames = source.frames(Sampler(0.5))
        last = take(frames, 9)[-1]
        assert last.time_s > 3.0
        assert source.health.state is State.LIVE


def test_a_recorded_playlist_is_a_recording_whole_and_in_order(
    server: WebServer, hls: tuple[Path, list[str]]
) -> None:
    serve_segments(server, hls)
    text = (hls[0] / "recorded.m3u8").read_bytes()
    server.paths["/recorded.m3u8"] = fixed("application/vnd.apple.mpegurl", text)
    lines = ["#EXTM3U", "#EXT-X-STREAM-INF:BANDWIDTH=9,RESOLUTION=1920x1080", "absent.m3u8"]
    lines += ["#EXT-X-STREAM-INF:BANDWIDTH=8,RESOLUTION=320x192", "recorded.m3u8", ""]
    server.paths["/master.m3u8"] = fixed("application/x-mpegurl", "\n".join(lines).encode())
    with open_source(server.url("/master.m3u8"), camera="gate", live=QUICK) as source:
        assert isinstance(source, RemoteVideo)
        times_s = [frame.time_s for frame in source.frames(Sampler(1.0))]
    assert times_s == pytest.approx(list(range(24)), abs=0.01)


# -- video by HTTP ---------------------------------------------------------------------------------


def numbers(frames: Iterator[Frame]) -> list[int]:
    return [read_number(frame.image) for frame in frames]


@pytest.mark.parametrize("ranges", [True, False])
def test_a_video_file_is_read_whole_with_and_without_range(
    server: WebServer, tmp_path: Path, ranges: bool
) -> None:
    clip = write_clip(tmp_path / "c.mp4", constant_rate(75), options={"movflags": "+faststart"})
    server.paths["/c.mp4"] = web.basic(web.video(clip, ranges=ranges))
    with open_source(server.url("/c.mp4", login=LOGIN), camera="gate", live=QUICK) as source:
        assert source.info.location == f"http://***@127.0.0.1:{server.port}/c.mp4"
        assert numbers(source.frames()) == list(range(75))


def test_an_index_at_the_end_needs_range(server: WebServer, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "c.mp4", constant_rate(75))
    data = clip.read_bytes()
    index_at = data.index(b"moov") - 4
    filler = (2 * FFMPEG_READS_ON_BYTES).to_bytes(4, "big") + b"free"
    filler += bytes(2 * FFMPEG_READS_ON_BYTES - 8)
    clip.write_bytes(data[:index_at] + filler + data[index_at:])
    server.paths["/c.mp4"] = web.video(clip, ranges=True)
    with open_source(server.url("/c.mp4"), camera="gate", live=QUICK) as source:
        assert numbers(source.frames()) == list(range(75))
    server.paths["/c.mp4"] = web.video(clip, ranges=False)
    with pytest.raises(SourceUnreadableError, match="index at its end on a server that cannot"):
        open_source(server.url("/c.mp4"), camera="gate", live=QUICK)


def test_a_download_that_breaks_off_is_taken_up_again(
    server: WebServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "FIRST_PAUSE_S", 0.05)
    clip = write_clip(tmp_path / "c.ts", constant_rate(75))
    whole = clip.read_bytes()
    opened = iter(range(100))

    def serve(handler: web.Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "video/mp2t")
        handler.send_header("Content-Length", str(len(whole)))
        handler.end_headers()
        broken = next(opened) == 2  # the first two are the look and the probe
        handler.wfile.write(whole[: len(whole) // 2] if broken else whole)
        handler.close_connection = True

    server.paths["/c.ts"] = serve
    with open_source(server.url("/c.ts"), camera="gate", live=QUICK) as source:
        monkeypatch.setattr(remote, "is_short", lambda tally, _: tally.decoded < 75)
        assert numbers(source.frames()) == list(range(75))


def test_video_without_a_length_is_live_and_survives_a_stop(
    server: WebServer, hls: tuple[Path, list[str]]
) -> None:
    folder, names = hls
    segments = [(folder / name).read_bytes() for name in names]

    def stream(handler: web.Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "video/mp2t")
        handler.end_headers()
        for piece in segments:
            for start in range(0, len(piece), 1880):
                while handler.server.stopped.is_set():
                    time.sleep(0.02)
                handler.wfile.write(piece[start : start + 1880])
                time.sleep(1880 / len(piece))

    server.paths["/live.ts"] = stream
    with open_live(server.url("/live.ts", login=LOGIN)) as source:
        frames = source.frames()
        take(frames, 3)
        assert source.info.kind == "web video"
        server.stopped.set()
        wait_for(source, State.LOST, within_s=3 * QUICK.read_timeout_s)
        server.stopped.clear()
        wait_for(source, State.LIVE, within_s=8.0)


# -- pages -----------------------------------------------------------------------------------------


def test_a_page_is_resolved_by_yt_dlp_and_again_before_its_address_expires(
    server: WebServer,
    hls: tuple[Path, list[str]],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    serve_segments(server, hls)
    server.paths["/live.m3u8"] = LivePlaylist(hls[1])
    resolved: list[str] = []
    real = site._read_info

    def noted(info: dict[str, str], page: Address, where: str) -> site.Resolved:
        found = real(info, page, where)
        resolved.append(found.address.secret)
        return dataclasses.replace(found, expires_at_s=time.monotonic() + 1.5)

    monkeypatch.setattr(site, "_read_info", noted)
    html = f'<html><video src="{server.url("/live.m3u8")}"></video></html>'.encode()
    server.paths["/page"] = fixed("text/html", html)
    with open_live(server.url("/page")) as source:
        for frame in source.frames(Sampler(0.5)):
            if len(resolved) >= 3 or frame.time_s > 18:
                break
    assert len(resolved) >= 3  # one to look, one each to connect
    assert [r for r in caplog.records if ": lost" in r.getMessage()] == []


def test_a_page_with_a_recording_and_one_without(server: WebServer, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "c.mp4", constant_rate(50), options={"movflags": "+faststart"})
    server.paths["/c.mp4"] = web.video(clip, ranges=True)
    server.paths["/page"] = fixed(
        "text/html", f'<video src="{server.url("/c.mp4")}"></video>'.encode()
    )
    with open_source(server.url("/page"), camera="gate", live=QUICK) as source:
        assert source.info.kind == "site recording"
        assert numbers(source.frames()) == list(range(50))
    server.paths["/empty"] = fixed("text/html", b"<html>nothing to see</html>")
    for url in (server.url(f"/empty?token={CANARY}"), server.url("/empty", login=LOGIN)):
        error = refused(url)
        assert isinstance(error, ConnectionFailedError)
        assert error.reason == "no stream on this page"
        assert "yt-dlp says: " in str(error)
        assert CANARY not in all_said(error)
