"""Frames on disk, as JPEG files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from culling_pipeline.records.day import StoredFrame
from streams.pictures import PictureError, read_picture

JPEG_QUALITY = 90


def frame_name(frame_id: int) -> str:
    """The name of a frame's file."""
    return f"{frame_id:06d}.jpg"


def as_jpeg(image: NDArray[np.uint8]) -> bytes:
    """An H×W×3 uint8 RGB image as the bytes of a JPEG file."""
    done, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not done:
        message = f"an image of shape {image.shape} could not be encoded as JPEG"
        raise ValueError(message)
    return data.tobytes()


def write_image(folder: Path, name: str, image: NDArray[np.uint8]) -> int:
    """Write an H×W×3 uint8 RGB image as JPEG, complete or not at all; its size in bytes."""
    path, aside, data = folder / name, folder / f"{name}.tmp", as_jpeg(image)
    try:
        aside.write_bytes(data)
        aside.replace(path)
    except OSError:  # a full disk: leave no half of it
        aside.unlink(missing_ok=True)
        raise
    return len(data)


def load_image(folder: Path, frame: StoredFrame) -> NDArray[np.uint8]:
    """A stored frame: H×W×3 uint8 RGB."""
    try:
        return read_picture(folder / frame.path, thorough=False)
    except PictureError as exc:
        message = (
            f"{folder / frame.path}: the stored frame is gone or damaged ({exc}); start the night "
            "anew"
        )
        raise FileNotFoundError(message) from exc


def load_images(folder: Path, frames: Sequence[StoredFrame]) -> Iterator[NDArray[np.uint8]]:
    """Stored frames one after the other."""
    return (load_image(folder, frame) for frame in frames)
