"""config.yaml while a command is at work: cameras that come, go or change are taken up without a
restart."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jobs.config.load import load_config
from jobs.config.settings import Config
from jobs.errors import ConfigError

logger = logging.getLogger(__name__)

TAKEN_UP = ("cameras", "groups")
"""Everything else is of the machine and counts from the next start."""
MOST_NAMED = 10

Stamp = tuple[int, int, int]


class FollowedConfig:
    """Looks whether the file says something else of cameras and groups by now. While it has a
    mistake, all stays as it was."""

    def __init__(self, config: Config, path: Path, overrides: Mapping[str, Any]) -> None:
        self.config = config
        self._path, self._overrides = path, overrides
        self._read = self._written = self._stamp()
        self._mistake: str | None = None

    def look(self) -> Config | None:
        """The configuration with the cameras and groups of now; None where they are as before. Call
        it about once a second: a file that has just changed is read at the next look, when it is
        written to its end."""
        stamp = self._stamp()
        if stamp is None or stamp == self._read:
            return None
        if stamp != self._written:
            self._written = stamp
            return None
        self._read = stamp
        try:
            now = load_config(self._path, overrides=self._overrides)
        except ConfigError as error:
            self._say_mistake(str(error))
            return None
        return self._taken_up(now)

    def _say_mistake(self, mistake: str) -> None:
        if mistake != self._mistake:
            said = "; ".join(mistake.splitlines())
            logger.warning("%s; all cameras stay as they were until it is mended", said)
        self._mistake = mistake

    def _taken_up(self, now: Config) -> Config | None:
        before, self._mistake = self.config, None
        waits = [
            key
            for key in Config.model_fields
            if key not in TAKEN_UP and getattr(now, key) != getattr(before, key)
        ]
        if waits:
            logger.info("%s: %s: counts from the next start", self._path.name, ", ".join(waits))
        if now.cameras == before.cameras and now.groups == before.groups:
            return None
        logger.info("%s: %s", self._path.name, _in_words(before, now))
        self.config = before.changed(cameras=now.cameras, groups=now.groups)
        return self.config

    def _stamp(self) -> Stamp | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino


def _in_words(before: Config, now: Config) -> str:
    came = [name for name in now.cameras if name not in before.cameras]
    gone = [name for name in before.cameras if name not in now.cameras]
    other = [
        name
        for name, camera in now.cameras.items()
        if name in before.cameras and camera != before.cameras[name]
    ]
    said = [
        f"{what} {_named(names)}"
        for what, names in (("new camera", came), ("without camera", gone), ("changed", other))
        if names
    ]
    if now.groups != before.groups:
        said.append("other groups")
    return ", ".join(said)


def _named(names: list[str]) -> str:
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
