"""One process at a time changes a configuration."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from jobs.errors import ConfigError

NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)
"""What network drives without locks say; whoever changes a file looks at it again anyway."""


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Wait for the lock of the file at `path`, which need not exist, and hold it.

    The lock is a file beside it, which goes with the lock. The system takes a killed process's
    lock away, and the next one takes over the file that it left.
    """
    beside = path.with_name(f".{path.name}.lock")
    try:
        handle = _taken(beside)
    except OSError as error:
        message = f"{path}: cannot be written ({error.strerror}): make the folder, or its rights"
        raise ConfigError(message) from error
    try:
        yield
    finally:
        with suppress(OSError):
            beside.unlink()  # while it is held: who waits for it then makes a new one
        os.close(handle)


def _taken(beside: Path) -> int:
    while True:
        handle = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if _is_at(beside, handle):
                return handle
        except OSError as error:
            if error.errno in NO_LOCKS:
                return handle
            os.close(handle)
            raise
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _is_at(beside: Path, handle: int) -> bool:
    """Whether the open file is the one that has this name, or was removed by its last holder."""
    try:
        return os.path.samestat(os.fstat(handle), beside.stat())
    except FileNotFoundError:
        return False
