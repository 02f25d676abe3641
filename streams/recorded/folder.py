"""A folder of images as a source: one image a frame, in the order a person would count them."""

from __future__ import annotations

import logging
import math
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

from streams.base import (
    Frame,
    FrameSource,
    SourceInfo,
    SourceNotFoundError,
    SourceUnreadableError,
    StreamError,
    as_utc,
    printable,
    redact_url,
)
from streams.left_out import LeftOut, in_words
from streams.pictures import MOST_PIXELS, PictureError, read_picture
from streams.sampler import Sampler

logger = logging.getLogger(__name__)

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})
OTHER_SUFFIXES = frozenset(
    {".heic", ".heif", ".avif", ".tif", ".tiff", ".gif", ".jp2", ".jxl", ".dng", ".raw", ".nef"}
    | {".cr2", ".cr3", ".arw", ".mp4", ".mov", ".avi", ".mkv", ".ts", ".webm"}
)
"""Pictures and videos that are not read, and not passed over in silence either."""

LOOKED_AT = 15
"""So many images, evenly spaced, say which size is the commonest."""


class ImageFolder(FrameSource):
    """The images of one folder (not of folders in it), played at `rate_fps`.

    Image n, counted in natural order from 0, is at n / `rate_fps` seconds. An image that cannot
    be read, is damaged or larger than `most_pixels` is left out and leaves its place in time
    empty. `info` has the commonest size; images of others come as they are. `started_at` is by
    default the first image's modification time.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        camera: str,
        rate_fps: float = 1.0,
        started_at: datetime | None = None,
        most_pixels: int = MOST_PIXELS,
    ) -> None:
        if not (math.isfinite(rate_fps) and rate_fps > 0):
            message = f"camera {camera!r}: rate_fps: got {rate_fps}, must be a finite number > 0"
            raise ValueError(message)
        self._camera = camera
        self._where = f"camera {camera!r}: {redact_url(str(path))}"
        self._rate_fps = rate_fps
        self._most_pixels = most_pixels
        self._closed = False
        self._left_out = LeftOut(self._where)
        self._others: Counter[str] = Counter()
        self._first_reason = ""
        self._paths = self._list_images(Path(path))
        height_px, width_px = self._commonest_shape()
        if started_at is None:
            started_at = datetime.fromtimestamp(self._paths[0].stat().st_mtime, UTC)
        self._info = SourceInfo(
            kind="folder",
            location=redact_url(str(path)),
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
    def left_out(self) -> Mapping[str, int]:
        """Also the files of kinds that are not read, from the start."""
        return self._left_out.counts + self._others

    def frames(self, sampler: Sampler | None = None) -> Iterator[Frame]:
        if self._closed:
            message = f"{self._where}: the folder was closed; open it again to read from it"
            raise StreamError(message)
        return self._read(sampler)

    def close(self) -> None:
        """End running passes at their next frame; nothing is held open between images."""
        self._closed = True

    def _read(self, sampler: Sampler | None) -> Iterator[Frame]:
        left_out, given = LeftOut(self._where), 0
        self._left_out = left_out
        for index, path in enumerate(self._paths):
            time_s = index / self._rate_fps
            if sampler is not None and not sampler.wants(time_s):
                continue
            try:
                image = read_picture(path, most_pixels=self._most_pixels)
            except PictureError as exc:
                left_out.note(str(exc), printable(path.name))
                continue
            given += 1
            wall_time = self._info.started_at + timedelta(seconds=time_s)
            yield Frame(image=image, time_s=time_s, wall_time=wall_time, camera=self._camera)
            if self._closed:
                return
        left_out.say(given)

    def _list_images(self, folder: Path) -> list[Path]:
        if not os.path.isdir(folder):
            message = f"{self._where}: no such folder; check the path in this camera's url"
            raise SourceNotFoundError(message)
        try:
            files = [p for p in folder.iterdir() if _is_visible(p)]
        except OSError as exc:
            message = f"{self._where}: cannot be listed ({exc.strerror}); check its permissions"
            raise SourceUnreadableError(message) from exc
        paths = [p for p in files if p.suffix.lower() in IMAGE_SUFFIXES]
        self._others = Counter(
            f"of a kind that is not read ({p.suffix[1:].upper()})"
            for p in files
            if p.suffix.lower() in OTHER_SUFFIXES
        )
        others = f" ({in_words(self._others)})" if self._others else ""
        if not paths:
            message = f"{self._where}: no images in this folder{others}; allowed: {_allowed()}"
            raise SourceUnreadableError(message)
        if others:
            logger.warning(
                "%s: left out: %s; convert them to JPEG", self._where, in_words(self._others)
            )
        return sorted(paths, key=lambda path: (natural_key(path.name), path.name))

    def _commonest_shape(self) -> tuple[int, int]:
        """Height and width of most images, by a few of them; at a tie the first's."""
        step = max(1, len(self._paths) // LOOKED_AT)
        shapes = Counter(s for p in self._paths[::step] if (s := self._shape(p)) is not None)
        if not shapes:
            found = (s for p in self._paths if (s := self._shape(p)) is not None)
            shapes.update(islice(found, 1))
        if shapes:
            return shapes.most_common(1)[0][0]
        message = (
            f"{self._where}: none of its {len(self._paths)} images can be read (the first: "
            f"{self._first_reason}); they are not what their names say: copy them again"
        )
        raise SourceUnreadableError(message)

    def _shape(self, path: Path) -> tuple[int, int] | None:
        try:
            image = read_picture(path, most_pixels=self._most_pixels)
        except PictureError as exc:
            self._first_reason = self._first_reason or str(exc)
            return None
        return image.shape[0], image.shape[1]


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sorts img2 before img10: runs of digits count as numbers, case is ignored."""
    parts = re.split(r"(\d+)", name.casefold())
    return tuple((0, int(p), "") if p.isdecimal() else (1, 0, p) for p in parts if p)


def _is_visible(path: Path) -> bool:
    """Hidden files are left out: macOS leaves `._name.jpg` beside each image it copies."""
    return path.name[0] != "." and path.is_file()


def _allowed() -> str:
    return ", ".join(sorted(suffix[1:] for suffix in IMAGE_SUFFIXES))
