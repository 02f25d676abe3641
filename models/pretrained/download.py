"""Published weights on this machine: fetched once, gone on with where it broke off, verified."""

from __future__ import annotations

import fcntl
import hashlib
import http.client
import os
import re
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from models.errors import WeightsError
from models.files import sync_folder
from models.pretrained.catalogue import PublishedWeights

CACHE_VARIABLE = "CULLING_CACHE"
USER_AGENT = "culling-pipeline"
BLOCK_BYTES = 1 << 18
MOST_BYTES = 2 * 10**9
"""No weights named here are near this; a server that goes on for ever has to be stopped."""
_BROKEN = (URLError, TimeoutError, ConnectionError, ssl.SSLError, http.client.HTTPException)

Advance = Callable[[int, int | None], None]
"""Told how many bytes are here and how many there will be, if the server says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long one wait for data may last, after how many breaks in a row without a byte to give
    up, and how long to wait between them."""

    timeout_s: float = 30.0
    attempts: int = 5
    pause_s: float = 2.0


def cache_folder() -> Path:
    """Where downloaded weights lie: `$CULLING_CACHE`, else `$XDG_CACHE_HOME/culling-pipeline`,
    else `~/.cache/culling-pipeline`."""
    if os.environ.get(CACHE_VARIABLE):
        return Path(os.environ[CACHE_VARIABLE]).expanduser()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "culling-pipeline"


def cached(entry: PublishedWeights) -> Path:
    """Where this entry's file is once it is here; complete or absent."""
    return cache_folder() / entry.file_name


def fetch(
    entry: PublishedWeights,
    *,
    advance: Advance = lambda here, total: None,
    patience: Patience = Patience(),
) -> Path:
    """The entry's file, downloaded if it is not here yet. Two processes do not download it twice.

    What came before a connection broke is kept (`FILE.part`) and gone on with, within this call
    and at the next. A server that
    can't be reached, an address that is gone, a full disk and a file of another hash than
    published raise `WeightsError`; such a file is deleted.
    """
    path = cached(entry)
    if path.is_file():
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _alone(path.with_name(f"{path.name}.lock")):
            if not path.is_file():
                _complete(entry, path, advance, patience)
    except OSError as exc:
        message = f"{path}: could not be written ({exc}): check the disk's space and rights"
        raise WeightsError(message) from exc
    return path


def verify(entry: PublishedWeights, path: Path) -> None:
    """Raise `WeightsError` unless the file begins with the hash that its publisher tells."""
    with path.open("rb") as file:
        found = hashlib.file_digest(file, entry.hash_name).hexdigest()
    if not found.startswith(entry.digest):
        message = (
            f"{path}: {entry.hash_name.upper()} is {found[:12]}…, published is {entry.digest}…: "
            "damaged on the way or not that file; delete it and fetch it again"
        )
        raise WeightsError(message)


def _complete(entry: PublishedWeights, path: Path, advance: Advance, patience: Patience) -> None:
    part = path.with_name(f"{path.name}.part")
    resumed = part.is_file()
    while True:
        _download(entry, part, advance, patience)
        try:
            verify(entry, part)
            break
        except WeightsError:
            part.unlink()
            if not resumed:
                raise
            resumed = False  # the old part may have been of another file: once more, from nothing
    part.replace(path)
    sync_folder(path.parent)


def _download(entry: PublishedWeights, part: Path, advance: Advance, patience: Patience) -> None:
    failures = 0
    while True:
        before = part.stat().st_size if part.is_file() else 0
        try:
            if _one_connection(entry.url, part, advance, patience.timeout_s):
                return
            reason = "cut off"
        except HTTPError as exc:
            exc.close()
            if exc.code < 500:
                raise WeightsError(_gone(entry, f"the server says {exc.code}")) from exc
            reason = f"the server says {exc.code}"
        except _BROKEN as exc:
            reason = str(getattr(exc, "reason", "") or exc) or type(exc).__name__
        grown = part.is_file() and part.stat().st_size > before
        failures = 0 if grown else failures + 1
        if failures >= patience.attempts:
            raise WeightsError(_gone(entry, reason))
        time.sleep(patience.pause_s)


def _gone(entry: PublishedWeights, reason: str) -> str:
    return (
        f"pretrained:{entry.name}: {entry.url} could not be fetched ({reason}); run it again to go "
        f"on, or get the file elsewhere and put it at {cached(entry)}"
    )


def _one_connection(url: str, part: Path, advance: Advance, timeout_s: float) -> bool:
    """Add to `part` what one connection gives; True if it is whole by what the server said."""
    here = part.stat().st_size if part.is_file() else 0
    headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity"}
    if here:
        headers["Range"] = f"bytes={here}-"
    try:
        response = urlopen(Request(url, headers=headers), timeout=timeout_s)
    except HTTPError as exc:
        if exc.code != 416:
            raise
        exc.close()  # nothing after what is here: whole, or of another file; the hash will tell
        return True
    with response, part.open("r+b" if here else "wb") as file:
        start, total = _span(response, here)
        file.seek(start)
        file.truncate()
        for block in iter(lambda: response.read(BLOCK_BYTES), b""):
            file.write(block)
            start += len(block)
            advance(start, total)
            if start > MOST_BYTES:
                message = f"{url}: more than {MOST_BYTES:,} bytes and no end: not these weights"
                raise WeightsError(message)
        file.flush()
        os.fsync(file.fileno())
    return total is None or start >= total


def _span(response: http.client.HTTPResponse, here: int) -> tuple[int, int | None]:
    """Where in the file this answer begins, and the file's size if the server tells it. A server
    that does not know ranges begins anew."""
    span = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", response.headers.get("Content-Range", ""))
    if response.status == 206 and span is not None and int(span[1]) == here:
        return here, int(span[2])
    length = response.headers.get("Content-Length")
    return 0, int(length) if length and response.status != 206 else None


@contextmanager
def _alone(lock: Path) -> Iterator[IO[bytes]]:
    """Wait until no other process fetches the same file; the lock goes with the process."""
    with lock.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file
