"""Video files: the right frames, checked by picture content, and every way a file can be bad."""

from __future__ import annotations

import logging
import os
import socket
import struct
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from streams.base import SourceNotFoundError, SourceUnreadableError, StreamError
from streams.recorded import recording
from streams.recorded.file import VideoFile
from streams.sampler import Sampler
from tests.unit.clips import (
    HEIGHT_PX,
    WIDTH_PX,
    constant_rate,
    numbered_image,
    read_number,
    write_clip,
)

VARIABLE_MS = [0, 40, 400, 1010, 1050, 1980, 2000, 2600, 5300, 5340, 5990, 6400, 7000]
FIRST_OF_EACH_SECOND = [(0, 0.0), (3, 1.01), (6, 2.0), (8, 5.3), (11, 6.4), (12, 7.0)]
FAST_START = {"movflags": "faststart"}


def sampled(path: Path, interval_s: float = 1.0) -> list[tuple[int, float]]:
    with VideoFile(path, camera="gate") as source:
        return [
            (read_number(f.image), round(f.time_s, 3)) for f in source.frames(Sampler(interval_s))
        ]


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_every_frame_comes_out_in_order_and_none_twice(tmp_path: Path, suffix: str) -> None:
    path = write_clip(tmp_path / f"clip.{suffix}", constant_rate(80))
    got = [(read_number(f.image), round(f.time_s, 3)) for f in VideoFile(path, camera="gate")]
    assert got == [(n, round(n / 25, 3)) for n in range(80)]


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_one_frame_a_second_is_the_right_frame(tmp_path: Path, suffix: str) -> None:
    path = write_clip(tmp_path / f"clip.{suffix}", constant_rate(130))
    assert sampled(path) == [(n * 25, float(n)) for n in range(6)]


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_a_variable_rate_gives_the_first_frame_of_each_second(tmp_path: Path, suffix: str) -> None:
    path = write_clip(tmp_path / f"clip.{suffix}", VARIABLE_MS)
    assert sampled(path) == FIRST_OF_EACH_SECOND


def test_a_transport_stream_starts_at_zero_whatever_its_offset(tmp_path: Path) -> None:
    path = write_clip(
        tmp_path / "clip.ts", constant_rate(60), options={"output_ts_offset": "80000"}
    )
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.start_time is not None
        assert stream.time_base is not None
        assert float(stream.start_time * stream.time_base) > 79_000
    assert sampled(path) == [(0, 0.0), (25, 1.0), (50, 2.0)]


def test_two_recordings_in_one_transport_stream_are_one_axis(tmp_path: Path) -> None:
    one = write_clip(tmp_path / "one.ts", constant_rate(60))
    both = tmp_path / "both.ts"
    both.write_bytes(one.read_bytes() * 2)
    frames = list(VideoFile(both, camera="gate"))
    assert len(frames) > 100
    times_s = [f.time_s for f in frames]
    assert all(a < b for a, b in pairwise(times_s))
    assert 4.0 < times_s[-1] < 5.0


@pytest.mark.parametrize("order", [(0, 0, 0), (0, 1), (1, 0)])
def test_joined_recordings_are_as_long_as_their_parts(tmp_path: Path, order: list[int]) -> None:
    """The header's length is one part's, or a day: and by the length a night tells what is the
    end of the recording, which only measures."""
    parts = [
        write_clip(tmp_path / "one.ts", constant_rate(60)).read_bytes(),
        write_clip(tmp_path / "two.ts", [9000 + t for t in constant_rate(60)]).read_bytes(),
    ]
    path = tmp_path / "joined.ts"
    path.write_bytes(b"".join(parts[n] for n in order))
    source = VideoFile(path, camera="gate")
    frames = list(source)
    assert len(frames) == 60 * len(order)
    assert source.info.duration_s == pytest.approx(frames[-1].time_s + 0.04, abs=0.1)
    written_at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    assert frames[-1].wall_time < written_at


def test_a_stream_without_a_header_is_measured(tmp_path: Path) -> None:
    source = VideoFile(write_clip(tmp_path / "raw.h264", constant_rate(60)), camera="gate")
    assert source.info.duration_s == pytest.approx(2.4, abs=0.1)


def test_only_wanted_frames_are_converted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = VideoFile(write_clip(tmp_path / "clip.mp4", constant_rate(75)), camera="gate")
    count, convert = 0, recording._rgb

    def counted(shown: recording.Shown, most_pixels: int) -> NDArray[np.uint8]:
        nonlocal count
        count += 1
        return convert(shown, most_pixels)

    monkeypatch.setattr(recording, "_rgb", counted)
    assert len(list(source.frames(Sampler(1.0)))) == count == 3


def test_colours_are_rgb(tmp_path: Path) -> None:
    frame = next(iter(VideoFile(write_clip(tmp_path / "clip.mp4", [0, 40]), camera="gate")))
    below_the_strip = frame.image[HEIGHT_PX // 2 + 8 :].reshape(-1, 3).mean(axis=0)
    assert below_the_strip == pytest.approx([200, 60, 30], abs=12)


def test_a_clip_recorded_on_its_side_is_turned_upright(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", constant_rate(5))
    data = path.read_bytes()
    upright = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    clockwise = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30)
    at = data.index(upright, data.index(b"tkhd"))
    path.write_bytes(data[:at] + clockwise + data[at + len(upright) :])
    source = VideoFile(path, camera="gate")
    assert (source.info.width_px, source.info.height_px) == (HEIGHT_PX, WIDTH_PX)
    numbers = [read_number(np.rot90(f.image, 1)) for f in source]
    assert numbers == list(range(5))


def test_the_start_comes_from_the_container(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "c.mp4", [0, 40], creation_time="2024-03-01T05:06:07.5+02:00")
    expected = datetime(2024, 3, 1, 3, 6, 7, 500_000, UTC)
    started_at = VideoFile(path, camera="gate").info.started_at
    assert abs(started_at - expected) < timedelta(seconds=1)


@pytest.mark.parametrize("creation_time", [None, "1970-01-01T00:00:00Z", "1904-01-01T00:00:00Z"])
def test_without_a_believable_creation_time_the_start_is_the_file_time_less_the_duration(
    tmp_path: Path, creation_time: str | None
) -> None:
    path = write_clip(tmp_path / "c.mkv", constant_rate(50), creation_time=creation_time)
    os.utime(path, (1_700_000_000, 1_700_000_000))
    started_at = VideoFile(path, camera="gate").info.started_at
    assert started_at == datetime.fromtimestamp(1_700_000_000 - 2, UTC)


def test_a_given_start_wins_and_is_turned_into_utc(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "c.mp4", [0, 40], creation_time="2024-03-01T05:06:07Z")
    given = datetime(2026, 1, 5, 7, 0, tzinfo=timezone(timedelta(hours=9)))
    source = VideoFile(path, camera="gate", started_at=given)
    assert source.info.started_at == given
    assert source.info.started_at.tzinfo is UTC
    with pytest.raises(ValueError, match=r"camera 'gate': started_at .* has no time zone"):
        VideoFile(path, camera="gate", started_at=datetime(2026, 1, 5))  # noqa: DTZ001


def test_a_closed_file_says_so_and_running_passes_end(tmp_path: Path) -> None:
    source = VideoFile(write_clip(tmp_path / "c.mp4", constant_rate(30)), camera="gate")
    running = source.frames()
    next(running)
    source.close()
    assert list(running) == []
    with pytest.raises(StreamError, match=r"camera 'gate': .*c\.mp4: it was closed"):
        source.frames()


def test_a_file_name_is_never_taken_for_a_protocol(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_clip(tmp_path / "c.mp4", constant_rate(5)).rename(tmp_path / "http:clip.mp4")
    assert len(list(VideoFile("http:clip.mp4", camera="gate"))) == 5


def test_a_size_change_half_way_shows_in_the_frames(tmp_path: Path) -> None:
    path = tmp_path / "clip.mjpeg"
    with path.open("wb") as out:
        for number, scale in ((0, 1), (1, 2)):
            part = tmp_path / f"{number}.mjpeg"
            with av.open(str(part), "w", format="mjpeg") as container:
                stream = container.add_stream("mjpeg", rate=25)
                stream.width, stream.height = WIDTH_PX * scale, HEIGHT_PX * scale
                stream.pix_fmt = "yuvj420p"
                image = np.kron(numbered_image(number), np.ones((scale, scale, 1), np.uint8))
                container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
                container.mux(stream.encode(None))
            out.write(part.read_bytes())
    shapes = [f.image.shape for f in VideoFile(path, camera="gate")]
    assert shapes == [(HEIGHT_PX, WIDTH_PX, 3), (2 * HEIGHT_PX, 2 * WIDTH_PX, 3)]


def write_bad(kind: str, folder: Path) -> Path:
    """A file with something wrong with it, so that not one frame can be had."""
    path = folder / "bad.mp4"
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "garbage":
        path.write_bytes(np.random.default_rng(0).bytes(50_000))
    elif kind == "text named mp4":
        path.write_text("not a video\n" * 200)
    elif kind == "index cut off":
        data = write_clip(path, constant_rate(50)).read_bytes()
        path.write_bytes(data[: len(data) * 6 // 10])
    elif kind == "no frames after the index":
        data = write_clip(path, constant_rate(50), options=FAST_START).read_bytes()
        path.write_bytes(data[: data.index(b"mdat") + 4])
    elif kind == "frames overwritten":
        data = write_clip(path, constant_rate(50), options=FAST_START).read_bytes()
        at = data.index(b"mdat") + 4
        path.write_bytes(data[:at] + bytes(len(data) - at))
    elif kind == "text":
        path = folder / "notes.txt"
        path.write_text("FFmpeg would render this as scrolling text\n" * 200)
    elif kind == "sound":
        path = folder / "sound.wav"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("pcm_s16le", rate=8000)
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), layout="mono")
            silence.sample_rate = 8000
            container.mux(stream.encode(silence))
    elif kind == "sound with a cover picture":
        path = folder / "song.mp4"
        write_song(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    return path


def write_song(path: Path) -> None:
    with av.open(str(path), "w") as container:
        sound, cover = container.add_stream("aac", rate=8000), container.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = WIDTH_PX, HEIGHT_PX, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        container.mux(cover.encode(av.VideoFrame.from_ndarray(numbered_image(0), format="rgb24")))
        container.mux(cover.encode(None))
        silence = av.AudioFrame.from_ndarray(
            np.zeros((1, 8000), np.float32), format="fltp", layout="mono"
        )
        silence.sample_rate = 8000
        container.mux(sound.encode(silence))
        container.mux(sound.encode(None))


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("empty", "not a video that can be opened"),
        ("garbage", "not a video that can be opened"),
        ("text named mp4", "not a video that can be opened"),
        ("index cut off", "not a video that can be opened .*copy it again"),
        ("no frames after the index", "not one frame can be decoded.*copy it again"),
        ("frames overwritten", "not one frame can be decoded"),
        ("text", "no video in it .*tty.*give a file with a video track"),
        ("sound", "no video in it .*wav.*give a file with a video track"),
        ("sound with a cover picture", "no video in it .*give a file with a video track"),
        ("folder", "a folder, not a video file"),
        ("pipe", "a device or pipe, not a regular file"),
    ],
)
def test_a_bad_file_is_refused_at_once_in_one_line(tmp_path: Path, kind: str, said: str) -> None:
    path = write_bad(kind, tmp_path)
    with pytest.raises(SourceUnreadableError, match=said) as caught:
        VideoFile(path, camera="gate")
    message = str(caught.value)
    assert message.startswith(f"camera 'gate': {path}: ")
    assert "\n" not in message
    assert "Errno" not in message


def test_a_playlist_lying_there_fetches_nothing_from_the_network(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        url = f"http://127.0.0.1:{server.getsockname()[1]}/a.ts"
        path = tmp_path / "list.m3u8"
        path.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{url}\n#EXT-X-ENDLIST\n")
        with pytest.raises(SourceUnreadableError, match="camera 'gate'"):
            VideoFile(path, camera="gate")
        with pytest.raises(TimeoutError):
            server.accept()


@pytest.mark.parametrize("name", ["absent.mp4", "file.mp4/inside.mp4", "a\0b.mp4"])
def test_a_missing_file_is_not_found(tmp_path: Path, name: str) -> None:
    (tmp_path / "file.mp4").touch()
    with pytest.raises(SourceNotFoundError, match=r"camera 'gate': .*: no such file; check the"):
        VideoFile(tmp_path / name, camera="gate")


def test_a_name_the_system_refuses_is_unreadable(tmp_path: Path) -> None:
    with pytest.raises(SourceUnreadableError, match=r"cannot be looked at .*check its permissions"):
        VideoFile(tmp_path / ("x" * 5000), camera="gate")


def test_a_file_one_may_not_read_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Tests often run as root, who may read everything: refuse at the decoder's door instead.
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(av, "open", refuse)
    (tmp_path / "c.mp4").touch()
    with pytest.raises(SourceUnreadableError, match="permission denied; make the file readable"):
        VideoFile(tmp_path / "c.mp4", camera="gate")


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_a_file_that_breaks_off_yields_what_is_there_and_says_how_far(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, suffix: str
) -> None:
    options = FAST_START if suffix == "mp4" else {}
    path = write_clip(tmp_path / f"clip.{suffix}", constant_rate(150), options=options)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])
    with caplog.at_level(logging.WARNING):
        numbers = [read_number(f.image) for f in VideoFile(path, camera="gate")]
    assert 50 < len(numbers) < 120
    # At the cut itself a B-frame may be gone while the frame after it is there.
    assert numbers[:-1] == list(range(len(numbers) - 1))
    ends = [r.getMessage() for r in caplog.records if "ends early" in r.getMessage()]
    reached_s = (numbers[-1] + 1) / 25
    assert ends
    assert f"camera 'gate': {path}: ends early, at {reached_s:.1f} s of 6.0 s" in ends[0]


def test_a_whole_file_warns_of_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for suffix in ("mp4", "mkv", "ts"):
        source = VideoFile(write_clip(tmp_path / f"c.{suffix}", VARIABLE_MS), camera="gate")
        assert len(list(source)) == len(VARIABLE_MS)
        assert source.left_out == {}
    assert caplog.records == []


def test_corrupt_packets_are_skipped_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_clip(tmp_path / "c.mp4", constant_rate(100), options=FAST_START)
    with av.open(str(path)) as container:
        packets = [p for p in container.demux(video=0) if p.pos is not None and p.size]
    data = bytearray(path.read_bytes())
    for packet in packets[40:42]:
        assert packet.pos is not None
        data[packet.pos : packet.pos + packet.size] = b"\xff" * packet.size
    path.write_bytes(data)
    source = VideoFile(path, camera="gate")
    with caplog.at_level(logging.WARNING):
        times_s = [f.time_s for f in source]
    assert source.left_out == {"damaged": 2, "built on a damaged one": 100 - 2 - len(times_s)}
    assert 80 <= len(times_s) <= 95  # until the next keyframe
    assert times_s[-1] == pytest.approx(99 / 25)
    assert f"{path}: {100 - len(times_s)} of 100 pictures left out: " in caplog.text


def test_a_damaged_frame_is_left_out_and_what_is_built_on_it(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "c.ts", constant_rate(100))
    with av.open(str(path)) as container:
        keys = [p.pos for p in container.demux(video=0) if p.is_keyframe and p.size]
    assert keys[2] is not None
    lost = keys[2] + 188  # one transport packet from the middle of frame 50
    data = path.read_bytes()
    path.write_bytes(data[:lost] + data[lost + 188 :])
    source = VideoFile(path, camera="gate")
    assert [round(f.time_s * 25) for f in source] == [*range(50), *range(75, 100)]
    assert source.left_out == {"damaged": 1, "built on a damaged one": 24}


@pytest.mark.parametrize(
    ("name", "count"), [("pets09_s2l1_vtest_480x360.mp4", 80), ("tud_campus_640x480.mp4", 3)]
)
def test_real_footage_gives_one_frame_a_second(shared_data: Path, name: str, count: int) -> None:
    # PETS: 795 frames, 10 fps by its header, 79.5 s. TUD: 71 frames at 25 fps, 2.84 s.
    with VideoFile(shared_data / "videos" / name, camera="gate") as source:
        times_s = [f.time_s for f in source.frames(Sampler(1.0))]
    assert times_s == pytest.approx(list(range(count)), abs=0.05)
