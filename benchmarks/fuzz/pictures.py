"""Pictures, spoilt: JPEG, PNG, WebP, BMP, GIF and TIFF, alone and in a folder, and headers that
claim more than there is."""

from __future__ import annotations

import random
import shutil
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from benchmarks.fuzz.case import Case
from benchmarks.fuzz.mutate import spoilt
from streams.base import StreamError
from streams.pictures import decode_picture, read_picture
from streams.recorded.folder import ImageFolder

OURS = (StreamError,)
SUFFIXES = (".jpg", ".jpg", ".png", ".webp", ".bmp", ".gif", ".tif", ".jp2")
CLAIMED = (0, 1, 65_500, 0xFFFF, 16_000)


def originals() -> list[tuple[str, bytes]]:
    """One of each kind, and a JPEG in passes."""
    rng = np.random.default_rng(0)
    image = cv2.resize(rng.integers(0, 255, (12, 16, 3), np.uint8), (160, 120))
    found = [(s, cv2.imencode(s, image)[1].tobytes()) for s in SUFFIXES]
    progressive = [cv2.IMWRITE_JPEG_PROGRESSIVE, 1, cv2.IMWRITE_JPEG_RST_INTERVAL, 4]
    return [*found, (".jpg", cv2.imencode(".jpg", image, progressive)[1].tobytes())]


def prepare(folder: Path) -> Callable[[int], Case]:
    """A case is one file."""
    whole = originals()
    place = folder / "day"

    def run(seed: int) -> Iterator[str]:
        rng = random.Random(seed)
        suffix, data = rng.choice(whole)
        data = _claiming(data, suffix, rng) if seed % 5 == 0 else spoilt(data, rng)
        if seed % 3 == 0:
            yield str(decode_picture(data, grey=seed % 2 == 0).shape)
            return
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        path = place / f"{seed}{rng.choice((suffix, suffix, '.jpg'))}"
        path.write_bytes(data)
        if seed % 3 == 1:
            yield str(read_picture(path).shape)
            return
        (place / "0.jpg").write_bytes(whole[0][1])
        with ImageFolder(place, camera="yard") as source:
            yield repr([frame.image.shape for frame in source.frames()])
            yield repr(source.left_out)

    for _, data in whole[:4]:
        decode_picture(data)
    return lambda seed: Case(lambda: run(seed))


def _claiming(data: bytes, suffix: str, rng: random.Random) -> bytes:
    """The same with another size in its header."""
    found, width, height = bytearray(data), rng.choice(CLAIMED), rng.choice(CLAIMED)
    if suffix == ".jpg":
        at = next((i for m in (b"\xff\xc0", b"\xff\xc2") if (i := data.find(m)) >= 0), 0)
        struct.pack_into(">HH", found, at + 5, height, width)
    elif suffix == ".png":
        struct.pack_into(">II", found, 16, width, height)
        struct.pack_into(">I", found, 29, zlib.crc32(bytes(found[12:29])))
    elif suffix == ".bmp":
        struct.pack_into("<ii", found, 18, width, -height)
    elif suffix == ".webp":
        at = data.find(b"VP8")
        struct.pack_into("<HH", found, at + 14, width & 0x3FFF, height & 0x3FFF)
    return bytes(found)
