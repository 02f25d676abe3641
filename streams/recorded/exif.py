"""When a picture was taken, by what its camera wrote into it (EXIF); no pixel is decoded."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from datetime import tzinfo

from streams.recorded.path_times import PathTime, time_of

HEAD_BYTES = 256 * 1024
"""EXIF stands at the beginning of a JPEG: no segment before it is longer than 64 kB."""

MOST_ENTRIES = 200
"""Of one directory; cameras write some forty."""

_SUB_DIRECTORY, _TAKEN, _OFFSET, _FRACTION = 0x8769, 0x9003, 0x9011, 0x9291
_TEXT = 2
_STAMP = re.compile(
    r"(?P<Y>\d{4})[:-](?P<m>\d\d)[:-](?P<d>\d\d)[ T](?P<H>\d\d):(?P<M>\d\d):(?P<S>\d\d)"
)
_OFFSET_FORM = re.compile(r"Z|[+-]\d\d:\d\d")


def taken_at(data: bytes, zone: tzinfo) -> PathTime | None:
    """DateTimeOriginal in the beginning of a JPEG, PNG or WebP; in `zone`, unless the picture has
    its own (OffsetTimeOriginal). None if there is none, or none that can be."""
    try:
        texts = dict(_texts(_block(data)))
    except (struct.error, IndexError):
        return None
    found = _STAMP.match(texts.get(_TAKEN, ""))
    if found is None:
        return None
    parts = dict(found.groupdict())
    if (fraction := texts.get(_FRACTION, "").strip()).isdecimal():
        parts["f"] = fraction[:6]
    if _OFFSET_FORM.fullmatch(offset := texts.get(_OFFSET, "").strip()):
        parts["z"] = offset
    return time_of(parts, zone)


def _block(data: bytes) -> bytes:
    """The picture's EXIF, which is a little TIFF; empty if it has none."""
    if data.startswith(b"\xff\xd8"):
        return _of_jpeg(data)
    if data.startswith(b"\x89PNG"):
        return _chunk(data, 8, b"eXIf", order=">", name_first=False)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _chunk(data, 12, b"EXIF", order="<", name_first=True).removeprefix(b"Exif\0\0")
    return b""


def _of_jpeg(data: bytes) -> bytes:
    at = 2
    while data[at] == 0xFF and data[at + 1] not in (0xD9, 0xDA):
        (length,) = struct.unpack_from(">H", data, at + 2)
        part = data[at + 4 : at + 2 + length]
        if data[at + 1] == 0xE1 and part.startswith(b"Exif\0\0"):
            return part[6:]
        at += 2 + length
    return b""


def _chunk(data: bytes, at: int, wanted: bytes, *, order: str, name_first: bool) -> bytes:
    """The chunk of this name. PNG has its length, name and checksum, WebP its name and length."""
    while at + 8 <= len(data):
        first, second = data[at : at + 4], data[at + 4 : at + 8]
        name, size = (first, second) if name_first else (second, first)
        (length,) = struct.unpack(f"{order}I", size)
        if name == wanted:
            return data[at + 8 : at + 8 + length]
        at += 8 + length + (length % 2 if name_first else 4)
    return b""


def _texts(tiff: bytes) -> Iterator[tuple[int, str]]:
    """The texts of the directory that tells how the picture was taken, by their tags."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return
    (first,) = struct.unpack_from(f"{order}I", tiff, 4)
    entries = [entry for entry in _entries(tiff, first, order) if entry[0] == _SUB_DIRECTORY]
    for tag, kind, count, value in _entries(tiff, entries[0][3], order) if entries else ():
        if kind != _TEXT or tag not in (_TAKEN, _OFFSET, _FRACTION):
            continue
        data = struct.pack(f"{order}I", value) if count <= 4 else tiff[value : value + count]
        yield tag, data[:count].split(b"\0")[0].decode("latin-1")


def _entries(tiff: bytes, at: int, order: str) -> list[tuple[int, int, int, int]]:
    """Tag, kind, count and value of each entry of the directory at this place."""
    (count,) = struct.unpack_from(f"{order}H", tiff, at)
    places = range(at + 2, at + 2 + 12 * min(count, MOST_ENTRIES), 12)
    return [struct.unpack_from(f"{order}HHII", tiff, place) for place in places]
