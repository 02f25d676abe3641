"""A camera's model versions on disk, ROOT/CAMERA/VERSION/, and which one is in use."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from models.boxes import WeightsError
from models.checkpoint import (
    aside,
    checkpoint_files,
    load_checkpoint,
    save_checkpoint,
    sync_folder,
    write_durably,
)

POINTER_FILE = "incumbent.json"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")


class ModelRegistry:
    """Model versions of every camera under one root; one writer a camera at a time."""

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
        if folder.exists():
            if version == self.incumbent(camera):
                message = f"{camera}: version {version} is in use and cannot be replaced"
                raise WeightsError(message)
            debris = aside(folder)
            folder.rename(debris)
            shutil.rmtree(debris)
        save_checkpoint(folder, state_dict, meta)
        return folder

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

    def promote(self, camera: str, version: str) -> None:
        """Put a version to work, once it has been seen to load; else the old one stays."""
        folder = self.path(camera, version)
        if not folder.is_dir():
            known = ", ".join(self.versions(camera)) or "none"
            message = f"{camera}: no version {version}; there are: {known}"
            raise WeightsError(message)
        load_checkpoint(folder)
        pointer = folder.with_name(POINTER_FILE)
        part = aside(pointer)
        write_durably(part, (json.dumps({"version": version}) + "\n").encode())
        part.replace(pointer)
        sync_folder(pointer.parent)

    def clear_debris(self, camera: str) -> list[Path]:
        """Remove what a killed night left half-written; returns it. Not while another writes."""
        debris = sorted(self._camera(camera).glob(".*.tmp"))
        for path in debris:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        return debris

    def _camera(self, camera: str) -> Path:
        return self._root / _checked(camera, "camera")


def _checked(name: str, what: str) -> str:
    if not _NAME.fullmatch(name) or name == POINTER_FILE:
        message = f"{what} name {name!r} must be letters, digits, '_', '-' or '.', no '.' first"
        raise WeightsError(message)
    return name
