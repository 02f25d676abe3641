"""A picture or clip that somebody sends: looked at and forgotten, or refused."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest

from benchmarks.testbed.done_night import CAMERA, AfterNight, make_night
from culling_pipeline.day.frame_files import as_jpeg
from jobs.errors import UsageError
from jobs.exports import trial
from jobs.exports.trial import MOST_BYTES, MOST_FRAMES, try_detection
from streams.base import StreamError
from tests.unit.clips import write_clip


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> AfterNight:
    return make_night(tmp_path_factory.mktemp("night"))


def frame(night: AfterNight, number: int = 13) -> bytes:
    return (night.frames / f"{number:06d}.jpg").read_bytes()


def test_a_picture_comes_back_with_what_was_found(
    night: AfterNight, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (seen,) = try_detection(night.config, CAMERA, frame(night))
    assert (seen.said["width_px"], seen.said["height_px"]) == (160, 96)
    assert len(seen.said["boxes_xyxy"]) == len(seen.said["classes"]) > 0
    assert seen.jpeg.startswith(b"\xff\xd8\xff")
    assert list(tmp_path.iterdir()) == [], "nothing of it is kept"


def test_a_clip_is_looked_at_a_frame_a_second(night: AfterNight, tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mp4", list(range(0, 12_000, 500)))
    seen = try_detection(night.config, CAMERA, (tmp_path / "a.mp4").read_bytes())
    assert len(seen) == MOST_FRAMES
    assert [round(one.said["time_s"]) for one in seen] == list(range(MOST_FRAMES))


def bomb() -> bytes:
    """A PNG of some bytes whose header claims 30,000×30,000 pixels."""
    import struct
    import zlib

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 30_000, 30_000, 8, 0, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(9))) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "no file was sent"),
        (bytes(MOST_BYTES + 1), "too large: at most 32 MiB"),
        (bomb(), "this picture is too large: it claims 30000×30000 pixels, 40 megapixels"),
        (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "neither a picture"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "neither a picture"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "neither a picture"),
        (as_jpeg(np.zeros((9, 9, 3), np.uint8))[:99], "cut off"),
    ],
)
def test_what_is_no_picture_is_refused(night: AfterNight, content: bytes, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        try_detection(night.config, CAMERA, content)


def test_what_only_looks_like_a_clip(night: AfterNight) -> None:
    with pytest.raises(StreamError):
        try_detection(night.config, CAMERA, b"\x00\x00\x00\x18ftypisom" + bytes(2000))


def test_one_at_a_time(night: AfterNight) -> None:
    with trial._ONE, pytest.raises(UsageError, match="another picture is being looked at"):
        try_detection(night.config, CAMERA, frame(night))
    assert try_detection(night.config, CAMERA, frame(night)), "and the lock is given back"


def test_a_wide_picture_is_shown_smaller() -> None:
    assert trial._smaller(np.zeros((100, 3200, 3), np.uint8)).shape == (50, 1600, 3)
