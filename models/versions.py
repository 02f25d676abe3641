"""A camera's model versions on disk, ROOT/CAMERA/VERSION/: which there are, which one is in use and
which are pinned. Nothing is changed here; `registry.py` makes the changes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from models.errors import WeightsError
from models.files import checkpoint_files, load_meta

POINTER_FILE = "incumbent.json"
_DAMAGED = (OSError, ValueError, KeyError, TypeError, RecursionError, WeightsError)
PARENT, CREATED = "parent", "created_at"
"""Keys of a version's meta: the version it was trained from, and when it was made (ISO, UTC)."""
ORIGIN_META = "origin"
"""Key of a version's or a file's meta: `bootstrap` or `coco`; absent for a night's version."""
UNTRAINED_META = "untrained"
"""Key of a version's meta: why it finds no boxes yet, in words; only for an untrained version."""
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")


class ModelVersions:
    """What is on disk: the model versions of every camera under one root."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def path(self, camera: str, version: str) -> Path:
        """The folder of a version, there or not."""
        return self._camera(camera) / _checked(version, "version")

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

    def incumbent(self, camera: str) -> str | None:
        """The version in use; None before the first promotion."""
        pointer = self._camera(camera) / POINTER_FILE
        if not pointer.exists():
            return None
        try:
            return _checked(json.loads(pointer.read_bytes())["version"], "version")
        except _DAMAGED as exc:
            message = f"{pointer}: damaged ({exc!r}); promote a version again to mend it"
            raise WeightsError(message) from exc

    def parent(self, camera: str, version: str) -> str | None:
        """The version this one was trained from; None if that was no version of this camera."""
        parent = self.meta(camera, version).get(PARENT)
        known = isinstance(parent, str) and _NAME.fullmatch(parent) is not None
        return parent if known else None

    def meta(self, camera: str, version: str) -> dict[str, Any]:
        """What is stored beside a version's weights."""
        self._require(camera, version)
        return load_meta(self.path(camera, version))

    def untrained(self, camera: str, version: str) -> str | None:
        """Why this version finds no boxes yet, in words; None if it was trained."""
        return untrained_in(self.meta(camera, version))

    def pinned(self, camera: str) -> set[str]:
        """The versions that are never pruned."""
        return {v for v in self.versions(camera) if self._pin(camera, v).exists()}

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


def untrained_in(meta: Mapping[str, Any]) -> str | None:
    """Why the weights with this description find nothing yet, in words; None if they are
    trained."""
    said = meta.get(UNTRAINED_META)
    return None if said is None else str(said)


def _checked(name: str, what: str) -> str:
    if not _NAME.fullmatch(name) or name == POINTER_FILE:
        message = f"{what} name {name!r} must be letters, digits, '_', '-' or '.', no '.' first"
        raise WeightsError(message)
    return name
