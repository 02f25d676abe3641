"""Frames on disk, as small pictures: each made once and kept in memory, at an address that changes
with its content."""

from __future__ import annotations

import os
import re
import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from culling_pipeline.day.daybook import FRAMES
from jobs.config.settings import Config
from jobs.pages.house import camera_of, house_of
from jobs.pages.reports import RUN
from jobs.pages.statics import FOR_EVER

WIDTHS = (240, 480, 960)
"""Pixels; larger frames are made as small as this."""
CACHE_BYTES = 24 * 1024 * 1024
QUALITY = 78
LONGEST_FILE = 32 * 1024 * 1024
_NAME = re.compile(r"[0-9]{6,12}\.jpg", re.ASCII)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Newest:
    """A camera's latest frame: where its picture is (below the first page), when it was stored, and
    whether it is of a day that is watched."""

    src: str
    stored_at: datetime
    watched: bool


class Thumbnails:
    """The small pictures made last, up to `CACHE_BYTES`."""

    def __init__(self) -> None:
        self._made: OrderedDict[tuple[str, int, int], bytes] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, path: Path, width: int) -> bytes:
        """The frame as a JPEG of at most this width; 404 if it is gone or no picture."""
        try:
            status = path.stat()
        except OSError as error:
            raise HTTPException(404, "this frame is no longer on disk") from error
        key = (str(path), status.st_mtime_ns, width)
        with self._lock:
            if (known := self._made.get(key)) is not None:
                self._made.move_to_end(key)
                return known
        if status.st_size > LONGEST_FILE:
            raise HTTPException(404, "this frame is too large")
        data = _small(path.read_bytes(), width)
        with self._lock:
            if key not in self._made:
                self._made[key] = data
                self._bytes += len(data)
            while self._bytes > CACHE_BYTES:
                self._bytes -= len(self._made.popitem(last=False)[1])
        return data


THUMBNAILS = Thumbnails()


def picture(request: Request) -> Response:
    """GET /camera/CAMERA/picture/FOLDER/NAME?w=WIDTH. FOLDER is a night's run or, with `day-`
    before it, a watched day."""
    config, camera = house_of(request).config, camera_of(request)
    folder, name = request.path_params["folder"], request.path_params["name"]
    width = request.query_params.get("w", str(WIDTHS[-1]))
    if _NAME.fullmatch(name) is None or width not in map(str, WIDTHS):
        raise HTTPException(404)
    path = _folder(config, camera, folder) / name
    data = THUMBNAILS.get(path, int(width))
    return Response(data, media_type="image/jpeg", headers={"Cache-Control": FOR_EVER})


def picture_src(camera: str, folder: str, name: str, *, width: int) -> str:
    """Where a frame's picture is, below the first page."""
    return f"camera/{camera}/picture/{folder}/{name}?w={width}"


def newest(config: Config, camera: str, run_id: str | None) -> Newest | None:
    """The latest frame of the latest watched day, else of this night."""
    days = config.data_dir / "days" / camera
    for day in sorted(_names(days, _DAY), reverse=True)[:2]:
        if (found := _last_frame(days / day / FRAMES)) is not None:
            return _newest(camera, f"day-{day}", found, watched=True)
    if run_id is not None and RUN.fullmatch(run_id):
        found = _last_frame(config.frames_dir(camera, run_id))
        if found is not None:
            return _newest(camera, run_id, found, watched=False)
    return None


def _newest(camera: str, folder: str, found: Path, *, watched: bool) -> Newest | None:
    try:
        changed = found.stat().st_mtime
    except OSError:
        return None
    src = picture_src(camera, folder, found.name, width=480)
    return Newest(f"{src}&v={int(changed)}", datetime.fromtimestamp(changed, UTC), watched)


def _folder(config: Config, camera: str, folder: str) -> Path:
    day = folder.removeprefix("day-")
    if day != folder and _DAY.fullmatch(day):
        return config.data_dir / "days" / camera / day / FRAMES
    if RUN.fullmatch(folder):
        return config.frames_dir(camera, folder)
    raise HTTPException(404)


def _names(folder: Path, rule: re.Pattern[str]) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries if rule.fullmatch(entry.name)]
    except OSError:
        return []


def _last_frame(folder: Path) -> Path | None:
    names = _names(folder, _NAME)
    return folder / max(names) if names else None


def _small(data: bytes, width: int) -> bytes:
    import cv2
    import numpy as np

    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise HTTPException(404, "this frame cannot be read")
    if image.shape[1] > width:
        height = max(1, round(image.shape[0] * width / image.shape[1]))
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    done, encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    if not done:
        raise HTTPException(404, "this frame cannot be shown")
    return encoded.tobytes()
