"""A folder of images as a source: one image a frame, in the order a person would count them."""

from __future__ import annotations

import logging
import math
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from streams.base import (
    Frame,
    FrameSource,
    SourceInfo,
    SourceNotFoundError,
    SourceUnreadableError,
    StreamError,
    as_utc,
)
from streams.sampler import Sampler

logger = logging.getLogger(__name__)

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})


class ImageFolder(FrameSource):
    """The images of one folder (not of folders in it), played at `rate_fps`.

    Image n, counted in natural order from 0, is at n / `rate_fps` seconds. An image that cannot
    be read is skipped and leaves its place in time empty. `started_at` is by default the first
    image's modification time.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        camera: str,
        rate_fps: float = 1.0,
        started_at: datetime | None = None,
    ) -> None:
        if not (math.isfinite(rate_fps) and rate_fps > 0):
            message = f"camera {camera!r}: rate_fps: got {rate_fps}, must be a finite number > 0"
            raise ValueError(message)
        self._camera = camera
        self._where = f"camera {camera!r}: {path}"
        self._rate_fps = rate_fps
        self._closed = False
        self._skipped_count = 0
        self._paths = self._list_images(Path(path))
        height_px, width_px = self._first_shape()
        if started_at is None:
            started_at = datetime.fromtimestamp(self._paths[0].stat().st_mtime, UTC)
        self._info = SourceInfo(
            kind="folder",
            location=str(path),
            width_px=width_px,
            height_px=height_px,
            started_at=as_utc(started_at, camera=camera),
            rate_fps=rate_fps,
            duration_s=len(self._paths) / rate_fps,
        )

    @property
    def info(self) -> SourceInfo:
        return self._info

    @property
    def skipped_count(self) -> int:
        """Images that could not be read so far in the latest pass."""
        return self._skipped_count

    def frames(self, sampler: Sampler | None = None) -> Iterator[Frame]:
        if self._closed:
            message = f"{self._where}: the folder was closed; open it again to read from it"
            raise StreamError(message)
        return self._read(sampler)

    def close(self) -> None:
        """End running passes at their next frame; nothing is held open between images."""
        self._closed = True

    def _read(self, sampler: Sampler | None) -> Iterator[Frame]:
        self._skipped_count = 0
        for index, path in enumerate(self._paths):
            time_s = index / self._rate_fps
            if sampler is not None and not sampler.wants(time_s):
                continue
            image = _read_image(path)
            if image is None:
                self._skipped_count += 1
                logger.warning("%s: skipped %s, not a readable image", self._where, path.name)
                continue
            wall_time = self._info.started_at + timedelta(seconds=time_s)
            yield Frame(image=image, time_s=time_s, wall_time=wall_time, camera=self._camera)
            if self._closed:
                return

    def _list_images(self, folder: Path) -> list[Path]:
        if not os.path.isdir(folder):
            message = f"{self._where}: no such folder; check the path in this camera's url"
            raise SourceNotFoundError(message)
        try:
            paths = [p for p in folder.iterdir() if _is_image(p)]
        except OSError as exc:
            message = f"{self._where}: cannot be listed ({exc.strerror}); check its permissions"
            raise SourceUnreadableError(message) from exc
        if not paths:
            message = f"{self._where}: no images in this folder; allowed: {_allowed()}"
            raise SourceUnreadableError(message)
        return sorted(paths, key=lambda path: (natural_key(path.name), path.name))

    def _first_shape(self) -> tuple[int, int]:
        for path in self._paths:
            image = _read_image(path)
            if image is not None:
                return image.shape[0], image.shape[1]
        message = (
            f"{self._where}: none of its {len(self._paths)} images can be read; "
            "they are damaged or not what their names say: copy them again"
        )
        raise SourceUnreadableError(message)


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sorts img2 before img10: runs of digits count as numbers, case is ignored."""
    parts = re.split(r"(\d+)", name.casefold())
    return tuple((0, int(p), "") if p.isdecimal() else (1, 0, p) for p in parts if p)


def _is_image(path: Path) -> bool:
    """Hidden files are left out: macOS leaves `._name.jpg` beside each image it copies."""
    return path.suffix.lower() in IMAGE_SUFFIXES and path.name[0] != "." and path.is_file()


def _allowed() -> str:
    return ", ".join(sorted(suffix[1:] for suffix in IMAGE_SUFFIXES))


def _read_image(path: Path) -> NDArray[np.uint8] | None:
    """H×W×3 uint8 RGB, upright by its EXIF tag; None if it cannot be read."""
    try:
        image = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
    except cv2.error:
        return None
    return None if image is None else np.asarray(image, dtype=np.uint8)
