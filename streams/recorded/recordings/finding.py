"""Which layout a folder has, which cameras are in it, and this camera's segments."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime, tzinfo
from typing import NamedTuple

from streams.base import SourceNotFoundError, SourceUnreadableError, SourceUrlError, printable
from streams.recorded.path_times import PathTimes, PatternError
from streams.recorded.recordings.layouts import AUTO, LAYOUTS, NAMES, Layout, layout_named
from streams.recorded.recordings.listing import Lister, Listing, Period, days_of, some_files
from streams.recorded.recordings.options import RecordingsOptions

LEAST_SHARE = 0.5
"""So much of the files that were looked at must fit a pattern."""

SHOWN = 12
"""So many cameras are named in a message."""


class Found(NamedTuple):
    """A layout's name, its pattern compiled, the segments of the period, and all days of which
    there is something."""

    layout: str
    times: PathTimes
    listing: Listing
    days: tuple[date, ...]


def find_segments(root: str, options: RecordingsOptions, *, own_name: str, where: str) -> Found:
    """This camera's segments of the period: of the camera that the options name, else of the only
    one there is, else of the one that is called as here (`own_name`). Raises a `StreamError` that
    says what is wrong, which cameras there are, or when there are recordings."""
    _require_folder(root, where)
    layout, times = find_layout(root, options, where=where)
    period, camera = options.period(), options.recorder_camera
    lister = Lister(root, times, camera=camera)
    listing = _listed(lister, period, where)
    if camera is None and len(listing.cameras) > 1 and own_name in listing.cameras:
        lister = Lister(root, times, camera=own_name)
        listing = _listed(lister, period, where)
    elif camera is None and len(listing.cameras) > 1:
        message = (
            f"{where}: recordings of several cameras ({_few(listing.cameras)}): name one under "
            "`recordings:`, such as camera: " + min(listing.cameras)
        )
        raise SourceUrlError(message)
    if not listing.segments:
        raise _nothing(root, times, options, period, where=where)
    return Found(layout, times, listing, lister.days() or days_of(listing.segments, times))


def find_layout(root: str, options: RecordingsOptions, *, where: str) -> tuple[str, PathTimes]:
    """The layout's name and pattern: as named, as written, or by a few of the files."""
    named = layout_named(options.layout)
    if named is None and options.layout != AUTO:
        return options.layout, _compiled(options.layout, options.zone, where)
    candidates = LAYOUTS if named is None else (named,)
    try:
        files = some_files(root)
    except OSError as exc:
        message = f"{where}: cannot be listed ({exc.strerror}); check its permissions"
        raise SourceUnreadableError(message) from exc
    if not files:
        message = f"{where}: no video in this folder or below it; check the path"
        raise SourceUnreadableError(message)
    best = max(
        ((layout, times) for layout in candidates for times in _patterns(layout, options.zone)),
        key=lambda entry: _fitting(entry[1], files),
    )
    if _fitting(best[1], files) < LEAST_SHARE * len(files):
        known = named.name if named is not None else f"any of {', '.join(NAMES)}"
        message = (
            f"{where}: files such as {printable(files[0])!r} are not as {known} names them: write "
            "how they are named under `recordings:`, such as "
            'layout: "%Y/%m/%d/yard_%H%M%S.mp4"'
        )
        raise SourceUrlError(message)
    return best[0].name, best[1]


def _require_folder(root: str, where: str) -> None:
    if os.path.isdir(root):
        return
    if os.path.exists(root):
        message = f"{where}: not a folder; give the recorder's folder, or a video file without "
        message += "`recordings:`"
        raise SourceUnreadableError(message)
    message = f"{where}: no such folder; check the path, and that the recorder's disk is mounted"
    raise SourceNotFoundError(message)


def _compiled(pattern: str, zone: tzinfo, where: str) -> PathTimes:
    try:
        return PathTimes(pattern, zone)
    except PatternError as exc:
        message = f"{where}: {exc}"
        raise SourceUrlError(message) from exc


def _patterns(layout: Layout, zone: tzinfo) -> list[PathTimes]:
    return [PathTimes(p, UTC if layout.in_utc else zone) for p in layout.patterns]


def _fitting(times: PathTimes, files: list[str]) -> int:
    return sum(times.find(path) is not None for path in files)


def _listed(lister: Lister, period: Period | None, where: str) -> Listing:
    try:
        return lister.list(period)
    except OSError as exc:
        message = f"{where}: cannot be listed ({exc.strerror}); check its permissions"
        raise SourceUnreadableError(message) from exc


def _nothing(
    root: str, times: PathTimes, options: RecordingsOptions, period: Period, *, where: str
) -> SourceUnreadableError | SourceUrlError:
    """Why there is nothing: another camera's name, another time, or files of another kind."""
    everything = _listed(Lister(root, times), None, where)
    camera = options.recorder_camera
    if camera is not None and camera not in everything.cameras:
        there = _few(everything.cameras) if everything.cameras else "no camera's name"
        return SourceUrlError(
            f"{where}: no recordings of a camera {camera!r}; there are: {there}; mend camera: "
            "under `recordings:`"
        )
    mine = _listed(Lister(root, times, camera=camera), None, where).segments
    if mine:
        seen = f"they go from {_shown(mine[0].start_s)} to {_shown(mine[-1].start_s)}"
        advice = "does the recorder still run, and is time_zone: under `recordings:` its own?"
    elif everything.unreadable:
        seen = f"{everything.unreadable} files that only the recorder's own program can read"
        advice = "let it write MP4"
    else:
        seen, advice = f"no file is named like {times.pattern}", "check layout: and the path"
    return SourceUnreadableError(
        f"{where}: no recording from {_shown(period.since_s)} to {_shown(period.until_s)} "
        f"({seen}); {advice}"
    )


def _shown(moment_s: float) -> str:
    return f"{datetime.fromtimestamp(moment_s, UTC):%Y-%m-%d %H:%M} UTC"


def _few(names: set[str]) -> str:
    ordered = [printable(name) for name in sorted(names)]
    more = f" and {len(ordered) - SHOWN} more" if len(ordered) > SHOWN else ""
    return ", ".join(ordered[:SHOWN]) + more
