"""Pictures from bytes, whoever sent them: never larger than allowed, never half of one.

Every picture that is not our own goes through here. Its header is read first, because a decoder
makes room for what the header claims: 900 bytes can cost gigabytes. A decoder that finds damage
says so to nobody and returns what it has, grey where the rest should be: so damage is looked for.
Files are read by us, because native code takes names in UTF-8 only.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from streams.base import StreamError
from streams.picture_headers import BROKEN, CUT_OFF, END_MARK, Header, HeaderError, read_header

MOST_PIXELS = 100_000_000
"""Of one picture, whatever decodes it; the largest cameras have half as many."""

BYTES_A_PIXEL = 4
"""A file larger than the largest picture without compression is none."""

MEGA = 1_000_000

cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # what is wrong is said by us


class PictureError(StreamError):
    """Not a whole picture, or too large a one; the text says which, and names no file."""


def too_large(width_px: int, height_px: int, most_pixels: int) -> str | None:
    """What is wrong with this size; None if it is allowed."""
    if width_px * height_px <= most_pixels:
        return None
    return (
        f"too large: it claims {width_px}×{height_px} pixels, {most_pixels / MEGA:g} megapixels "
        "are allowed"
    )


def check_picture(data: bytes, *, most_pixels: int = MOST_PIXELS) -> Header:
    """The header of a picture that is there to its end and not too large; no pixel is decoded.
    Raises `PictureError`."""
    try:
        header = read_header(data)
        reason = too_large(header.width_px, header.height_px, most_pixels)
    except HeaderError as exc:
        reason = str(exc)
    if reason is not None:
        raise PictureError(reason)
    return header


def decode_picture(
    data: bytes,
    *,
    most_pixels: int = MOST_PIXELS,
    grey: bool = False,
    thorough: bool = True,
) -> NDArray[np.uint8]:
    """H×W×3 uint8 RGB (or H×W, grey), upright by its EXIF tag. Raises `PictureError`.

    `thorough` also finds damage in the middle of a JPEG, by decoding it twice.
    """
    header = check_picture(data, most_pixels=most_pixels)
    if header.bare is not None and (thorough or not header.ends) and _is_damaged(header.bare):
        raise PictureError(BROKEN if header.ends else CUT_OFF)
    if not header.ends:
        data += END_MARK
    image = None
    flags = cv2.IMREAD_GRAYSCALE if grey else cv2.IMREAD_COLOR_RGB
    with suppress(cv2.error):
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if image is None:
        raise PictureError(BROKEN)
    return np.asarray(image, np.uint8)


def read_picture(
    path: str | Path, *, most_pixels: int = MOST_PIXELS, thorough: bool = True
) -> NDArray[np.uint8]:
    """The picture in a file, whatever the file's name. Raises `PictureError`."""
    return decode_picture(
        read_bytes(path, most_bytes=BYTES_A_PIXEL * most_pixels),
        most_pixels=most_pixels,
        thorough=thorough,
    )


def read_bytes(path: str | Path, *, most_bytes: int) -> bytes:
    """A file's bytes; raises `PictureError`, also for one that is no regular file."""
    try:
        # Not waiting for a writer, should it be a pipe by now.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            data = file.read(most_bytes + 1)
    except FileNotFoundError:
        reason = "gone"
    except OSError as exc:
        reason = f"not readable ({exc.strerror})"
    else:
        if data is not None and len(data) <= most_bytes:
            return data
        reason = f"too large: more than {most_bytes // MEGA} MB"
    raise PictureError(reason)


def _is_damaged(jpeg: bytes) -> bool:
    """FFmpeg's decoder can be told to fail at the first error, unlike OpenCV's."""
    import av  # who only looks at stored frames has no use for FFmpeg

    decoder: Any = av.CodecContext.create("mjpeg", "r")
    decoder.thread_count = 1
    decoder.options = {"err_detect": "explode"}
    try:
        return not [*decoder.decode(av.Packet(jpeg)), *decoder.decode(None)]
    except av.error.InvalidDataError:
        return True
    except av.error.FFmpegError:  # a kind of JPEG it does not know
        return False
