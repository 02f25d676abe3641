"""When the pictures of a folder were taken: by their names, else by what the camera wrote into them
(EXIF), else by when the files were written. One of these goes for a whole folder.

A folder whose pictures are numbered has no times: it is played at one picture a second.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, tzinfo
from itertools import groupby
from pathlib import Path
from typing import Literal, Protocol

from streams.base import DAY_S
from streams.recorded.days import Days
from streams.recorded.exif import HEAD_BYTES, taken_at
from streams.recorded.header import EARLIEST_YEAR
from streams.recorded.name_times import NameTimes
from streams.recorded.path_times import PathTime, PathTimes
from streams.recorded.picture_files import Listing

TimeFrom = Literal["name", "exif", "file"]

MOST_OF_THEM = 0.9
"""A folder has times in its names (or in EXIF) if so many of its pictures do; a few others are
usual: a thumbnail, a picture of the place."""

TRIED = 15
"""So many pictures, evenly spaced, say whether a folder's pictures have EXIF."""

MOST_BYTES = 32 * 1024 * 1024
AHEAD_S = DAY_S
"""A picture dated further in the future was dated wrongly; one less far may be of another zone."""

IN_WORDS: dict[TimeFrom, str] = {
    "name": "their names",
    "exif": "EXIF",
    "file": "their files' times",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureOptions:
    """How the pictures of a folder are dated (`numbered`: not at all, `auto`: as they are), and
    which days of them are taken. `zone` is what the camera's clock shows; days begin at midnight in
    `local` (None: there, too)."""

    time: Literal["auto", "numbered"] | TimeFrom = "auto"
    pattern: str | None = None
    zone: tzinfo = UTC
    days: Days = field(default_factory=Days)
    local: tzinfo | None = None

    @property
    def day_zone(self) -> tzinfo:
        """Where days begin at midnight."""
        return self.local or self.zone


@dataclass(frozen=True, slots=True)
class Dated:
    """The pictures that have times, by time (seconds since 1970), each moment once; what they were
    dated by, and what was left out."""

    by: TimeFrom
    names: Sequence[str]
    times_s: Sequence[float]
    left_out: Counter[str]

    def of_days(self, days: Days, zone: tzinfo, today: date) -> Dated:
        """Those of the days that are taken."""
        local = [_day(at_s, zone) for at_s in self.times_s]
        taken = days.chosen(set(local), today)
        rows = [i for i, day in enumerate(local) if day in taken]
        names, times_s = [self.names[i] for i in rows], [self.times_s[i] for i in rows]
        return Dated(self.by, names, times_s, self.left_out)

    def day_range(self, zone: tzinfo) -> tuple[date, date]:
        """The first and the last day; there must be a picture."""
        return _day(self.times_s[0], zone), _day(self.times_s[-1], zone)


class _Finder(Protocol):
    def find(self, path: str) -> PathTime | None:
        """The time in a path."""


def date_pictures(listing: Listing, options: PictureOptions, *, now_s: float) -> Dated | None:
    """When each picture was taken; None where they are numbered. Raises `PatternError`."""
    if options.time == "numbered":
        return None
    named = _named(listing, options)
    by = options.time if options.time != "auto" else _kind(listing, options, named)
    if by is None:
        return None
    left_out: Counter[str] = Counter()
    found: list[tuple[float, str]] = []
    for name in listing.names:
        at_s, lacks = _time_s(listing, name, by, named=named, options=options)
        if at_s is None:
            left_out[lacks] += 1
        elif at_s > now_s + AHEAD_S:
            left_out["dated in the future"] += 1
        elif at_s < _EARLIEST_S:
            left_out[f"dated before {EARLIEST_YEAR}"] += 1
        else:
            found.append((at_s, name))
    return _each_moment_once(by, found, left_out)


_EARLIEST_S = datetime(EARLIEST_YEAR, 1, 1, tzinfo=UTC).timestamp()


def _named(listing: Listing, options: PictureOptions) -> dict[str, PathTime]:
    """The times in names, by the names that have one."""
    finder: _Finder = NameTimes(options.zone)
    if options.pattern is not None:
        finder = PathTimes(options.pattern, options.zone)
    elif options.time in ("exif", "file"):
        return {}
    found = ((name, finder.find(name)) for name in listing.names)
    return {name: time for name, time in found if time is not None}


def _kind(listing: Listing, options: PictureOptions, named: dict[str, PathTime]) -> TimeFrom | None:
    """What these pictures are dated by. Where some lie in the folder itself, and have no times in
    their names, they are numbered: that is what such a folder has always been."""
    top = listing.flat.names or listing.names
    if options.pattern is not None or sum(n in named for n in top) >= MOST_OF_THEM * len(top):
        return "name"
    if listing.flat.names:
        return None
    return "exif" if has_exif(listing, options.zone) else "file"


def has_exif(listing: Listing, zone: tzinfo) -> bool:
    """Whether these pictures tell when they were taken, by a few of them."""
    some = listing.names[:: max(1, len(listing.names) // TRIED)]
    told = sum(_exif(listing.path(name), zone) is not None for name in some)
    return told >= MOST_OF_THEM * len(some)


def _time_s(
    listing: Listing,
    name: str,
    by: TimeFrom,
    *,
    named: dict[str, PathTime],
    options: PictureOptions,
) -> tuple[float | None, str]:
    """The picture's time, or why it has none."""
    path = listing.path(name)
    if by == "file":
        return _written_s(path), "gone"
    time = named.get(name) if by == "name" else _exif(path, options.zone)
    if time is None and by == "name" and options.time == "auto" and options.pattern is None:
        time = _exif(path, options.zone)
    if time is None:
        return None, _lacks(by, options)
    written_s = _written_s(path) if time.again_s is not None else None
    return time.settled_s(written_s), ""


def _lacks(by: TimeFrom, options: PictureOptions) -> str:
    if by == "exif":
        return "without a time in EXIF"
    return "not of the pattern" if options.pattern is not None else "without a time in the name"


def _each_moment_once(
    by: TimeFrom, found: list[tuple[float, str]], left_out: Counter[str]
) -> Dated:
    """Several pictures of one second in one folder are a burst, in the order of their names, and
    are spread over it. Of several folders the one that lies least deep counts: thumbnails lie in a
    folder deeper."""
    names: list[str] = []
    times_s: list[float] = []
    ordered = sorted(found, key=_time_and_depth)
    for at_s, same in groupby(ordered, key=lambda one: round(one[0], 6)):
        moment = [name for _, name in same]
        burst = [name for name in moment if _folder(name) == _folder(moment[0])]
        if len(burst) < len(moment):
            left_out["of the same moment as another"] += len(moment) - len(burst)
        names += burst
        times_s += [at_s + number / len(burst) for number in range(len(burst))]
    return _in_order(by, names, times_s, left_out)


def _in_order(
    by: TimeFrom, names: list[str], times_s: list[float], left_out: Counter[str]
) -> Dated:
    """A burst may reach past the next moment, where times have fractions of a second."""
    rows = sorted(range(len(names)), key=lambda i: times_s[i])
    rows = [i for n, i in enumerate(rows) if not n or times_s[i] > times_s[rows[n - 1]]]
    if len(rows) < len(names):
        left_out["of the same moment as another"] += len(names) - len(rows)
    return Dated(by, [names[i] for i in rows], [times_s[i] for i in rows], left_out)


def _time_and_depth(one: tuple[float, str]) -> tuple[float, int]:
    return round(one[0], 6), one[1].count("/")


def _folder(name: str) -> str:
    return name.rpartition("/")[0]


def _exif(path: Path, zone: tzinfo) -> PathTime | None:
    try:
        with path.open("rb") as file:
            data = file.read(HEAD_BYTES)
            if data.startswith(b"RIFF"):  # a WebP has it at its end
                data += file.read(MOST_BYTES)
    except OSError:
        return None
    return taken_at(data, zone)


def _written_s(path: Path) -> float | None:
    try:
        return path.stat().st_mtime
    except OSError:
        return None


def _day(at_s: float, zone: tzinfo) -> date:
    return datetime.fromtimestamp(at_s, zone).date()
