"""Watched days in the store, for nights that run on another machine than the one that watches.

    days/CAMERA/DATE@WATCHER/   a day as one machine has watched it

A machine that watches sends its days. A machine that runs a night downloads the day that the night
is about, and deletes it when the night is done. In a day's folder on disk, `.sent` says how much of
it was sent, `.brought` that it is another machine's.
"""

from __future__ import annotations

import logging
import secrets
import shutil
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from culling_pipeline.day.daybook import DAYBOOK
from jobs.bucket.bucket import Bucket, MissingError
from jobs.bucket.shelf import MANIFEST, Manifest, Shelf, files_below
from jobs.config.settings import Config
from models.files import replace_file

logger = logging.getLogger(__name__)

SENT, BROUGHT = ".sent", ".brought"
WATCHER_FILE = ".watcher"
KEEP_DAYS = timedelta(days=14)
"""A day that had no night is deleted from the store after this time."""


class StoredDays:
    """The watched days of all cameras in the store."""

    def __init__(self, config: Config, bucket: Bucket) -> None:
        self._config, self._bucket = config, bucket

    def dates(self, camera: str) -> set[date]:
        """The days that any machine has sent."""
        return {
            day
            for day, watcher in self._folders(camera)
            if self._bucket.has(f"{self._shelf(camera, day, watcher).place}/{MANIFEST}")
        }

    def send(self, camera: str, day: date) -> bool:
        """Send this machine's day as it is up to now; False if nothing is new. It may be written
        meanwhile: a frame that is deleted while this runs counts as seen and not stored, as
        everywhere else."""
        folder = self._config.day_dir(camera, day)
        size = str((folder / DAYBOOK).stat().st_size)
        if (folder / BROUGHT).exists() or _text(folder / SENT) == size:
            return False
        shelf = self._shelf(camera, day, self._watcher())
        shelf.manifest()  # what the store has already is not sent again
        manifest = shelf.send(
            files_below(folder),
            about={"frames_seen": (folder / DAYBOOK).read_bytes().count(b"\n")},
            may_vanish=True,
        )
        replace_file(folder / SENT, size.encode())
        shelf.tidy(manifest)
        return True

    def bring(self, camera: str, day: date) -> None:
        """Download this day unless this machine has watched it itself; if two machines did, the one
        that saw more frames."""
        folder = self._config.day_dir(camera, day)
        if (folder / DAYBOOK).exists() and not (folder / BROUGHT).exists():
            return
        try:
            self._bring(camera, day, folder)
        except MissingError:  # sent again meanwhile
            self._bring(camera, day, folder)

    def _bring(self, camera: str, day: date, folder: Path) -> None:
        found: list[tuple[int, str, Shelf, Manifest]] = []
        for watcher in (w for d, w in self._folders(camera) if d == day):
            shelf = self._shelf(camera, day, watcher)
            manifest = shelf.manifest()
            if manifest is not None:
                found.append((int(manifest.about["frames_seen"]), watcher, shelf, manifest))
        if not found:
            return
        _, _, shelf, manifest = max(found, key=lambda entry: entry[:2])
        if _text(folder / BROUGHT) != manifest.digest:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            replace_file(folder / BROUGHT, b"")
            shelf.bring(manifest, {"": folder}, exactly=True)
            replace_file(folder / BROUGHT, manifest.digest.encode())

    def let_go(self, camera: str, day: date) -> None:
        """The day has had its night: delete it everywhere but on the machine that watched it."""
        for other, watcher in self._folders(camera):
            if other == day:
                self._shelf(camera, day, watcher).remove()
        folder = self._config.day_dir(camera, day)
        if (folder / BROUGHT).exists():
            shutil.rmtree(folder, ignore_errors=True)

    def clear_old(self, camera: str, *, today: date) -> None:
        """Delete old days that never had a night."""
        for day, watcher in self._folders(camera):
            if today - day > KEEP_DAYS:
                self._shelf(camera, day, watcher).remove()

    # -- inside --------------------------------------------------------------------------------

    def _shelf(self, camera: str, day: date, watcher: str) -> Shelf:
        return Shelf(self._bucket, f"days/{camera}/{day.isoformat()}@{watcher}")

    def _folders(self, camera: str) -> list[tuple[date, str]]:
        found = []
        for name in self._bucket.folders(f"days/{camera}"):
            day, _, watcher = name.partition("@")
            with suppress(ValueError):
                found.append((date.fromisoformat(day), watcher))
        return found

    def _watcher(self) -> str:
        """A name for this machine's `data_dir` that never changes."""
        path = self._config.data_dir / WATCHER_FILE
        name = _text(path)
        if not name:
            name = secrets.token_hex(4)
            replace_file(path, name.encode())
        return name


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


def today() -> date:
    """Today's date by this machine's clock."""
    return datetime.now(UTC).astimezone().date()
