"""A checkpoint's files: complete or absent, whenever the machine stops; its meta, read without its
tensors and without torch."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from models.errors import WeightsError

TENSORS_FILE = "model.safetensors"
META_FILE = "meta.json"
TENSORS_SUFFIX = ".safetensors"
REMEDY = "roll back to another version or restore this one from a copy"


def load_meta(path: Path) -> dict[str, Any]:
    """The meta alone, of a folder or a NAME.safetensors."""
    return read_meta(checkpoint_files(path)[1])


def checkpoint_files(path: Path) -> tuple[Path, Path]:
    """Where the tensors and the meta of a checkpoint lie: a folder's, or NAME.safetensors' own."""
    if path.suffix == TENSORS_SUFFIX:
        return path, path.with_suffix(".json")
    return path / TENSORS_FILE, path / META_FILE


def write_durably(path: Path, data: bytes) -> None:
    """Write and reach the disk before returning."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def replace_file(path: Path, data: bytes) -> None:
    """Write a file, or another in its place: the whole of it or nothing."""
    part = aside(path)
    try:
        write_durably(part, data)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames within `folder` reach the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def aside(path: Path) -> Path:
    """A fresh name beside `path` for what is not complete yet: .NAME.XXXXXXXX.tmp."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write a new folder: the whole of it or nothing."""
    part = aside(folder)
    part.mkdir()
    try:
        for name, data in files.items():
            write_durably(part / name, data)
        sync_folder(part)
        part.rename(folder)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    sync_folder(folder.parent)


def read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as exc:
        message = f"{path}: no such file; {REMEDY}"
        raise WeightsError(message) from exc
    except OSError as exc:
        message = f"{path}: could not be read ({exc.strerror}); check the path and its rights"
        raise WeightsError(message) from exc


def read_meta(path: Path) -> dict[str, Any]:
    try:
        meta = json.loads(read_bytes(path))
    except (ValueError, RecursionError) as exc:  # of deep nesting
        message = f"{path}: not JSON ({exc}); {REMEDY}"
        raise WeightsError(message) from exc
    if not isinstance(meta, dict):
        message = f"{path}: must be a JSON object, found {type(meta).__name__}; {REMEDY}"
        raise WeightsError(message)
    return meta
