"""Changes to a camera's model versions: adding, promoting, pinning and pruning them.

Every change holds the camera's lock, so a night can prune while somebody rolls back. A version is
complete or absent, and the switch is one rename, whenever the machine stops.
"""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.errors import WeightsError
from models.files import aside, replace_file, sync_folder, write_folder
from models.versions import POINTER_FILE, ModelVersions

if TYPE_CHECKING:
    from torch import Tensor

LOCK_FILE = ".lock"


class ModelRegistry(ModelVersions):
    """Model versions of every camera under one root, and all changes to them."""

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

    def refresh(self, camera: str) -> None:
        """Take over what other machines have put to work; here there are none."""

    def bring(self, camera: str, version: str) -> None:
        """Have a version of `all_versions` on this disk."""

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
