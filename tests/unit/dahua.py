"""Dahua's own files (DHAV), written as its cameras write them: FFmpeg reads them only."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import av

from tests.unit.clips import HEIGHT_PX, WIDTH_PX, numbered_image

RATE_FPS, KEYFRAMES = 5, 10
_KEY, _OTHER, _H264 = 0xFD, 0xFC, 2


def write_dav(path: Path, start: datetime, *, length_s: int) -> Path:
    """Numbered pictures, five a second, with a keyframe every two seconds and no B-frames; `start`
    is what the camera's clock shows."""
    data = bytearray()
    for number, packet in enumerate(_packets(length_s * RATE_FPS)):
        at = start + timedelta(seconds=number / RATE_FPS)
        data += _frame(packet, number, at)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def _packets(count: int) -> Iterator[Any]:
    encoder: Any = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = WIDTH_PX, HEIGHT_PX, "yuv420p"
    encoder.framerate, encoder.gop_size = RATE_FPS, KEYFRAMES
    encoder.options = {"preset": "ultrafast", "tune": "zerolatency", "x264-params": "scenecut=0"}
    for number in range(count):
        yield from encoder.encode(av.VideoFrame.from_ndarray(numbered_image(number)))
    yield from encoder.encode(None)


def _frame(packet: Any, number: int, at: datetime) -> bytes:
    """One frame: a header with the clock's time, what it holds, and its length again."""
    seconds = at.hour << 12 | at.minute << 6 | at.second
    clock = (at.year - 2000) << 26 | at.month << 22 | at.day << 17 | seconds
    more = bytes([0x80, 0, WIDTH_PX // 8, HEIGHT_PX // 8, 0x81, 0, _H264, RATE_FPS])
    body = bytes(packet)
    length = 24 + len(more) + len(body) + 8
    ticks_ms = number * 1000 // RATE_FPS & 0xFFFF
    head = b"DHAV" + bytes([_KEY if packet.is_keyframe else _OTHER, 0, 0, 0])
    head += struct.pack("<IIIHB", number, length, clock, ticks_ms, len(more))
    head += bytes([sum(head) & 0xFF])
    return head + more + body + b"dhav" + struct.pack("<I", length)
