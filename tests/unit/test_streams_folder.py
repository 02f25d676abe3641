"""Folders of images: the order a person would count them in, and what is no image."""

from __future__ import annotations

import os
import struct
import zlib
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.base import SourceNotFoundError, SourceUnreadableError, StreamError
from streams.recorded.folder import ImageFolder
from streams.recorded.picture_files import natural_key
from streams.sampler import Sampler
from tests.unit.clips import numbered_image, read_number


def fill(folder: Path, names: list[str]) -> Path:
    for number, name in enumerate(names):
        assert cv2.imwrite(str(folder / name), numbered_image(number)[..., ::-1])
    return folder


NATURAL = ["img1.png", "img2.JPG", "img10.bmp", "IMG11.webp", "later.jpeg"]


def test_images_come_in_natural_order(tmp_path: Path) -> None:
    fill(tmp_path, NATURAL)
    (tmp_path / "notes.txt").write_text("not an image")
    (tmp_path / "._img1.png").write_bytes(b"left by macOS")
    (tmp_path / "folder.png").mkdir()
    frames = list(ImageFolder(tmp_path, camera="gate", rate_fps=4))
    assert [read_number(f.image) for f in frames] == [0, 1, 2, 3, 4]
    assert [f.time_s for f in frames] == [0, 0.25, 0.5, 0.75, 1.0]


def test_a_small_number_comes_before_a_large_one_however_it_is_padded() -> None:
    names = ["a10", "a9", "A2b3", "a2b10", "2", "b", "10", "a02b4"]
    ordered = ["2", "10", "A2b3", "a02b4", "a2b10", "a9", "a10", "b"]
    assert sorted(names, key=natural_key) == ordered


@given(st.lists(st.text(max_size=8), max_size=20))
def test_any_names_can_be_sorted(names: list[str]) -> None:
    assert sorted(sorted(names, key=natural_key), key=natural_key) == sorted(names, key=natural_key)


@given(st.text("ab²٣", max_size=3), st.integers(0, 10**20), st.integers(0, 10**20))
def test_numbers_sort_by_value(prefix: str, one: int, other: int) -> None:
    keys = natural_key(f"{prefix}x{one}"), natural_key(f"{prefix}x{other}")
    assert (keys[0] < keys[1]) == (one < other)


def test_colours_are_rgb(tmp_path: Path) -> None:
    fill(tmp_path, ["a.png"])
    (frame,) = ImageFolder(tmp_path, camera="gate")
    assert frame.image[-1, 0].tolist() == [200, 60, 30]


def test_a_grey_image_becomes_rgb_and_an_odd_size_is_kept(tmp_path: Path) -> None:
    fill(tmp_path, ["a.png"])
    cv2.imwrite(str(tmp_path / "b.png"), np.full((7, 9), 77, np.uint8))
    frames = list(ImageFolder(tmp_path, camera="gate"))
    assert frames[1].image.shape == (7, 9, 3)
    assert (frames[1].image == 77).all()


def test_an_unreadable_image_is_skipped_and_leaves_its_time_empty(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fill(tmp_path, ["img0.png", "img2.png"])
    (tmp_path / "img1.png").write_bytes(b"torn")
    source = ImageFolder(tmp_path, camera="gate", rate_fps=2)
    assert [f.time_s for f in source] == [0.0, 1.0]
    assert [f.time_s for f in source] == [0.0, 1.0]
    reason = "something else, not a JPEG, PNG, WebP or BMP"
    assert source.left_out == {reason: 1}
    assert f"left out img1.png: {reason}" in caplog.text
    assert f"1 of 3 pictures left out: 1 {reason}" in caplog.text
    assert source.info.duration_s == 1.5


def test_an_image_that_claims_an_absurd_size_is_skipped(tmp_path: Path) -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        check = zlib.crc32(kind + body)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", check)

    fill(tmp_path, ["a.png"])
    header = struct.pack(">IIBBBBB", 1 << 19, 1 << 19, 8, 2, 0, 0, 0)
    claim = chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    (tmp_path / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n" + claim)
    source = ImageFolder(tmp_path, camera="gate")
    assert len(list(source)) == 1
    reason = "too large: it claims 524288×524288 pixels, 100 megapixels are allowed"
    assert source.left_out == {reason: 1}


def test_an_unwanted_image_is_not_even_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fill(tmp_path, ["img0.png", "img2.png"])
    (tmp_path / "img1.png").write_bytes(b"torn")
    source = ImageFolder(tmp_path, camera="gate", rate_fps=2)
    assert [f.time_s for f in source.frames(Sampler(1.0))] == [0.0, 1.0]
    assert source.left_out == {}
    assert caplog.records == []


def test_the_start_is_the_first_image_s_time_unless_given(tmp_path: Path) -> None:
    fill(tmp_path, ["img2.png", "img10.png"])
    os.utime(tmp_path / "img2.png", (1_700_000_000, 1_700_000_000))
    started_at = ImageFolder(tmp_path, camera="gate").info.started_at
    assert started_at == datetime.fromtimestamp(1_700_000_000, UTC)
    given_at = datetime(2026, 1, 5, tzinfo=UTC)
    assert ImageFolder(tmp_path, camera="gate", started_at=given_at).info.started_at == given_at
    with pytest.raises(ValueError, match=r"camera 'gate': started_at .* has no time zone"):
        ImageFolder(tmp_path, camera="gate", started_at=datetime(2026, 1, 5))  # noqa: DTZ001


@pytest.mark.parametrize("rate_fps", [0.0, -1.0, float("nan"), float("inf")])
def test_a_rate_that_is_not_positive_is_refused(tmp_path: Path, rate_fps: float) -> None:
    fill(tmp_path, ["a.png"])
    with pytest.raises(ValueError, match=r"camera 'gate': rate_fps: got .* must be a finite"):
        ImageFolder(tmp_path, camera="gate", rate_fps=rate_fps)


def test_a_missing_folder_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFoundError, match=r"camera 'gate': .*absent: no such folder"):
        ImageFolder(tmp_path / "absent", camera="gate")


def test_a_folder_without_images_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").touch()
    with pytest.raises(
        SourceUnreadableError,
        match=r"no images in this folder \(1 of a kind that is not read \(MP4\)\); allowed: bmp, ",
    ):
        ImageFolder(tmp_path, camera="gate")


def test_a_folder_of_broken_images_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"torn")
    (tmp_path / "b.jpg").write_bytes(b"")
    with pytest.raises(
        SourceUnreadableError, match=r"none of its 2 images can be read \(the.*copy"
    ):
        ImageFolder(tmp_path, camera="gate")


def test_a_folder_one_may_not_list_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Tests often run as root, who may list everything.
    def refuse(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(SourceUnreadableError, match=r"cannot be listed \(Permission denied\)"):
        ImageFolder(tmp_path, camera="gate")


def test_a_closed_folder_says_so_and_running_passes_end(tmp_path: Path) -> None:
    source = ImageFolder(fill(tmp_path, NATURAL), camera="gate")
    running = source.frames()
    next(running)
    source.close()
    assert list(running) == []
    with pytest.raises(StreamError, match=r"camera 'gate': .*: the folder was closed"):
        source.frames()


def test_the_real_folder_is_read_whole(shared_data: Path) -> None:
    source = ImageFolder(shared_data / "videos" / "crossing_folder_720x480", camera="crossing")
    frames = list(source.frames(Sampler(10.0)))
    assert [f.time_s for f in frames] == [0, 10, 20, 30, 40, 50, 60, 70]
    assert frames[0].image.shape == (480, 720, 3)
    assert source.info.duration_s == 78
