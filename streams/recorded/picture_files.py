"""The picture files of a folder: which are read, which are not, and the order a person would count
them in."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from streams.base import SourceNotFoundError, SourceUnreadableError

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})
OTHER_SUFFIXES = frozenset(
    {".heic", ".heif", ".avif", ".tif", ".tiff", ".gif", ".jp2", ".jxl", ".dng", ".raw", ".nef"}
    | {".cr2", ".cr3", ".arw", ".mp4", ".mov", ".avi", ".mkv", ".ts", ".webm"}
)
"""Pictures and videos that are not read, and not passed over in silence either."""

DEEPEST = 12
"""Folders in folders are looked into so far."""


@dataclass(frozen=True, slots=True)
class Listing:
    """The pictures below a folder, by their paths from there (with `/`), and how many files there
    are of kinds that are not read."""

    folder: Path
    names: Sequence[str]
    others: Counter[str] = field(default_factory=Counter)

    @property
    def flat(self) -> Listing:
        """Those in the folder itself."""
        return Listing(self.folder, [n for n in self.names if "/" not in n], self.others)

    def path(self, name: str) -> Path:
        """Where a picture lies."""
        return self.folder / name


def list_pictures(folder: Path, *, where: str, nested: bool) -> Listing:
    """What is in the folder, and in those in it if they are `nested`; in natural order. Raises a
    `StreamError` if it cannot be listed; a folder in it that cannot be is passed over."""
    if not os.path.isdir(folder):
        message = f"{where}: no such folder; check the path in this camera's url"
        raise SourceNotFoundError(message)
    names: list[str] = []
    others: Counter[str] = Counter()
    try:
        files = list(_files(folder, "", DEEPEST if nested else 0))
    except OSError as exc:
        message = f"{where}: cannot be listed ({exc.strerror}); check its permissions"
        raise SourceUnreadableError(message) from exc
    for name in files:
        suffix = PurePosixPath(name).suffix.lower()
        if suffix in IMAGE_SUFFIXES:
            names.append(name)
        elif suffix in OTHER_SUFFIXES:
            others[f"of a kind that is not read ({suffix[1:].upper()})"] += 1
    return Listing(folder, sorted(names, key=lambda name: (natural_key(name), name)), others)


def _files(folder: Path, before: str, deeper: int) -> Iterator[str]:
    """Hidden files are left out: macOS leaves `._name.jpg` beside each image it copies. So are
    folders of a disk station's own thumbnails (`@eaDir`), and links to folders, which may go round
    in a circle."""
    try:
        entries = os.scandir(folder)
    except OSError:
        if not before:
            raise
        return
    with entries:
        for entry in entries:
            if entry.name[0] == ".":
                continue
            if entry.is_dir(follow_symlinks=False):
                if deeper and entry.name[0] != "@":
                    yield from _files(folder / entry.name, f"{before}{entry.name}/", deeper - 1)
            elif _is_file(entry):
                yield before + entry.name


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:
        return False


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sorts img2 before img10: runs of digits count as numbers, case is ignored."""
    parts = re.split(r"(\d+)", name.casefold())
    return tuple((0, int(p), "") if p.isdecimal() else (1, 0, p) for p in parts if p)


def allowed_suffixes() -> str:
    """In words."""
    return ", ".join(sorted(suffix[1:] for suffix in IMAGE_SUFFIXES))
