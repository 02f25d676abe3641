"""Whole folders in the store: files that are never overwritten, and manifests that say which of
them make up a folder.

    PLACE/NAME.<part of its SHA-256>.SUFFIX   the files
    PLACE/manifest.json                       what the folder holds: names, sizes, SHA-256

The files are uploaded first, then the manifest as one object. So a folder is complete or absent, or
if it replaces another, either the old or the new one. An upload that was cut off leaves files that
nobody reads. Downloads are checked before they are put in place.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from jobs.bucket.bucket import BATCH_BYTES, BATCH_FILES, Bucket, StorageError

MANIFEST = "manifest.json"
_Signature = tuple[int, int, int]


class Entry(BaseModel):
    """One file of a folder."""

    model_config = ConfigDict(frozen=True)

    key: str
    sha256: str
    size: int = Field(ge=0)


class Manifest(BaseModel):
    """The files that make up a folder, and what else is known about it."""

    model_config = ConfigDict(frozen=True)

    files: dict[str, Entry]
    about: dict[str, Any] = {}

    @property
    def digest(self) -> str:
        """The same for the same files."""
        listed = sorted((name, entry.sha256) for name, entry in self.files.items())
        return hashlib.sha256(repr(listed).encode()).hexdigest()

    @property
    def keys(self) -> set[str]:
        """The keys of its files, relative to its place."""
        return {entry.key for entry in self.files.values()}


class Shelf:
    """One place of the store. It remembers which files it has seen there and does not send them
    again."""

    def __init__(self, bucket: Bucket, place: str) -> None:
        self.bucket, self.place = bucket, place
        self._there: set[str] = set()
        self._seen: dict[Path, tuple[_Signature, Entry]] = {}

    def manifest(self, name: str = MANIFEST) -> Manifest | None:
        """The manifest of this place; None if nothing is complete."""
        data = self.bucket.read_one(f"{self.place}/{name}")
        if data is None:
            return None
        try:
            manifest = Manifest.model_validate_json(data)
        except ValidationError as error:
            raise StorageError(self._damaged(name)) from error
        if not all(map(_is_below, manifest.files)):
            raise StorageError(self._damaged(name))
        self._there |= manifest.keys
        return manifest

    def send(
        self,
        files: Mapping[str, Path],
        *,
        name: str = MANIFEST,
        about: Mapping[str, Any] | None = None,
        may_vanish: bool = False,
    ) -> Manifest:
        """Upload these files, given by their names in the folder, and make them the content of this
        place. With `may_vanish`, a file that no longer exists when its turn comes is left out."""
        entries: dict[str, Entry] = {}
        waiting: dict[str, bytes] = {}
        for file, path in sorted(files.items()):
            try:
                entry, data = self._entry(file, path)
            except FileNotFoundError:
                if may_vanish:
                    continue
                raise
            entries[file] = entry
            if data is not None and entry.key not in self._there:
                waiting[entry.key] = data
            if len(waiting) >= BATCH_FILES or sum(map(len, waiting.values())) >= BATCH_BYTES:
                self._write(waiting)
        self._write(waiting)
        manifest = Manifest(files=entries, about=dict(about or {}))
        self.bucket.write({f"{self.place}/{name}": manifest.model_dump_json().encode()})
        return manifest

    def bring(
        self, manifest: Manifest, folders: Mapping[str, Path], *, exactly: bool = False
    ) -> None:
        """Download the files: `folders` maps the first part of a name to a folder ("" for all).
        With `exactly`, files that are not in the manifest are deleted, except hidden ones."""
        places = {name: _where(name, folders) for name in manifest.files}
        todo = {
            name: entry
            for name, entry in manifest.files.items()
            if not _is_here(places[name], entry)
        }
        for batch in _batches(todo):
            for name, data in self.read(batch).items():
                _put(places[name], data)
        if exactly:
            for stray in set(_files_in(folders.values())) - set(places.values()):
                if not stray.name.startswith("."):
                    stray.unlink(missing_ok=True)

    def read(self, files: Mapping[str, Entry]) -> dict[str, bytes]:
        """The content of these files, checked against the manifest."""
        keys = {name: f"{self.place}/{entry.key}" for name, entry in files.items()}
        found = self.bucket.read(list(keys.values()))
        for name, entry in files.items():
            data = found[keys[name]]
            if len(data) != entry.size or hashlib.sha256(data).hexdigest() != entry.sha256:
                raise StorageError(self._damaged(name))
        return {name: found[key] for name, key in keys.items()}

    def tidy(self, manifest: Manifest, *, older_than: timedelta = timedelta(hours=1)) -> None:
        """Remove files that this manifest does not name, except new ones: they may be an upload
        under way."""
        before = datetime.now(UTC) - older_than
        wanted = {f"{self.place}/{key}" for key in (*manifest.keys, MANIFEST)}
        found = self.bucket.keys(self.place)
        self.bucket.delete(
            [key for key, at in found.items() if key not in wanted and at and at <= before]
        )

    def remove(self) -> None:
        """Remove all of it, the manifest first."""
        keys = list(self.bucket.keys(self.place))
        self.bucket.delete([key for key in keys if key.endswith(".json")])
        self.bucket.delete(keys)
        self._there.clear()

    def _write(self, waiting: dict[str, bytes]) -> None:
        self.bucket.write({f"{self.place}/{key}": data for key, data in waiting.items()})
        self._there |= waiting.keys()
        waiting.clear()

    def _entry(self, name: str, path: Path) -> tuple[Entry, bytes | None]:
        """The manifest's entry of a file, and the file's content if it had to be read."""
        stat = path.stat()
        signature = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        known = self._seen.get(path)
        if known is not None and known[0] == signature and known[1].key in self._there:
            return known[1], None
        data = path.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        whole = PurePosixPath(name)
        key = str(whole.with_name(f"{whole.stem}.{digest[:16]}{whole.suffix}"))
        entry = Entry(key=key, sha256=digest, size=len(data))
        self._seen[path] = (signature, entry)
        return entry, data

    def _damaged(self, what: str) -> str:
        return (
            f"storage: {self.bucket.shown}: {self.place}: {what} is damaged there: it is not used; "
            "delete that folder, and a machine that has it sends it again"
        )


def files_below(folder: Path, prefix: str = "") -> dict[str, Path]:
    """The files of a folder by name, without half-written and hidden ones."""
    found = {}
    for path in _files_in([folder]):
        name = path.relative_to(folder).as_posix()
        if not (name.startswith(".") or "/." in name or name.endswith(".tmp")):
            found[prefix + name] = path
    return found


def _files_in(folders: Iterable[Path]) -> Iterator[Path]:
    for folder in folders:
        for here, _, names in os.walk(folder):
            yield from (Path(here, name) for name in names)


def _where(name: str, folders: Mapping[str, Path]) -> Path:
    first, _, rest = name.partition("/")
    return folders[first] / rest if first in folders else folders[""] / name


def _is_below(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and path.name != ""


def _is_here(path: Path, entry: Entry) -> bool:
    try:
        if path.stat().st_size != entry.size:
            return False
        return hashlib.sha256(path.read_bytes()).hexdigest() == entry.sha256
    except OSError:
        return False


def _put(path: Path, data: bytes) -> None:
    """Write a file completely or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    aside = path.with_name(path.name + ".tmp")
    try:
        aside.write_bytes(data)
        aside.replace(path)
    except OSError:
        aside.unlink(missing_ok=True)
        raise


def _batches(files: Mapping[str, Entry]) -> Iterator[dict[str, Entry]]:
    batch: dict[str, Entry] = {}
    size = 0
    for name, entry in files.items():
        batch[name], size = entry, size + entry.size
        if len(batch) >= BATCH_FILES or size >= BATCH_BYTES:
            yield batch
            batch, size = {}, 0
    if batch:
        yield batch
