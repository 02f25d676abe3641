"""Lists a recorder's files: names only, and only the folders of the days that are asked for.

A month of three cameras is 200,000 files. None is opened here, and none looked at (`stat`) except
those whose local time came twice, when the clocks were set back, and then a few others.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from statistics import median
from typing import NamedTuple

from streams.recorded.path_times import PathTime, PathTimes
from streams.recorded.recordings.layouts import OTHERS_ALONE, VIDEO_SUFFIXES

CAMERA = "camera"
"""The name in a pattern that says whose files these are."""

SAMPLED_FILES, SAMPLED_FOLDERS, SAMPLED_ENTRIES = 60, 300, 4000
"""How far a folder is looked into to know its layout."""

DEEPEST = 9

WRITTEN_OF, LONGEST_S = 9, 7200.0
"""Of so many files it is asked when they were written, and no recorder's are longer than this."""


class Segment(NamedTuple):
    """One file: when it begins, in seconds since 1970, and its path within the folder."""

    start_s: float
    path: str


@dataclass(frozen=True, slots=True)
class Period:
    """From `since_s` up to `until_s`, in seconds since 1970."""

    since_s: float
    until_s: float

    def days(self, times: PathTimes) -> tuple[date, date]:
        """The recorder's days, with one to spare on each side: a segment may begin the day
        before."""
        first, last = (
            datetime.fromtimestamp(s, UTC).astimezone(times.zone).date()
            for s in (self.since_s, self.until_s)
        )
        return first - timedelta(days=1), last + timedelta(days=1)


@dataclass(slots=True)
class Listing:
    """What was found: segments in their order, those whose time the clock showed `twice`, as long
    as it is not settled, the cameras they are of, how many files the pattern does not fit, and how
    many only their own program can read."""

    segments: list[Segment] = field(default_factory=list)
    twice: list[tuple[PathTime, str]] = field(default_factory=list)
    cameras: set[str] = field(default_factory=set)
    strange: int = 0
    unreadable: int = 0


class Lister:
    """Lists one folder by one pattern; with `camera` only what is of it."""

    def __init__(self, root: str, times: PathTimes, *, camera: str | None = None) -> None:
        self._root, self._times, self._camera = root, times, camera

    def list(self, period: Period | None = None) -> Listing:
        """All segments that may lie in the period (without one: all there are), by their start.
        Raises `OSError` if the folder itself cannot be listed."""
        days = None if period is None else period.days(self._times)
        found = Listing()
        self._walk("", 0, days, found)
        self._settle(found)
        if period is not None:
            found.segments = within(found.segments, period)
        else:
            found.segments.sort()
        return found

    def days(self) -> tuple[date, ...]:
        """The recorder's days that have a folder, in order; none where no folder names a day."""
        found: set[date] = set()
        self._note_days("", found)
        return tuple(sorted(found))

    def _note_days(self, prefix: str, to: set[date]) -> None:
        """Only as deep as the folders that name a day."""
        try:
            with os.scandir(os.path.join(self._root, prefix)) as entries:
                names = [e.name for e in entries if e.name[0] != "." and e.is_dir()]
        except OSError:
            return
        for folder in (prefix + name for name in names):
            if not self._belongs(folder, None):
                continue
            days = self._times.folder_days(folder)
            if days is not None and days[0] == days[1]:
                to.add(days[0])
            else:
                self._note_days(f"{folder}/", to)

    def _walk(self, prefix: str, depth: int, days: tuple[date, date] | None, to: Listing) -> None:
        at_files = depth == self._times.depth
        folder = os.path.join(self._root, prefix)
        try:
            with os.scandir(folder) as entries:
                if at_files:
                    for entry in entries:
                        self._note(prefix + entry.name, entry, to)
                    return
                names = [e.name for e in entries if e.name[0] != "." and e.is_dir()]
        except OSError:
            if not prefix:
                raise
            return  # deleted by the recorder in the meantime, or not ours to read
        for name in sorted(names):
            if self._belongs(prefix + name, days):
                self._walk(f"{prefix}{name}/", depth + 1, days, to)

    def _belongs(self, folder: str, days: tuple[date, date] | None) -> bool:
        times = self._times
        if not times.fits_folder(folder):
            return False
        if self._camera is not None:
            camera = times.folder_names(folder).get(CAMERA)
            if camera is not None and camera != self._camera:
                return False
        holds = None if days is None else times.folder_days(folder)
        return holds is None or days is None or (holds[0] <= days[1] and holds[1] >= days[0])

    def _note(self, path: str, entry: os.DirEntry[str], to: Listing) -> None:
        suffix = _suffix(path)
        if suffix not in VIDEO_SUFFIXES:
            to.unreadable += suffix in OTHERS_ALONE
            return
        found = self._times.find(path)
        if found is None or entry.name[0] == ".":
            to.strange += 1
            return
        camera = found.names.get(CAMERA)
        if camera is not None:
            to.cameras.add(camera)
            if self._camera is not None and camera != self._camera:
                return
        if found.again_s is None:
            to.segments.append(Segment(found.at_s, path))
        else:
            to.twice.append((found, path))

    def _settle(self, found: Listing) -> None:
        """Times that the clock showed twice: by when the files were last written, less how long
        after their beginning a few of the others were."""
        if not found.twice:
            return
        some = found.segments[:: max(1, len(found.segments) // WRITTEN_OF)]
        after_s = [at - s.start_s for s in some if (at := self._written_s(s.path)) is not None]
        usual_s = median(after_s) if after_s else 0.0
        length_s = usual_s if 0 < usual_s <= LONGEST_S else 0.0  # else they are copies
        for time, path in found.twice:
            start_s = time.settled_s(self._written_s(path), length_s=length_s)
            found.segments.append(Segment(start_s, path))
        found.twice.clear()

    def _written_s(self, path: str) -> float | None:
        try:
            return os.stat(os.path.join(self._root, path)).st_mtime
        except OSError:
            return None


def within(segments: list[Segment], period: Period) -> list[Segment]:
    """Those that begin in the period, and the last one before, which may reach into it."""
    ordered = sorted(s for s in segments if s.start_s < period.until_s)
    first = next((i for i, s in enumerate(ordered) if s.start_s >= period.since_s), len(ordered))
    return ordered[max(0, first - 1) :]


def _suffix(path: str) -> str:
    return path[path.rfind(".") :].lower()


def days_of(segments: list[Segment], times: PathTimes) -> tuple[date, ...]:
    """The recorder's days of these segments, in order."""
    zone = times.zone
    return tuple(sorted({datetime.fromtimestamp(s.start_s, zone).date() for s in segments}))


def some_files(root: str) -> list[str]:
    """A few videos' paths within a folder, from several of its folders, the newest names first."""
    found: list[str] = []
    for number, (prefix, files) in enumerate(_folders(root, "", 0), 1):
        videos = [n for n in files if _suffix(n) in VIDEO_SUFFIXES]
        found += [prefix + name for name in sorted(videos)[-5:]]
        if len(found) >= SAMPLED_FILES or number >= SAMPLED_FOLDERS:
            break
    return found


def _folders(root: str, prefix: str, depth: int) -> Iterator[tuple[str, list[str]]]:
    """Folder by folder, depth first: its path and the names of its files."""
    files: list[str] = []
    below: list[str] = []
    try:
        with os.scandir(os.path.join(root, prefix)) as entries:
            for entry in islice(entries, SAMPLED_ENTRIES):
                if entry.name[0] != ".":
                    (below if entry.is_dir() else files).append(entry.name)
    except OSError:
        if not prefix:
            raise
        return
    yield prefix, files
    if depth < DEEPEST:
        for name in sorted(below, reverse=True):
            yield from _folders(root, f"{prefix}{name}/", depth + 1)
