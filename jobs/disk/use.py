"""What each camera has on disk, as the disk budget has measured it last. Who shows it need not walk
the disk."""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Mapping
from pathlib import Path

logger = logging.getLogger(__name__)

GB = 10**9
FILE = "disk-use.json"


def write_use(data_dir: Path, used: Mapping[str, int]) -> None:
    """Note the bytes of each camera's frames. On a full disk the last figures stay."""
    aside = data_dir / f"{FILE}.{os.getpid()}.tmp"
    try:
        aside.write_text(json.dumps(used), encoding="utf-8")
        os.replace(aside, data_dir / FILE)
    except OSError as error:
        logger.debug("%s", error)
        aside.unlink(missing_ok=True)


class DiskUse:
    """The latest figures; the file is read when it has changed."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / FILE
        self._read_at: int | None = None
        self._used: dict[str, int] = {}
        self._reading = threading.Lock()

    def of(self, camera: str) -> int | None:
        """Bytes of this camera's frames; None while nothing has been measured."""
        with self._reading:
            try:
                changed = self._path.stat().st_mtime_ns
                if changed != self._read_at:
                    self._used = _checked(json.loads(self._path.read_text(encoding="utf-8")))
                    self._read_at = changed
            except (OSError, ValueError):
                return None
        return self._used.get(camera)


def _checked(content: object) -> dict[str, int]:
    given = content.items() if isinstance(content, dict) else ()
    return {name: size for name, size in given if type(size) is int and size >= 0}
