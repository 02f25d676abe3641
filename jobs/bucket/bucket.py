"""The store that several machines share, through fsspec: an S3-compatible bucket, or whatever else
its address names. fsspec is imported when it is first needed.

Operations are retried during an outage. Errors that remain become one clear line without secrets.
"""

from __future__ import annotations

import errno
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Any, TypeVar

from jobs.config.storage import StorageSettings
from jobs.errors import ConfigError, NightError, redact
from streams.secret_words import keep_secret

logger = logging.getLogger(__name__)

NIGHT_PATIENCE_S = 60.0
COMMAND_PATIENCE_S = 4.0
"""How long to retry during an outage: in a night, and in a command that a person waits for."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 10.0
CONNECT_S, READ_S = 5, 60
BATCH_FILES, BATCH_BYTES = 256, 64 * 1024**2
"""The most that is read or written at a time."""
SECRETS = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
_Result = TypeVar("_Result")


class StorageError(NightError):
    """The store cannot be reached, or what lies in it is damaged."""


class MissingError(StorageError):
    """An object does not exist, or does no longer."""


class Bucket:
    """Reads and writes objects by key. Keys are relative to the address's folder."""

    def __init__(self, settings: StorageSettings, *, patience_s: float) -> None:
        assert settings.url is not None
        for name in SECRETS:
            keep_secret(os.environ.get(name, ""))
        self.shown = redact(settings.url)
        self._patience_s = patience_s
        self._fs, self._root = _open(settings)
        self._is_disk = type(self._fs).__name__ == "LocalFileSystem"

    def read(self, keys: Sequence[str]) -> dict[str, bytes]:
        """The content of these objects; raises `MissingError` if one does not exist."""
        if not keys:
            return {}
        paths = {self._path(key): key for key in keys}
        found = self._try(lambda: self._fs.cat(list(paths)))
        if isinstance(found, bytes):  # some file systems return a single object as it is
            return {keys[0]: found}
        return {key: bytes(found[path]) for path, key in paths.items()}

    def read_one(self, key: str) -> bytes | None:
        """The content of one object; None if it does not exist."""
        try:
            return self.read([key])[key]
        except MissingError:
            return None

    def has(self, key: str) -> bool:
        """Whether this object exists."""
        return bool(self._try(lambda: self._fs.exists(self._path(key))))

    def write(self, objects: Mapping[str, bytes]) -> None:
        """Write each object completely or not at all; they are stored when this returns."""
        if self._is_disk:
            for key, data in objects.items():
                self._try(partial(self._write_file, key, data))
        elif objects:
            self._try(lambda: self._fs.pipe({self._path(k): d for k, d in objects.items()}))

    def delete(self, keys: Sequence[str]) -> None:
        """Remove these objects, if they exist."""
        paths = [self._path(key) for key in keys]
        if paths and self._fs.async_impl:
            with suppress(MissingError):
                self._try(lambda: self._fs.rm(paths))
        else:
            for path in paths:
                with suppress(MissingError):
                    self._try(partial(self._fs.rm_file, path))
                if self._is_disk:
                    self._drop_empty(path)

    def keys(self, folder: str) -> dict[str, datetime | None]:
        """All objects below a folder, with the time each was written."""
        with suppress(MissingError):
            found = self._try(lambda: self._fs.find(self._path(folder), detail=True))
            return {self._key(path): _written(info) for path, info in found.items()}
        return {}

    def folders(self, folder: str) -> list[str]:
        """The names of the folders in a folder, sorted."""
        with suppress(MissingError):
            found = self._try(lambda: self._fs.ls(self._path(folder), detail=True))
            names = (i["name"].rstrip("/") for i in found if i["type"] == "directory")
            return sorted(name.rpartition("/")[2] for name in names)
        return []

    # -- inside --------------------------------------------------------------------------------

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}" if self._root else key

    def _key(self, path: str) -> str:
        return path.removeprefix(self._root).lstrip("/")

    def _write_file(self, key: str, data: bytes) -> None:
        """Unlike a bucket, a disk would show a half-written file."""
        path = self._path(key)
        aside = f"{path}.{os.getpid()}.tmp"
        self._fs.makedirs(path.rpartition("/")[0], exist_ok=True)
        self._fs.pipe_file(aside, data)
        os.replace(aside, path)

    def _drop_empty(self, path: str) -> None:
        """Remove empty folders: a bucket has none."""
        folder = path.rpartition("/")[0]
        with suppress(OSError):
            while folder != self._root:
                os.rmdir(folder)
                folder = folder.rpartition("/")[0]

    def _try(self, operation: Callable[[], _Result]) -> _Result:
        """Retry after pauses, each twice as long, until `patience_s` is over."""
        deadline_s, pause_s = time.monotonic() + self._patience_s, FIRST_PAUSE_S
        while True:
            try:
                return operation()
            except (
                Exception
            ) as error:  # the boundary to fsspec, whose backends raise errors of any kind
                trouble = self._trouble(error)
                lasts = isinstance(trouble, ConfigError | MissingError)
                if lasts or time.monotonic() + pause_s > deadline_s:
                    raise trouble from error
                logger.debug("%s; tried again in %.1f s", trouble, pause_s)
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def _trouble(self, error: Exception) -> Exception:
        """The error to raise, with what is wrong in one line."""
        said = redact(" ".join(str(error).split())) or type(error).__name__
        kind = type(error).__name__
        if isinstance(error, FileNotFoundError):
            if "bucket" not in said.lower() or self._is_disk:
                return MissingError(f"storage: {self.shown}: {said} is not there")
            return ConfigError(f"storage: {self.shown}: there is no such bucket: make it first")
        if isinstance(error, PermissionError) or kind in _NO_KEY:
            return ConfigError(
                f"storage: {self.shown}: access is refused ({said}): give keys that may read, "
                "write and delete there (storage.access_key, storage.secret_key, or "
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY)"
            )
        if isinstance(error, TypeError | ValueError) or kind in _NO_ADDRESS:
            return ConfigError(f"storage: {self.shown}: cannot be used: {said}")
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return StorageError(f"storage: {self.shown}: it is full: {said}")
        return StorageError(
            f"storage: {self.shown} cannot be reached ({said}): nothing is lost; run the same "
            "command again when it can be"
        )


_NO_KEY = ("NoCredentialsError", "PartialCredentialsError", "TokenRetrievalError")
_NO_ADDRESS = ("ProfileNotFound", "ParamValidationError", "InvalidRegionError", "NoRegionError")


@lru_cache(maxsize=8)
def open_bucket(settings: StorageSettings, patience_s: float = NIGHT_PATIENCE_S) -> Bucket:
    """The configured store, opened once per process; this does not connect yet."""
    return Bucket(settings, patience_s=patience_s)


def _open(settings: StorageSettings) -> tuple[Any, str]:
    url = settings.url or ""
    kind = url.partition("://")[0]
    needs = f"storage: {kind}:// needs an extra: pip install 'culling-pipeline[s3]'"
    try:
        from fsspec.core import url_to_fs
    except ModuleNotFoundError as error:
        raise ConfigError(needs) from error
    try:
        fs, root = url_to_fs(url, **_options(kind, settings))
    except ImportError as error:
        if kind in ("s3", "s3a"):
            raise ConfigError(needs) from error
        message = f"storage: {redact(url)}: {error}"
        raise ConfigError(message) from error
    except (ValueError, TypeError) as error:
        message = f"storage: {redact(url)}: cannot be used: {error}"
        raise ConfigError(message) from error
    return fs, str(root).rstrip("/")


def _options(kind: str, settings: StorageSettings) -> dict[str, Any]:
    """For S3: listings are never cached, so that other machines' writes show at once; stores that
    are not Amazon's get requests that all of them understand."""
    if kind not in ("s3", "s3a"):
        return {}
    config: dict[str, Any] = {
        "connect_timeout": CONNECT_S,
        "read_timeout": READ_S,
        "retries": {"max_attempts": 2},
        "request_checksum_calculation": "when_required",
        "response_checksum_validation": "when_required",
    }
    options: dict[str, Any] = {"use_listings_cache": False, "skip_instance_cache": True}
    if settings.endpoint is not None:
        options["endpoint_url"] = settings.endpoint
        config["s3"] = {"addressing_style": "path"}
    if settings.access_key is not None:
        options |= {"key": settings.access_key, "secret": settings.secret_key}
    return options | {"config_kwargs": config}


def _written(info: Mapping[str, Any]) -> datetime | None:
    """When an object was written; None if this kind of store does not say."""
    for name in ("LastModified", "last_modified", "mtime", "created"):
        value = info.get(name)
        if isinstance(value, datetime):
            return value if value.tzinfo else value.replace(tzinfo=UTC)
        if isinstance(value, int | float):
            return datetime.fromtimestamp(value, UTC)
    return None
