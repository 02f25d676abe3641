"""What a video means beside its pixels: which way is up, how wide a pixel is, two moments in one
picture, several streams, several sizes, times that start anew, and where a playlist leads."""

from __future__ import annotations

import logging
import os
import struct
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.testbed.servers.web import WebServer, fixed, video
from streams.base import FrameSource, SourceUnreadableError
from streams.decoding import Soundness, upright, without_combs
from streams.one_size import OneSize
from streams.open import open_source
from streams.recorded.file import VideoFile
from streams.recorded.header import parse_creation_time
from streams.sampler import Sampler
from tests.unit.clips import (
    HEIGHT_PX,
    WIDTH_PX,
    constant_rate,
    numbered_image,
    read_number,
    write_clip,
)
from tests.unit.plans import live_options
from tests.unit.test_streams_pictures import card, corners

Image = NDArray[np.uint8]


def write_video(
    path: Path,
    images: Sequence[Image],
    *,
    aspect: Fraction | None = None,
    options: dict[str, str] | None = None,
    first_pts: int = 0,
) -> Path:
    """Ten a second, each a keyframe."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "10", "g": "1", **(options or {})}
        if aspect is not None:
            stream.sample_aspect_ratio = aspect
        for number, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = first_pts + number, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


# -- which way is up -------------------------------------------------------------------------------

MATRICES = {
    (1, 0, 0, 1): "rgbw",
    (-1, 0, 0, 1): "grwb",  # mirrored
    (-1, 0, 0, -1): "wbgr",  # upside down
    (1, 0, 0, -1): "bwrg",
    (0, 1, 1, 0): "rbgw",  # along its diagonal
    (0, 1, -1, 0): "brwg",  # a quarter clockwise
    (0, -1, -1, 0): "wgbr",
    (0, -1, 1, 0): "gwrb",
    (0, 0, 0, 0): "rgbw",  # says nothing
}
"""a b c d of the display matrix: what FFmpeg then shows, row by row."""


@pytest.mark.parametrize("matrix", MATRICES)
def test_all_eight_orientations_of_the_display_matrix(
    tmp_path: Path, matrix: tuple[int, int, int, int]
) -> None:
    """The fault `mirrored`: a mirrored matrix was read as a turn."""
    path = write_video(tmp_path / "card.mp4", [card()] * 3)
    a, b, c, d = (v << 16 for v in matrix)
    data = bytearray(path.read_bytes())
    place = data.index(b"tkhd") + 8 + 20 + 16
    struct.pack_into(">9i", data, place, a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    source = VideoFile(path, camera="gate")
    assert {corners(f.image) for f in source} == {MATRICES[matrix]}
    shown = (60, 40) if matrix[0] else (40, 60)
    if any(matrix):
        assert (source.info.width_px, source.info.height_px) == shown


def test_an_orientation_that_changes_inside_a_stream_is_followed() -> None:
    """A phone turned while it films says so frame by frame."""
    seen = [corners(upright(card(), m)) for m in ((1, 0, 0, 1), (0, 1, -1, 0), None, (9, 0, 0, -9))]
    assert seen == ["rgbw", "brwg", "rgbw", "bwrg"]


# -- pixels and halves -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("aspect", "size"),
    [
        (Fraction(4, 3), (80, 40)),
        (Fraction(3, 4), (60, 53)),
        (Fraction(1), (60, 40)),
        (Fraction(100), (60, 40)),  # a mistake
    ],
)
@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_pixels_are_made_square(
    tmp_path: Path, suffix: str, aspect: Fraction, size: tuple[int, int]
) -> None:
    path = write_video(tmp_path / f"a.{suffix}", [card()] * 3, aspect=aspect)
    source = VideoFile(path, camera="gate")
    assert {f.image.shape[1::-1] for f in source} == {size}
    assert (source.info.width_px, source.info.height_px) == size
    assert {corners(f.image) for f in source} == {"rgbw"}


def moving(left: int) -> Image:
    """A white bar before something grey, at this place."""
    image = np.full((64, 144, 3), 60, np.uint8)
    image[:, left : left + 20] = 230
    return image


def combing(image: Image) -> float:
    """How much rows stand out from both their neighbours."""
    grey = image[..., 0].astype(int)
    return float(np.abs(grey[1:-1] * 2 - grey[:-2] - grey[2:]).mean())


def test_two_moments_in_one_picture_become_one(tmp_path: Path) -> None:
    woven = moving(40)
    woven[1::2] = moving(60)[1::2]
    woven[:, 100:110] = 150  # stands still
    path = write_video(
        tmp_path / "i.mp4", [woven] * 3, options={"flags": "+ildct+ilme", "x264-params": "tff=1"}
    )
    image = next(iter(VideoFile(path, camera="gate"))).image
    assert combing(woven) > 40
    assert combing(image) < 4
    assert np.abs(image[2:-2, 45:55].astype(int) - 230).max() < 40  # the first moment's bar
    progressive = next(iter(VideoFile(write_video(tmp_path / "p.mp4", [woven] * 3), camera="x")))
    assert combing(progressive.image) > 40


def test_a_still_interlaced_picture_keeps_its_detail() -> None:
    image = moving(40)
    image[20:22] = 200
    assert np.array_equal(without_combs(image), image)


# -- several streams -------------------------------------------------------------------------------


def two_streams(path: Path, *, default: int | None) -> Path:
    """A small stream of zeros before a large one of ones."""
    with av.open(str(path), "w") as container:
        streams = []
        for number, scale in enumerate((1, 2)):
            stream = container.add_stream("libx264", rate=10)
            stream.width, stream.height = WIDTH_PX * scale, HEIGHT_PX * scale
            stream.pix_fmt, stream.options = "yuv420p", {"crf": "10"}
            stream.disposition = (
                av.stream.Disposition.default if number == default else av.stream.Disposition(0)
            )
            streams.append((stream, numbered_image(number).repeat(scale, 0).repeat(scale, 1)))
        for pts in range(5):
            for stream, image in streams:
                frame = av.VideoFrame.from_ndarray(image, format="rgb24")
                frame.pts, frame.time_base = pts, Fraction(1, 10)
                container.mux(stream.encode(frame))
        for stream, _ in streams:
            container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(("default", "scale"), [(None, 2), (0, 1), (1, 2)])
def test_of_two_streams_the_one_ffmpeg_takes(
    tmp_path: Path, default: int | None, scale: int
) -> None:
    source = VideoFile(two_streams(tmp_path / "a.mkv", default=default), camera="gate")
    assert (source.info.width_px, source.info.height_px) == (WIDTH_PX * scale, HEIGHT_PX * scale)
    assert len(list(source)) == 5


# -- damage ----------------------------------------------------------------------------------------


class _Frame:
    def __init__(self, time: float, *, key: bool = False, corrupt: bool = False) -> None:
        self.time, self.key_frame, self.is_corrupt = time, key, corrupt


def test_a_keyframe_that_was_waiting_does_not_heal_what_broke_after_it() -> None:
    soundness = Soundness()
    assert soundness.holds(_Frame(0.0, key=True))
    soundness.broke(1.2)
    assert not soundness.holds(_Frame(0.9))
    assert not soundness.holds(_Frame(1.0, key=True))  # decoded before the packet that broke
    assert not soundness.holds(_Frame(1.3))
    assert soundness.holds(_Frame(2.0, key=True))
    soundness.broke(100.0)
    assert soundness.holds(_Frame(0.0, key=True))  # times start anew


# -- several sizes ---------------------------------------------------------------------------------


def of_two_sizes(folder: Path, first_s: int, second_s: int) -> Path:
    """A camera's day and night in one transport stream."""
    small = numbered_image(5)
    large = small.repeat(2, 0).repeat(2, 1)
    day = write_video(folder / "a.ts", [small] * (10 * first_s))
    night = write_video(folder / "b.ts", [large] * (10 * second_s), first_pts=10 * first_s)
    path = folder / "daynight.ts"
    path.write_bytes(day.read_bytes() + night.read_bytes())
    return path


@pytest.mark.parametrize(("first_s", "second_s", "scale"), [(12, 4, 1), (4, 12, 2)])
def test_the_commonest_size_is_a_recording_s_size(
    tmp_path: Path, first_s: int, second_s: int, scale: int
) -> None:
    source = VideoFile(of_two_sizes(tmp_path, first_s, second_s), camera="gate")
    assert (source.info.width_px, source.info.height_px) == (WIDTH_PX * scale, HEIGHT_PX * scale)


def test_frames_of_another_size_are_scaled_and_that_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The fault `size_change`: a camera that changes its size in mid-day."""
    source = OneSize(VideoFile(of_two_sizes(tmp_path, 12, 8), camera="gate"))
    frames = list(source)
    assert len(frames) > 190
    assert {f.image.shape[:2] for f in frames} == {(HEIGHT_PX, WIDTH_PX)}
    assert {read_number(f.image) for f in frames} == {5}
    assert source.left_out == {}
    assert "camera 'gate': " in caplog.text
    assert "80 pictures of 288×128 were scaled to 144×64" in caplog.text


def test_a_thumbnail_among_pictures_is_left_out_and_that_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The fault `size_change`, its second half: a folder whose first picture is one."""
    import cv2

    cv2.imwrite(str(tmp_path / "000_thumb.png"), np.zeros((16, 36, 3), np.uint8))
    for number in range(9):
        cv2.imwrite(str(tmp_path / f"1{number}.png"), numbered_image(number))
    source: FrameSource = OneSize(open_source(str(tmp_path), camera="gate"))
    assert len(list(source)) == 9
    assert source.left_out == {"of another size (36×16 where most are 144×64)": 1}
    assert "1 of 10 pictures left out: 1 of another size" in caplog.text


# -- times that start anew -------------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[WebServer]:
    server = WebServer()
    yield server
    server.kill()


def test_over_the_web_a_joined_recording_is_read_whole(server: WebServer, tmp_path: Path) -> None:
    """The fault `web_restart`: as on disk, its times start anew at the joint."""
    one = write_video(tmp_path / "one.ts", [numbered_image(n) for n in range(50)])
    two = write_video(tmp_path / "two.ts", [numbered_image(n) for n in range(50, 100)])
    joined = tmp_path / "join.ts"
    joined.write_bytes(one.read_bytes() + two.read_bytes())
    playlist = (
        "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\none.ts\n"
        "#EXT-X-DISCONTINUITY\n#EXTINF:5,\ntwo.ts\n#EXT-X-ENDLIST\n"
    )
    server.paths |= {f"/{p.name}": video(p, ranges=True) for p in (one, two, joined)}
    server.paths["/d.m3u8"] = fixed("application/vnd.apple.mpegurl", playlist.encode())
    for url in (str(joined), server.url("/join.ts"), server.url("/d.m3u8")):
        frames = list(
            open_source(url, camera="gate", recorded=live_options()).frames(Sampler(0.05))
        )
        assert [read_number(f.image) for f in frames] == list(range(100)), url
        times_s = [f.time_s for f in frames]
        assert times_s == sorted(set(times_s))
        assert 9 < times_s[-1] < 11


@pytest.mark.parametrize(
    "moment",
    ["9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+14:00", "9999-01-01T00:00:00Z", "x" * 99],
)
def test_a_creation_time_that_there_cannot_be_is_not_believed(tmp_path: Path, moment: str) -> None:
    path = write_clip(tmp_path / "c.mkv", constant_rate(10), creation_time=moment)
    assert parse_creation_time(moment) is None
    assert len(list(VideoFile(path, camera="gate"))) == 10


# -- where a playlist leads ------------------------------------------------------------------------

HEAD = "#EXTM3U\n#EXT-X-TARGETDURATION:5\n"
END = "#EXT-X-ENDLIST\n"


def in_pipe(folder: Path) -> str:
    os.mkfifo(folder / "pipe.ts")
    return f"{HEAD}#EXTINF:5,\npipe.ts\n{END}"


LEADING_NOWHERE: dict[str, Callable[[Path], str]] = {
    "itself": lambda _: f"{HEAD}#EXTINF:5,\nlist.m3u8\n{END}",
    "itself, with its path": lambda f: f"{HEAD}#EXTINF:5,\n{f}/./list.m3u8\n{END}",
    "itself, encoded": lambda _: f"{HEAD}#EXTINF:5,\nlist%2Em3u8\n{END}",
    "itself by another protocol": lambda f: f"{HEAD}#EXTINF:5,\nfile:{f}/list.m3u8\n{END}",
    "itself as a map": lambda _: f'{HEAD}#EXT-X-MAP:URI="list.m3u8"\n#EXTINF:5,\na.ts\n{END}',
    "itself as a size": lambda _: "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nlist.m3u8\n",
    "no end": lambda _: f"{HEAD}#EXTINF:5,\na.ts\n",
    "no end, long": lambda _: HEAD + "#EXTINF:5,\na.ts\n" * 100_000,
    "a pipe": in_pipe,
    "a device": lambda _: f"{HEAD}#EXTINF:5,\n/dev/zero\n{END}",
    "the network": lambda _: f"{HEAD}#EXTINF:5,\nhttp://127.0.0.1:1/a.ts\n{END}",
    "nothing": lambda _: "#EXTM3U\n",
}


@pytest.mark.parametrize("name", LEADING_NOWHERE)
@pytest.mark.parametrize("file", ["list.m3u8", "list.mp4"])
def test_a_playlist_on_disk_that_leads_nowhere_is_refused(
    tmp_path: Path, name: str, file: str
) -> None:
    write_video(tmp_path / "a.ts", [numbered_image(1)] * 5)
    text = (
        LEADING_NOWHERE[name](tmp_path)
        .replace("list.m3u8", file)
        .replace("list%2Em3u8", file.replace(".", "%2E"))
    )
    (tmp_path / file).write_text(text)
    with pytest.raises(SourceUnreadableError, match=r"camera 'gate': .*a playlist"):
        VideoFile(tmp_path / file, camera="gate")


def test_a_recorder_s_playlist_is_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for start, name in ((0, "a.ts"), (10, "b%20c.ts")):
        write_video(
            tmp_path / name, [numbered_image(n) for n in range(start, start + 10)], first_pts=start
        )
    playlist = tmp_path / "list.m3u8"
    playlist.write_text(f"{HEAD}#EXTINF:1,\na.ts\n#EXTINF:1,\nb%20c.ts\n{END}")
    with caplog.at_level(logging.WARNING):
        numbers = [read_number(f.image) for f in VideoFile(playlist, camera="gate")]
    assert numbers == list(range(20))


@pytest.mark.parametrize(
    "text",
    [
        "ffconcat version 1.0\nfile list.txt\n" * 100,
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\n"
        "a=rtpmap:96 H264/90000\n",
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"></MPD>',
    ],
)
def test_other_files_that_lead_elsewhere_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "list.txt").write_text(text)
    with pytest.raises(SourceUnreadableError, match="camera 'gate'"):
        VideoFile(tmp_path / "list.txt", camera="gate")
