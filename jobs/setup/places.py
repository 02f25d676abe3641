"""Where a night's results go, tried for `culling check`: `data_dir` and the database."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import tempfile
from pathlib import Path

import sqlalchemy as sa

from jobs.config.settings import Config
from jobs.database.connection import FILE_NAME
from jobs.database.store import open_store
from jobs.database.tables import nights_table
from jobs.errors import NIGHT_NEEDS_BYTES, UsageError
from jobs.private import OURS

GB = 10**9


def try_data_dir(config: Config) -> str:
    """Write, and remove again, a small file where nights write: in `data_dir` and its folders, or,
    where they are not there yet, in the folder that they will lie in. What was found, in words;
    what cannot be written raises `UsageError`."""
    folder = config.data_dir
    places = [folder, *(folder / name for name in OURS if (folder / name).is_dir())]
    for place in places:
        try:
            _write_in(_existing(place))
        except OSError as error:
            message = (
                f"data_dir: {place} cannot be written ({os.strerror(error.errno or errno.EIO)}): "
                "give this user the right, or set data_dir to another folder"
            )
            raise UsageError(message) from error
    free = shutil.disk_usage(_existing(folder)).free
    words = f"{folder}: can be written, {free / GB:.1f} GB free"
    needed = max(config.disk.min_free_gb * GB, NIGHT_NEEDS_BYTES)
    if free < needed:
        words += f", but nights need {needed / GB:.1f} GB: free some space"
    return words


def try_database(config: Config) -> str:
    """Open the database and write to it, which changes no row; nothing, where it is a file that is
    not there yet. Raises `StoreError`."""
    if config.database is None and not (config.data_dir / FILE_NAME).exists():
        return ""
    with open_store(config) as store:
        with store.database.transaction() as connection:
            connection.execute(sa.update(nights_table).where(sa.false()).values(error=None))
        return f"{store.database.shown}: can be read and written"


def _existing(path: Path) -> Path:
    """The folder itself, or the nearest above it that is there."""
    while not os.path.lexists(path) and path != path.parent:
        path = path.parent
    return path


def _write_in(folder: Path) -> None:
    """A folder too: a file system may have room for no more of them."""
    with tempfile.TemporaryDirectory(prefix=".check-", dir=folder) as inside:
        Path(inside, "file").write_bytes(secrets.token_bytes(4096))
