"""Pictures from strangers: whole or not at all, upright, never larger than allowed; whatever the
name of their file."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from benchmarks.testbed.servers.web import WebServer, fixed, mjpeg
from streams.address import Address
from streams.base import ConnectionFailedError, SourceUnreadableError
from streams.live.connection import Demand
from streams.live.mjpeg import connect_mjpeg
from streams.live.snapshot import SnapshotConnection
from streams.open import open_source
from streams.pictures import MOST_PIXELS, PictureError, decode_picture, read_picture
from streams.recorded.folder import ImageFolder
from tests.unit.clips import (
    HEIGHT_PX,
    WIDTH_PX,
    constant_rate,
    numbered_image,
    read_number,
    write_clip,
)
from tests.unit.plans import live_options

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
NAMES = {RED: "r", GREEN: "g", BLUE: "b", WHITE: "w"}


def card() -> NDArray[np.uint8]:
    """Red and green over blue and white, wider than high."""
    image = np.full((40, 60, 3), 255, np.uint8)
    image[:20, :30], image[:20, 30:], image[20:, :30] = RED, GREEN, BLUE
    return image


def corners(image: NDArray[np.uint8]) -> str:
    height, width = image.shape[:2]
    found = ""
    for y, x in ((0.25, 0.25), (0.25, 0.75), (0.75, 0.25), (0.75, 0.75)):
        red, green, blue = (255 * int(v > 128) for v in image[int(height * y), int(width * x)])
        found += NAMES.get((red, green, blue), "?")
    return found


def encoded(image: NDArray[np.uint8], suffix: str) -> bytes:
    lossless = [cv2.IMWRITE_WEBP_QUALITY, 101] if suffix == ".webp" else []
    return bytes(cv2.imencode(suffix, image[..., ::-1], lossless)[1].tobytes())


def busy(height: int = 240, width: int = 320) -> NDArray[np.uint8]:
    """Something to see in every block, so that every part of the file is of use."""
    small = np.random.default_rng(1).integers(0, 255, (height // 8, width // 8, 3), np.uint8)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def reason_of(data: bytes, **options: bool) -> str:
    with pytest.raises(PictureError) as caught:
        decode_picture(data, **options)  # type: ignore[arg-type]
    return str(caught.value)


# -- the eight ways up -----------------------------------------------------------------------------

WAYS = {1: "rgbw", 2: "grwb", 3: "wbgr", 4: "bwrg", 5: "rbgw", 6: "brwg", 7: "wgbr", 8: "gwrb"}
"""EXIF's orientations: what is then seen, row by row."""


def with_orientation(data: bytes, orientation: int) -> bytes:
    exif = b"II*\0\x08\0\0\0\x01\0" + struct.pack("<HHIHH", 0x112, 3, 1, orientation, 0) + bytes(4)
    if data.startswith(b"\xff\xd8"):
        part = b"Exif\0\0" + exif
        return data[:2] + b"\xff\xe1" + struct.pack(">H", len(part) + 2) + part + data[2:]
    if data.startswith(b"\x89PNG"):
        return data[:33] + chunk(b"eXIf", exif) + data[33:]
    sizes = struct.pack("<I", 59)[:3] + struct.pack("<I", 39)[:3]
    body = b"WEBPVP8X" + struct.pack("<I", 10) + bytes([8, 0, 0, 0]) + sizes + data[12:]
    body += b"EXIF" + struct.pack("<I", len(exif)) + exif
    return b"RIFF" + struct.pack("<I", len(body)) + body


def chunk(kind: bytes, body: bytes) -> bytes:
    check = zlib.crc32(kind + body)
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", check)


@pytest.mark.parametrize("orientation", WAYS)
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_all_eight_orientations_of_exif(suffix: str, orientation: int) -> None:
    image = decode_picture(with_orientation(encoded(card(), suffix), orientation))
    assert corners(image) == WAYS[orientation]
    assert image.shape[:2] == ((40, 60) if orientation < 5 else (60, 40))


# -- the ways of colour ----------------------------------------------------------------------------


def four_colours() -> NDArray[np.uint8]:
    image = np.full((40, 60, 3), 230, np.uint8)
    image[:20, :30], image[:20, 30:], image[20:, :30] = (200, 60, 30), (30, 180, 60), (40, 60, 210)
    return image


@pytest.mark.parametrize(
    ("mode", "kind", "most"),
    [
        ("CMYK", "JPEG", 8),
        ("L", "JPEG", 8),
        ("L", "PNG", 1),
        ("LA", "PNG", 1),
        ("RGBA", "PNG", 1),
        ("P", "PNG", 30),
        ("P", "BMP", 30),
    ],
)
def test_every_way_to_write_colours_is_read(mode: str, kind: str, most: int) -> None:
    pillow = pytest.importorskip("PIL.Image")
    picture = pillow.fromarray(four_colours())
    if mode == "P":
        picture = picture.quantize(16)
    written = picture if mode == "P" else picture.convert(mode)
    file = io.BytesIO()
    written.save(file, kind, **({"quality": 95} if kind == "JPEG" else {}))
    seen = decode_picture(file.getvalue()).astype(int)
    expected = np.asarray(written.convert("RGB")).astype(int)
    for y, x in ((5, 5), (5, 45), (30, 5), (30, 45)):
        assert np.abs(seen[y, x] - expected[y, x]).max() <= most


@pytest.mark.parametrize("colours", [1, 3])
def test_sixteen_bits_become_eight(colours: int) -> None:
    image = four_colours() if colours == 3 else np.repeat(four_colours()[..., :1], 3, axis=2)
    deep = image[..., ::-1].astype(np.uint16) * 257
    deep = deep if colours == 3 else deep[..., 0]
    data = bytes(cv2.imencode(".png", deep)[1].tobytes())
    assert np.array_equal(decode_picture(data), image)


# -- damage ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp"])
@pytest.mark.parametrize("share", [0.02, 1 / 3, 0.9])
def test_half_a_picture_is_none(suffix: str, share: float) -> None:
    data = encoded(busy(), suffix)
    assert reason_of(data[: int(len(data) * share)]) in ("cut off", "damaged")
    assert decode_picture(data).shape == (240, 320, 3)


def test_a_picture_whose_rest_is_zeros_is_cut_off() -> None:
    """As an upload leaves it that reserved its room first."""
    data = encoded(busy(), ".jpg")
    third = len(data) // 3
    assert reason_of(data[:third] + bytes(len(data) - third)) in ("cut off", "damaged")
    assert reason_of(data[:third] + bytes(len(data) - third - 2) + data[-2:]) == "damaged"
    assert reason_of(data[: 2 * third] + bytes(500) + data[2 * third + 500 :]) == "damaged"


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_a_hole_in_the_middle_is_damage(suffix: str) -> None:
    data = encoded(busy(), suffix)
    half = len(data) // 2
    assert reason_of(data[:half] + data[half + 3000 :]) in ("damaged", "cut off")


def test_only_the_end_mark_may_be_missing() -> None:
    """Some cameras leave it out."""
    data = encoded(busy(), ".jpg")
    assert np.array_equal(decode_picture(data[:-2]), decode_picture(data))
    assert np.array_equal(decode_picture(data + b"\0" * 99), decode_picture(data))


def test_what_else_it_is_is_said() -> None:
    assert reason_of(b"GIF89a" + bytes(20)) == "a GIF, not a JPEG, PNG, WebP or BMP"
    assert reason_of(b"II*\0" + bytes(20)) == "a TIFF, not a JPEG, PNG, WebP or BMP"
    assert reason_of(b"\0\0\0\x18ftypheic" + bytes(20)) == "a HEIC, not a JPEG, PNG, WebP or BMP"
    assert reason_of(b"") == "empty"


@given(
    st.binary(max_size=200), st.sampled_from([b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM", b""])
)
@settings(max_examples=300, deadline=None)
def test_no_bytes_raise_anything_else(data: bytes, start: bytes) -> None:
    with suppress(PictureError):
        decode_picture(start + data)


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_no_change_raises_anything_else(data: st.DataObject) -> None:
    suffix = data.draw(st.sampled_from([".jpg", ".png", ".webp", ".bmp"]))
    picture = bytearray(encoded(busy(48, 64), suffix))
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(picture) - 1))
        picture[at] = data.draw(st.integers(0, 255))
    with suppress(PictureError):
        assert decode_picture(bytes(picture)).size <= 3 * MOST_PIXELS


# -- bombs -----------------------------------------------------------------------------------------

CLAIM = "too large: it claims 16000×65500 pixels, 100 megapixels are allowed"


def claiming(suffix: str) -> bytes:
    """A few hundred bytes that claim 16000×65500 pixels: gigabytes for a decoder."""
    data = bytearray(encoded(np.zeros((16, 16, 3), np.uint8), suffix))
    if suffix == ".jpg":
        at = data.index(b"\xff\xc0")
        data[at + 5 : at + 9] = struct.pack(">HH", 65500, 16000)
    elif suffix == ".png":
        data[8:33] = chunk(b"IHDR", struct.pack(">IIBBBBB", 16000, 65500, 8, 2, 0, 0, 0))
    elif suffix == ".webp":
        body = b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4)
        body += struct.pack("<I", 15999)[:3] + struct.pack("<I", 65499)[:3] + bytes(data[12:])
        return b"RIFF" + struct.pack("<I", len(body)) + body
    else:
        data[18:26] = struct.pack("<ii", 16000, -65500)
        data[30:34] = struct.pack("<I", 1)  # run-length: no size to check it by
    return bytes(data)


SUFFIXES = [".jpg", ".png", ".webp", ".bmp"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_picture_that_claims_too_much_is_never_decoded(suffix: str) -> None:
    assert len(claiming(suffix)) < 1000
    assert reason_of(claiming(suffix)) == CLAIM
    assert reason_of(claiming(suffix), grey=True) == CLAIM


def test_a_second_size_in_a_jpeg_counts_too() -> None:
    data = encoded(np.zeros((16, 16, 3), np.uint8), ".jpg")
    at = data.index(b"\xff\xc0")
    size = data[at : at + 2 + struct.unpack_from(">H", data, at + 2)[0]]
    huge = size[:5] + struct.pack(">HH", 65500, 16000) + size[9:]
    assert reason_of(data[: at + len(size)] + huge + data[at + len(size) :]) == CLAIM


def test_the_limit_is_a_parameter() -> None:
    data = encoded(card(), ".png")
    assert decode_picture(data, most_pixels=2400).shape == (40, 60, 3)
    with pytest.raises(PictureError, match=r"it claims 60×40 pixels, 0\.002399 megapixels"):
        decode_picture(data, most_pixels=2399)


def test_many_scans_of_one_picture_are_refused() -> None:
    data = encoded(np.zeros((16, 16, 3), np.uint8), ".jpg")
    at = data.index(b"\xff\xda")
    assert reason_of(data[:at] + data[at:-2] * 100 + data[-2:]) == "damaged"


@pytest.fixture
def server() -> Iterator[WebServer]:
    server = WebServer()
    yield server
    server.kill()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_snapshot_that_claims_too_much_says_so(server: WebServer, suffix: str) -> None:
    server.paths["/s"] = fixed("image/jpeg", claiming(suffix))
    address = Address(server.url("/s"))
    with pytest.raises(ConnectionFailedError, match=CLAIM):
        SnapshotConnection(address, where="camera 'gate'", options=live_options())


def test_mjpeg_that_claims_too_much_says_so(server: WebServer) -> None:
    server.paths["/m"] = mjpeg([claiming(".jpg")])
    connection = connect_mjpeg(
        Address(server.url("/m")), where="camera 'gate'", options=live_options()
    )
    with pytest.raises(ConnectionFailedError, match=CLAIM):
        list(connection.arrivals(Demand()))
    connection.close()


def test_the_limit_holds_for_every_source(server: WebServer, tmp_path: Path) -> None:
    """144×64 pixels, of which fewer are allowed."""
    folder, clip = tmp_path / "folder", tmp_path / "clip.mp4"
    folder.mkdir()
    (folder / "a.png").write_bytes(encoded(numbered_image(1), ".png"))
    write_clip(clip, constant_rate(10))
    server.paths["/s.png"] = fixed("image/png", encoded(numbered_image(1), ".png"))
    live = live_options(open_timeout_s=5, read_timeout_s=5)
    for url in (str(folder), str(clip), server.url("/s.png")):
        open_source(url, camera="gate", live=live).close()
        with pytest.raises((SourceUnreadableError, ConnectionFailedError), match="claims 144×64"):
            open_source(url, camera="gate", live=live, most_pixels=144 * 64 - 1)


# -- names -----------------------------------------------------------------------------------------

LATIN = os.fsdecode(b"g_T\xfcr.jpg")
"""As an old FTP camera writes “Tür”."""


def test_a_name_that_is_no_utf_8_is_read_and_shown(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The fault `nonutf8_name`: OpenCV crashed on it."""
    folder = tmp_path / os.fsdecode(b"T\xfcr")
    folder.mkdir()
    (folder / "f.jpg").write_bytes(encoded(numbered_image(1), ".jpg"))
    (folder / LATIN).write_bytes(encoded(numbered_image(2), ".jpg"))
    (folder / os.fsdecode(b"h\xff.jpg")).write_bytes(b"torn")
    source = open_source(str(folder), camera="gate")
    assert [read_number(f.image) for f in source] == [1, 2]
    assert "left out h\\xff.jpg" in caplog.text
    assert source.info.location.endswith("T\\xfcr")
    caplog.text.encode("utf-8")


def test_a_video_s_name_that_is_no_utf_8(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"T\xfcr.mp4")
    write_clip(tmp_path / "a.mp4", constant_rate(5)).rename(path)
    source = open_source(str(path), camera="gate")
    assert [read_number(f.image) for f in source] == list(range(5))
    source.info.location.encode("utf-8")


def test_a_pipe_in_the_place_of_a_picture_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jpg")
    with pytest.raises(PictureError, match=r"empty|not readable"):
        read_picture(tmp_path / "a.jpg")
    with pytest.raises(PictureError, match="gone"):
        read_picture(tmp_path / "b.jpg")


# -- folders ---------------------------------------------------------------------------------------


def test_pictures_cut_off_in_a_folder_are_named_counted_and_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The fault `truncated_jpeg`: they were trained on, two thirds flat grey."""
    for number in range(10):
        data = encoded(busy(), ".jpg")
        kept = len(data) // 3 if number % 4 == 0 else len(data)
        (tmp_path / f"{number}.jpg").write_bytes(data[:kept])
    source = ImageFolder(tmp_path, camera="gate")
    assert [f.time_s for f in source] == [1, 2, 3, 5, 6, 7, 9]
    assert source.left_out == {"cut off": 3}
    assert "left out 4.jpg: cut off" in caplog.text
    assert "3 of 10 pictures left out: 3 cut off" in caplog.text


def test_the_commonest_size_is_a_folder_s_size(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "000_thumb.jpg"), np.zeros((48, 80, 3), np.uint8))
    for number in range(24):
        cv2.imwrite(str(tmp_path / f"1{number:02}.jpg"), np.zeros((192, 320, 3), np.uint8))
    info = ImageFolder(tmp_path, camera="gate").info
    assert (info.width_px, info.height_px) == (320, 192)


def test_pictures_of_kinds_that_are_not_read_are_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a.jpg").write_bytes(encoded(card(), ".jpg"))
    for name in ("b.HEIC", "c.heic", "d.tiff", "e.gif", "notes.txt", "._f.heic"):
        (tmp_path / name).write_bytes(b"x")
    source = ImageFolder(tmp_path, camera="gate")
    kind = "of a kind that is not read"
    assert source.left_out == {f"{kind} (HEIC)": 2, f"{kind} (TIFF)": 1, f"{kind} (GIF)": 1}
    assert f"left out: 2 {kind} (HEIC), 1 {kind} (GIF), 1 {kind} (TIFF); convert" in caplog.text


# -- videos of still pictures ----------------------------------------------------------------------


def test_a_truncated_picture_in_a_video_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "c.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=5)
        stream.width, stream.height, stream.pix_fmt = WIDTH_PX, HEIGHT_PX, "yuvj420p"
        for number in range(10):
            data = encoded(numbered_image(number), ".jpg")
            packet = av.Packet(data[: len(data) * 2 // 3] if number in (3, 7) else data)
            packet.stream, packet.time_base = stream, Fraction(1, 5)
            packet.pts = packet.dts = number
            container.mux(packet)
    source = open_source(str(path), camera="gate")
    assert [read_number(f.image) for f in source] == [0, 1, 2, 4, 5, 6, 8, 9]
    assert source.left_out == {"damaged": 2}
