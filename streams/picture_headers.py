"""What a picture's own bytes say of it, read before any decoder makes room for its pixels: which
kind it is, how large it claims to be, and whether its end is there."""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass
from typing import Literal

Kind = Literal["JPEG", "PNG", "WebP", "BMP"]

MOST_PARTS = 10_000
"""Segments or chunks of one picture; cameras write some twenty."""

MOST_SCANS = 64
"""Passes over one JPEG; progressive ones have about ten. Each costs a decoder a whole pass."""

HOLE = bytes(256)
USUAL_CODES = bytes.fromhex("0002010303020403050504040000017d")
"""With the codes that nearly every camera uses, no picture has so many zeros in a row: there a
disk or an upload has left a hole. Read as codes they make sense, and no decoder minds."""

_PNG = b"\x89PNG\r\n\x1a\n"
_ENTROPY_END = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD9)})
_PROGRESSIVE, _START_OF_SCAN, _END = 0xC2, 0xDA, 0xD9
END_MARK = b"\xff\xd9"
_NOTES = frozenset({*range(0xE0, 0xEE), 0xEF, 0xFE})
"""APPn and comments: thumbnails, maker's notes. Adobe's (APP14) says which colours these are."""


class HeaderError(ValueError):
    """No picture of a kind that is read, or a broken one; the text says what is wrong."""


@dataclass(frozen=True, slots=True)
class Header:
    """The largest size that stands anywhere in it; of a JPEG its pixels' own bytes, for a second
    decoder, and whether its end mark is there (some cameras leave that out)."""

    kind: Kind
    width_px: int
    height_px: int
    bare: bytes | None = None
    ends: bool = True

    @property
    def pixels(self) -> int:
        return self.width_px * self.height_px


def read_header(data: bytes) -> Header:
    """Raises `HeaderError`, also where the picture is cut off."""
    try:
        if data.startswith(b"\xff\xd8"):
            return _jpeg(data)
        if data.startswith(_PNG):
            return _png(data)
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            return _webp(data)
        if data.startswith(b"BM"):
            return _bmp(data)
    except struct.error:
        pass
    else:
        raise HeaderError(_other(data))
    raise HeaderError(CUT_OFF)


CUT_OFF = "cut off"
BROKEN = "damaged"

OTHERS = {
    b"GIF8": "a GIF",
    b"II*\x00": "a TIFF",
    b"MM\x00*": "a TIFF",
    b"\x00\x00\x00\x0cjP": "a JPEG 2000",
    b"\xff\x0a": "a JPEG XL",
    b"%PDF": "a PDF",
    b"<": "a page or text",
}


def _other(data: bytes) -> str:
    """What it is instead, where that can be told."""
    if not data:
        return "empty"
    if data[4:8] == b"ftyp":
        brand = data[8:12].decode("latin-1")
        name = {"avif": "an AVIF", "heic": "a HEIC", "heix": "a HEIC", "mif1": "a HEIC"}
        return f"{name.get(brand, 'a video')}, not a JPEG, PNG, WebP or BMP"
    name_of = next((name for start, name in OTHERS.items() if data.startswith(start)), None)
    return f"{name_of or 'something else'}, not a JPEG, PNG, WebP or BMP"


def _jpeg(data: bytes) -> Header:
    """Walks all of it: a size may stand twice, and what a thumbnail says does not count."""
    at, sizes, scans, pieces, ends = 2, [(0, 0)], 0, [data[:2]], True
    progressive = False
    for _ in range(MOST_PARTS):
        at = data.find(b"\xff", at)
        while at >= 0 and data[at + 1 : at + 2] == b"\xff":  # filling
            at += 1
        if at < 0 or at + 2 > len(data):
            ends = False
            break
        marker = data[at + 1]
        if marker == _END:
            break
        if marker in _STANDALONE or marker == 0:
            at += 2
            continue
        end = at + 2 + struct.unpack_from(">H", data, at + 2)[0]
        if marker in _SIZES:
            sizes.append(struct.unpack_from(">HH", data, at + 5))
            progressive = progressive or marker == _PROGRESSIVE
        if marker == _START_OF_SCAN:
            scans += 1
            if scans > MOST_SCANS:
                raise HeaderError(BROKEN)
            found = _ENTROPY_END.search(data, end)
            end = len(data.rstrip(b"\0")) if found is None else found.start()
        if marker not in _NOTES:
            pieces.append(data[at:end])
        at = end
    else:
        raise HeaderError(BROKEN)
    if not ends and (progressive or not scans):  # whole scans may be missing
        raise HeaderError(CUT_OFF)
    if not scans:
        raise HeaderError(BROKEN)
    bare = b"".join([*pieces, END_MARK])
    if HOLE in bare and USUAL_CODES in bare:
        raise HeaderError(BROKEN)
    height_px, width_px = max(h for h, _ in sizes), max(w for _, w in sizes)
    return Header("JPEG", width_px, height_px, bare, ends)


def _png(data: bytes) -> Header:
    width_px, height_px = struct.unpack_from(">II", data, 16)
    at = len(_PNG)
    for _ in range(max(MOST_PARTS, len(data) // 1024)):
        (length,) = struct.unpack_from(">I", data, at)
        end = at + 12 + length
        (checksum,) = struct.unpack_from(">I", data, end - 4)
        name = data[at + 4 : at + 8]
        if zlib.crc32(data[at + 4 : end - 4]) != checksum:
            raise HeaderError(BROKEN)
        if name == b"IEND":
            return Header("PNG", width_px, height_px)
        at = end
    raise HeaderError(BROKEN)


def _webp(data: bytes) -> Header:
    (length,) = struct.unpack_from("<I", data, 4)
    if len(data) < length + 8 - length % 2:
        raise HeaderError(CUT_OFF)
    at, sizes = 12, []
    for _ in range(MOST_PARTS):
        if at + 8 > len(data):
            break
        name, size = data[at : at + 4], struct.unpack_from("<I", data, at + 4)[0]
        body = data[at + 8 : at + 8 + min(size, 32)]
        if (found := _webp_size(name, body)) is not None:
            sizes.append(found)
        at += 8 + size + size % 2
    if not sizes:
        raise HeaderError(BROKEN)
    return Header("WebP", max(w for w, _ in sizes), max(h for _, h in sizes))


def _webp_size(name: bytes, body: bytes) -> tuple[int, int] | None:
    if name == b"VP8X":
        return 1 + int.from_bytes(body[4:7], "little"), 1 + int.from_bytes(body[7:10], "little")
    if name == b"VP8 ":
        width_px, height_px = struct.unpack_from("<HH", body, 6)
        return width_px & 0x3FFF, height_px & 0x3FFF
    if name == b"VP8L":
        (bits,) = struct.unpack_from("<I", body, 1)
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if name == b"ANMF":
        return 1 + int.from_bytes(body[6:9], "little"), 1 + int.from_bytes(body[9:12], "little")
    return None


def _bmp(data: bytes) -> Header:
    (header_size,) = struct.unpack_from("<I", data, 14)
    if header_size == 12:
        width_px, height_px = struct.unpack_from("<HH", data, 18)
        return Header("BMP", width_px, height_px)
    width_px, height_px, _, bits, coding = struct.unpack_from("<iiHHI", data, 18)
    (start,) = struct.unpack_from("<I", data, 10)
    width_px, height_px = abs(width_px), abs(height_px)
    row_bytes = (width_px * bits + 31) // 32 * 4
    if coding in (0, 3) and len(data) < start + row_bytes * height_px:
        raise HeaderError(CUT_OFF)
    return Header("BMP", width_px, height_px)
