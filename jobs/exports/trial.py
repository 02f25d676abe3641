"""A camera's model on a picture or a short clip that somebody sends: nothing of it is kept."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from culling_pipeline.day.frame_files import as_jpeg
from culling_pipeline.run.progress import NoProgress
from jobs.config.settings import Config
from jobs.errors import UsageError
from streams.pictures import PictureError, check_picture

MOST_BYTES = 32 * 1024 * 1024
MOST_PICTURE_PIXELS = 40_000_000
MOST_FRAMES = 8
"""Looked at of a clip, one a second."""
WIDEST_PX = 1600
"""Of the pictures that are shown."""
_PICTURES = {b"\xff\xd8\xff": ".jpg", b"\x89PNG": ".png", b"BM": ".bmp"}
_CLIPS = ((4, b"ftyp"), (0, b"\x1a\x45\xdf\xa3"), (8, b"AVI "))
"""What a clip may be: MP4 or MOV, Matroska or WebM, AVI. Text is none: a playlist names other
files."""
_ONE = threading.Lock()
"""One at a time: nights need the machine."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A frame with what was found drawn on it (JPEG), and the same as plain values."""

    jpeg: bytes
    said: dict[str, Any]


def try_detection(config: Config, camera: str, content: bytes) -> list[Seen]:
    """What the camera's model finds in a picture or clip. `UsageError` for what is neither, is too
    large, or comes while another is looked at."""
    name = _name_of(content)
    if not _ONE.acquire(blocking=False):
        message = "another picture is being looked at: try again in a moment"
        raise UsageError(message)
    try:
        with TemporaryDirectory(prefix="culling-try-") as folder:
            path = Path(folder, name)
            path.write_bytes(content)
            is_picture = path.suffix != ".mp4"
            return _look(config, camera, Path(folder) if is_picture else path)
    finally:
        _ONE.release()


def _look(config: Config, camera: str, source: Path) -> list[Seen]:
    from jobs.exports.detect import Wanted, detect  # brings torch; a page without it is spared

    pictures: list[NDArray[np.uint8]] = []
    said: list[dict[str, Any]] = []
    wanted = Wanted(
        on_line=said.append, on_picture=pictures.append, every_s=1.0, frames=MOST_FRAMES
    )
    detect(config, camera, str(source), wanted, progress=NoProgress())
    return [Seen(as_jpeg(_smaller(p)), line) for p, line in zip(pictures, said, strict=True)]


def _name_of(content: bytes) -> str:
    """A file name by what the content is, whatever it was called."""
    if not content:
        message = "no file was sent: choose a picture or a short clip"
        raise UsageError(message)
    if len(content) > MOST_BYTES:
        message = f"too large: at most {MOST_BYTES // 2**20} MiB can be sent"
        raise UsageError(message)
    webp = content[:4] == b"RIFF" and content[8:12] == b"WEBP"
    kind = ".webp" if webp else next((k for m, k in _PICTURES.items() if content.startswith(m)), "")
    if kind:
        try:
            check_picture(content, most_pixels=MOST_PICTURE_PIXELS)
        except PictureError as error:
            message = f"this picture is {error}" if "large" in str(error) else f"{error}"
            raise UsageError(message) from error
        return f"picture{kind}"
    if any(content[at : at + len(mark)] == mark for at, mark in _CLIPS):
        return "clip.mp4"
    message = "neither a picture (JPEG, PNG, WebP, BMP) nor a clip (MP4, Matroska, WebM, AVI)"
    raise UsageError(message)


def _smaller(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    import cv2

    height, width = image.shape[:2]
    if width <= WIDEST_PX:
        return image
    size = (WIDEST_PX, max(1, round(height * WIDEST_PX / width)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
