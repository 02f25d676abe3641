"""A camera's model versions on disk, ROOT/CAMERA/VERSION/: which one is in use, which are pinned,
and which may go.

Whoever changes something holds the camera's lock, so that a night may prune while somebody rolls
back. A version is complete or absent and the switch is one rename, whenever the machine stops.
"""

from __future__ import annotations

import fcntl
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.errors import WeightsError
from models.files import aside, checkpoint_files, load_meta, replace_file, sync_folder, write_folder

if TYPE_CHECKING:
    from torch import Tensor

POINTER_FILE = "incumbent.json"
LOCK_FILE = ".lock"
PARENT, CREATED = "parent", "created_at"
"""Of a version's meta: the version it was trained from, and when it was made (ISO, UTC)."""
ORIGIN_META = "origin"
"""Of a version's or a file's meta: `bootstrap` or `coco`; nights do not say it."""
UNTRAINED_META = "untrained"
"""Of a version's meta: why it knows no box yet, in words; only where it does not."""
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")


class ModelRegistry:
    """Model versions of every camera under one root."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def path(self, camera: str, version: str) -> Path:
        """The folder of a version, there or not."""
        return self._camera(camera) / _checked(version, "version")

    def add(
        self, camera: str, version: str, state_dict: Mapping[str, Tensor], meta: Mapping[str, Any]
    ) -> Path:
        """Save a new version: complete or absent. A night that is run again replaces its own
        earlier version, but never the incumbent (`WeightsError`).
        """
        folder = self.path(camera, version)
        with self._locked(camera):
            if folder.exists():
                if version == self.incumbent(camera):
                    message = f"{camera}: version {version} is in use and cannot be replaced"
                    raise WeightsError(message)
                _remove(folder)
            from models.checkpoint import (
                save_checkpoint,
            )  # brings torch; lists of versions spare it

            save_checkpoint(folder, state_dict, meta)
        return folder

    def install(self, camera: str, version: str, files: Mapping[str, bytes]) -> Path:
        """Put the files of a version made elsewhere in its place, at once, whatever was there."""
        folder = self.path(camera, version)
        with self._locked(camera):
            part = aside(folder)
            write_folder(part, files)
            if folder.exists():
                old = aside(folder)
                folder.rename(old)
                part.rename(folder)
                shutil.rmtree(old)
            else:
                part.rename(folder)
            sync_folder(folder.parent)
        return folder

    def remove(self, camera: str, version: str) -> bool:
        """Remove a version; not the one in use, and nothing where it is not there."""
        folder = self.path(camera, version)
        with self._locked(camera):
            if not folder.is_dir() or version == self.incumbent(camera):
                return False
            _remove(folder)
        return True

    def versions(self, camera: str) -> list[str]:
        """The complete versions, sorted by name; none for a camera without a model."""
        folder = self._camera(camera)
        found = [path for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []
        complete = [
            path.name
            for path in found
            if _NAME.fullmatch(path.name) and all(file.is_file() for file in checkpoint_files(path))
        ]
        return sorted(complete)

    def all_versions(self, camera: str) -> list[str]:
        """Also those that other machines have; here there are none."""
        return self.versions(camera)

    def refresh(self, camera: str) -> None:
        """Take over what other machines have put to work; here there are none."""

    def bring(self, camera: str, version: str) -> None:
        """Have a version of `all_versions` on this disk."""

    def incumbent(self, camera: str) -> str | None:
        """The version in use; None before the first promotion."""
        pointer = self._camera(camera) / POINTER_FILE
        if not pointer.exists():
            return None
        try:
            return _checked(json.loads(pointer.read_bytes())["version"], "version")
        except (OSError, ValueError, KeyError, TypeError, WeightsError) as exc:
            message = f"{pointer}: damaged ({exc!r}); promote a version again to mend it"
            raise WeightsError(message) from exc

    def parent(self, camera: str, version: str) -> str | None:
        """The version this one was trained from; None where that was none of this camera's."""
        parent = self.meta(camera, version).get(PARENT)
        known = isinstance(parent, str) and _NAME.fullmatch(parent) is not None
        return parent if known else None

    def meta(self, camera: str, version: str) -> dict[str, Any]:
        """What is stored beside a version's weights."""
        self._require(camera, version)
        return load_meta(self.path(camera, version))

    def untrained(self, camera: str, version: str) -> str | None:
        """Why this version knows no box yet, in words; None where it was trained."""
        said = self.meta(camera, version).get(UNTRAINED_META)
        return None if said is None else str(said)

    # -- the switch ----------------------------------------------------------------------------

    def promote(self, camera: str, version: str, *, instead_of: str | None = None) -> bool:
        """Put a version to work, once it has been seen to load; else the old one stays.

        With `instead_of`, only if that one is still in use; says whether it was done.
        """
        self._require(camera, version)
        with self._locked(camera):
            if instead_of is not None and self.incumbent(camera) != instead_of:
                return False
            from models.checkpoint import load_checkpoint

            load_checkpoint(self.path(camera, version))
            pointer = self._camera(camera) / POINTER_FILE
            _write(pointer, (json.dumps({"version": version}) + "\n").encode())
        return True

    # -- pins ----------------------------------------------------------------------------------

    def pinned(self, camera: str) -> set[str]:
        """The versions that are never pruned."""
        return {v for v in self.versions(camera) if self._pin(camera, v).exists()}

    def pin(self, camera: str, version: str) -> None:
        """Never prune this version."""
        with self._locked(camera):
            self._require(camera, version)
            _write(self._pin(camera, version), b"")

    def unpin(self, camera: str, version: str) -> None:
        """Prune it when its turn comes; nothing happens to one that is not pinned."""
        with self._locked(camera):
            self._require(camera, version)
            self._pin(camera, version).unlink(missing_ok=True)

    # -- what may go ---------------------------------------------------------------------------

    def prune(self, camera: str, *, keep: int) -> list[str]:
        """Remove all but the `keep` newest versions; the removed, the oldest first.

        The one in use, its parent (that `rollback` may lead there) and pinned ones stay whatever
        their age. Before a first promotion nothing is removed, nor where the pointer or a meta
        cannot be read (`WeightsError`).
        """
        with self._locked(camera):
            incumbent = self.incumbent(camera)
            if incumbent is None:
                return []
            safe = {incumbent, self.parent(camera, incumbent), *self.pinned(camera)}
            by_age = sorted(self.versions(camera), key=lambda v: self._made(camera, v))
            removed = [v for v in by_age[: max(0, len(by_age) - keep)] if v not in safe]
            for version in removed:
                _remove(self.path(camera, version))
        return removed

    def clear_debris(self, camera: str) -> list[Path]:
        """Remove what a killed night left half-written; returns it."""
        if not self._camera(camera).is_dir():
            return []
        with self._locked(camera):
            debris = sorted(self._camera(camera).glob(".*.tmp"))
            for path in debris:
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink()
        return debris

    # -- inside --------------------------------------------------------------------------------

    @contextmanager
    def _locked(self, camera: str) -> Iterator[None]:
        """One writer a camera at a time, in whichever process; a killed one holds no lock."""
        folder = self._camera(camera)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            file = (folder / LOCK_FILE).open("wb")
        except OSError as exc:
            raise WeightsError(_unwritten(folder, exc)) from exc
        with file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _require(self, camera: str, version: str) -> None:
        if not self.path(camera, version).is_dir():
            known = ", ".join(self.versions(camera)) or "none"
            message = f"{camera}: no version {version}; there are: {known}"
            raise WeightsError(message)

    def _made(self, camera: str, version: str) -> tuple[str, float]:
        """When a version was made; those of releases that did not say so come first, by the age
        of their files."""
        created = str(self.meta(camera, version).get(CREATED, ""))
        return created, self.path(camera, version).stat().st_mtime

    def _pin(self, camera: str, version: str) -> Path:
        return self._camera(camera) / f".{_checked(version, 'version')}.pin"

    def _camera(self, camera: str) -> Path:
        return self._root / _checked(camera, "camera")


def _checked(name: str, what: str) -> str:
    if not _NAME.fullmatch(name) or name == POINTER_FILE:
        message = f"{what} name {name!r} must be letters, digits, '_', '-' or '.', no '.' first"
        raise WeightsError(message)
    return name


def _remove(folder: Path) -> None:
    """Gone at once for everybody; the files themselves follow."""
    debris = aside(folder)
    folder.rename(debris)
    sync_folder(folder.parent)
    shutil.rmtree(debris)


def _write(path: Path, data: bytes) -> None:
    try:
        replace_file(path, data)
    except OSError as exc:
        raise WeightsError(_unwritten(path, exc)) from exc


def _unwritten(path: Path, exc: OSError) -> str:
    return f"{path}: could not be written ({exc}): check the disk's space and rights"
