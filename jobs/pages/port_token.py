"""The token in the address of the pages: who has no right to read `data_dir` cannot read them."""

from __future__ import annotations

import logging
import os
import secrets
import string
from contextlib import suppress
from pathlib import Path

from jobs.errors import describe
from streams.secret_words import keep_secret

logger = logging.getLogger(__name__)

TOKEN_FILE = "port-token"
LENGTH = 26
LETTERS = string.ascii_lowercase + string.digits


def port_token(data_dir: Path) -> str:
    """The token of this `data_dir`, made on first use, so that a bookmark works after a restart."""
    path = data_dir / TOKEN_FILE
    try:
        token = _read(path)
        if token is None:
            path.unlink(missing_ok=True)
            _make(path)
            token = _read(path)
    except OSError as error:
        logger.warning("%s; the pages have a new address after each start", describe(error))
        token = None
    token = token or _drawn()
    keep_secret(token)
    return token


def _read(path: Path) -> str | None:
    """The token in the file, unless others could have read or written it."""
    with suppress(FileNotFoundError, ValueError), path.open("rb") as file:
        status = os.fstat(file.fileno())
        token = file.read(LENGTH + 1).decode("ascii").strip()
        is_private = status.st_uid == os.geteuid() and not status.st_mode & 0o077
        if is_private and len(token) == LENGTH and set(token) <= set(LETTERS):
            return token
    return None


def _make(path: Path) -> None:
    """Put a new file there, unless another service has just done so."""
    new = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(_drawn() + "\n")
    try:
        with suppress(FileExistsError):
            path.hardlink_to(new)
    finally:
        new.unlink()


def _drawn() -> str:
    return "".join(secrets.choice(LETTERS) for _ in range(LENGTH))
