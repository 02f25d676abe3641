"""Masks and ignore zones that change while the service watches: the next frame has to be black
there, not the first one after a restart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jobs.config.load import load_config
from jobs.config.settings import CameraConfig
from jobs.errors import ConfigError


class NewAreas:
    """Looks whether config.yaml has other areas for these cameras by now. Nothing else of the file
    is taken up before a restart."""

    def __init__(self, path: Path, overrides: Mapping[str, Any]) -> None:
        self._path, self._overrides = path, overrides
        self._seen = self._stamp()

    def of(self, cameras: Sequence[CameraConfig]) -> list[CameraConfig] | None:
        """The cameras with their new areas; None where nothing has changed, or while the file has a
        mistake."""
        stamp = self._stamp()
        if stamp is None or stamp == self._seen:
            return None
        self._seen = stamp
        try:
            now = load_config(self._path, overrides=self._overrides).cameras
        except ConfigError:
            return None
        changed = [_with_areas(camera, now.get(camera.name)) for camera in cameras]
        return changed if changed != list(cameras) else None

    def _stamp(self) -> tuple[int, int, int] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino


def _with_areas(camera: CameraConfig, now: CameraConfig | None) -> CameraConfig:
    if now is None:
        return camera
    return camera.changed(mask=now.mask, ignore_zones=now.ignore_zones)
