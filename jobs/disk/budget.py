"""The disk budget: for all frames, for each camera, and the space that must stay free.

The order in which pictures are deleted: frames of finished nights (the report shows what mattered
of them), then watched days that have had their night, then days that still wait for theirs; the
oldest first in each. Of a waiting day, the easiest frames go first and the control slice last.
"""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from culling_pipeline.day.daybook import DayClock
from culling_pipeline.day.frame_files import frame_name
from culling_pipeline.day.watched_day import DayInUseError, DayWriter
from jobs.cameras.day_plan import ingest_plan
from jobs.cameras.watched_days import days_done, watched_days
from jobs.config.settings import CameraConfig, Config
from jobs.database.store import Store
from jobs.disk.use import GB, write_use

logger = logging.getLogger(__name__)

RESUME_ABOVE = 1.1
"""Writing resumes when this many times the minimum is free, so that it does not flicker."""
AFTER_HIT_S = 5.0
"""How long the disk counts as full after it said so."""


class FreeSpace:
    """Whether enough space is free to write; one line in the log for each change."""

    def __init__(
        self,
        data_dir: Path,
        min_free_bytes: float,
        *,
        free: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._data_dir, self._min_free = data_dir, min_free_bytes
        self._free, self._clock = free, clock
        self._looked_s = float("-inf")
        self._open = True

    @property
    def may_write(self) -> bool:
        """Looks at the disk once a second at most."""
        if self._clock() - self._looked_s >= 1.0:
            self._looked_s = self._clock()
            factor = 1.0 if self._open else RESUME_ABOVE
            self._set(self._free(self._data_dir) >= self._min_free * factor)
        return self._open

    @property
    def lacking(self) -> float:
        """Bytes to delete until enough is free, with some to spare."""
        return max(0.0, self._min_free * 1.2 - self._free(self._data_dir))

    def hit(self) -> None:
        """A write failed because the disk is full: write nothing for a while."""
        self._looked_s = self._clock() + AFTER_HIT_S
        self._set(may_write=False)

    def _set(self, may_write: bool) -> None:
        if may_write != self._open:
            self._open = may_write
            if may_write:
                logger.info("there is room on disk again: frames are stored")
            else:
                logger.warning(
                    "less than %.3g GB are free on the disk of %s: no frame is stored until there "
                    "is room (disk.min_free_gb)",
                    self._min_free / GB,
                    self._data_dir,
                )


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder that can be deleted as a whole: one camera's pictures of one day or night."""

    camera: str
    day: str
    path: Path


class DiskBudget:
    """Keeps frames within their budgets. With `finished_only`, days that wait for their night are
    left to the process that writes them."""

    def __init__(
        self, config: Config, store: Store, free_space: FreeSpace, *, finished_only: bool = False
    ) -> None:
        self._config, self._store, self._free_space = config, store, free_space
        self._finished_only = finished_only

    def enforce(self, open_days: Mapping[str, DayWriter]) -> None:
        """Delete what is over a budget, or until enough space is free. Everything is measured once.
        `open_days` are the days that this process is writing, by camera."""
        used = {name: self._used(name) for name in self._cameras_on_disk()}
        for name, camera in self._config.cameras.items():
            if camera.disk_budget_gb is not None and name in used:
                over = used[name] - camera.disk_budget_gb * GB
                used[name] -= self._free([name], over, open_days)
        write_use(self._config.data_dir, used)
        over = sum(used.values()) - self._config.disk.budget_gb * GB
        self._free(sorted(used), max(over, self._free_space.lacking), open_days)

    def _cameras_on_disk(self) -> list[str]:
        roots = (self._config.data_dir / "days", self._config.data_dir / "frames")
        return sorted({path.name for root in roots for path in root.glob("*") if path.is_dir()})

    def _used(self, camera: str) -> int:
        """Bytes of a camera's pictures and daybooks; a file that is linked twice counts once."""
        roots = [self._config.data_dir / kind / camera for kind in ("days", "frames")]
        sizes = {(s.st_dev, s.st_ino): s.st_size for root in roots for s in _stats(root)}
        return sum(sizes.values())

    def _free(self, cameras: list[str], wanted: float, open_days: Mapping[str, DayWriter]) -> int:
        """Delete pictures of `wanted` bytes, or all that may go; the bytes that were freed."""
        freed = 0
        if wanted <= 0:
            return freed
        for folder in [*self._finished_nights(cameras), *self._finished_days(cameras, open_days)]:
            logger.info("making room: %s of %s goes", folder.camera, folder.day)
            freed += sum(map(_worth, _stats(folder.path)))
            shutil.rmtree(folder.path, ignore_errors=True)
            if freed >= wanted:
                return freed
        for control in () if self._finished_only else (False, True):
            for day, name in self._waiting_days(cameras):
                freed += self._thin(name, day, wanted - freed, open_days, control=control)
                if freed >= wanted:
                    return freed
        return freed

    def _finished_nights(self, cameras: Iterable[str]) -> list[_Folder]:
        folders = []
        for camera in cameras:
            unfinished = {n.run_id for n in self._store.nights(camera) if n.state != "done"}
            root = self._config.data_dir / "frames" / camera
            folders += [
                _Folder(camera, path.name, path)
                for path in root.glob("*")
                if path.name not in unfinished
            ]
        return sorted(folders, key=lambda folder: folder.day)

    def _finished_days(
        self, cameras: Iterable[str], open_days: Mapping[str, DayWriter]
    ) -> list[_Folder]:
        folders = []
        for camera in cameras:
            done = days_done(self._store, camera)
            busy = {open_days[camera].clock.day} if camera in open_days else set()
            known = camera in self._config.cameras
            for day in watched_days(self._config, camera):
                if day not in busy and day < _today() and (day in done or not known):
                    path = self._config.day_dir(camera, day)
                    folders.append(_Folder(camera, day.isoformat(), path))
        return sorted(folders, key=lambda folder: folder.day)

    def _waiting_days(self, cameras: Iterable[str]) -> list[tuple[date, str]]:
        known = [name for name in cameras if name in self._config.cameras]
        return sorted((day, name) for name in known for day in watched_days(self._config, name))

    def _thin(
        self,
        name: str,
        day: date,
        wanted: float,
        open_days: Mapping[str, DayWriter],
        *,
        control: bool,
    ) -> int:
        camera, own = self._config.cameras[name], open_days.get(name)
        if own is not None and own.clock.day == day:
            return thin_day(own, wanted, control=control)
        try:
            with closing(_reopened(self._config, camera, day)) as stored:
                return thin_day(stored, wanted, control=control)
        except DayInUseError:
            return 0


def thin_day(stored: DayWriter, wanted: float, *, control: bool) -> int:
    """Delete frames of `wanted` bytes and return the bytes that were freed: the easiest frames
    first or, with `control`, the control slice, the earliest first. Frames that a night has linked
    stay: deleting them would free nothing."""
    day, slice_ = stored.day, stored.day.control_ids
    order = (
        sorted(slice_)
        if control
        else sorted(set(day.frames) - slice_, key=lambda i: day.frames[i].loss)
    )
    gone, freed = [], 0
    for frame_id in order:
        if freed >= wanted:
            break
        worth = _worth((day.folder / frame_name(frame_id)).stat())
        if worth:
            freed += worth
            gone.append(frame_id)
    logger.info("making room: %d frames of %s go", len(gone), stored.folder)
    stored.give_up(gone, datetime.now(UTC))
    return freed


def _worth(picture: os.stat_result) -> int:
    """Bytes that deleting it frees."""
    return picture.st_size if picture.st_nlink == 1 else 0


def _reopened(config: Config, camera: CameraConfig, day: date) -> DayWriter:
    return DayWriter(
        config.day_dir(camera.name, day),
        ingest_plan(camera),
        clock=DayClock.on(day),
    )


def _stats(root: Path) -> Iterable[os.stat_result]:
    for folder, _, names in os.walk(root):
        for name in names:
            try:
                yield os.stat(os.path.join(folder, name))
            except FileNotFoundError:
                continue


def _today() -> date:
    return datetime.now().astimezone().date()
