"""A file on a web server as a file to read from: only the parts that are needed are fetched.

A part that breaks off is asked for again, so nothing is ever fetched from the start a second time.
"""

from __future__ import annotations

import logging
import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass

from streams.address import Address
from streams.base import ConnectionFailedError
from streams.failures import BROKEN, FORBIDDEN, LASTING, failure
from streams.requests import Answered
from streams.web import ask, read_some

logger = logging.getLogger(__name__)

FIRST_BYTES, MOST_BYTES = 64 * 1024, 4 * 1024 * 1024
"""Of one part: the first after a jump, and, each twice as long as the one before, the longest."""

LEAST_BYTES = 16 * 1024
"""Of a part, on a line that is very slow."""

PATIENCE = 3
"""A part that takes longer than so many time-outs is ended, and what has come of it is used."""

KEPT = 4
"""So many parts are kept: containers jump between their index and their pictures."""

TRIES = 6
FIRST_PAUSE_S = 0.5
"""Before the second try of a part; twice as long before each further one."""

_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


class BrokenOffError(OSError):
    """A part did not come, however often it was asked for."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a file is just now, and what has to be sent along."""

    address: Address
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class WebFile:
    """A file that its server gives out in parts. `find(anew)` says where it is, and finds that out
    anew if it has expired; `pause` waits so many seconds and says whether to give up."""

    find: Callable[[bool], Place]
    where: str
    timeout_s: float
    read_timeout_s: float
    pause: Callable[[float], bool] = threading.Event().wait


class Parts:
    """Reads a `WebFile`; PyAV takes it in the place of a file."""

    def __init__(self, file: WebFile) -> None:
        """Asks for the first part. Raises `ConnectionFailedError`, or `ValueError` where the server
        does not answer with the part that it is asked for."""
        self._file = file
        self._place = file.find(False)
        self._at = self._next = 0
        self._length = FIRST_BYTES
        self._kept: dict[int, bytes] = {}
        self.size = 0
        self.fetched = 0
        first = self._once(0, FIRST_BYTES)
        self._keep(0, first)

    def read(self, most: int = -1) -> bytes:
        """The next bytes, at least one until the end; maybe fewer than asked for."""
        if self._at >= self.size or most == 0:
            return b""
        start, data = self._holding(self._at)
        offset = self._at - start
        piece = data[offset:] if most < 0 else data[offset : offset + most]
        self._at += len(piece)
        return piece

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Nothing is fetched before it is read."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        """Where the next byte comes from."""
        return self._at

    def _holding(self, at: int) -> tuple[int, bytes]:
        for start, data in self._kept.items():
            if start <= at < start + len(data):
                return start, data
        self._length = min(2 * self._length, MOST_BYTES) if at == self._next else FIRST_BYTES
        data = self._fetch(at, self._length)
        self._keep(at, data)
        return at, data

    def _keep(self, start: int, data: bytes) -> None:
        while len(self._kept) >= KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[start], self._next = data, start + len(data)

    def _fetch(self, start: int, length: int) -> bytes:
        """Raises `BrokenOffError`: FFmpeg hands on errors of the system only."""
        for number in range(TRIES):
            if number and self._file.pause(FIRST_PAUSE_S * 2 ** (number - 1)):
                break
            try:
                return self._once(start, length)
            except ConnectionFailedError as exc:
                reason = exc.reason
            except ValueError:
                reason = "another file than before"
            logger.info("%s: %s at byte %d, trying again", self._file.where, reason, start)
            if reason == FORBIDDEN:  # its address has expired
                self._renew()
            elif reason in LASTING:
                break
        raise BrokenOffError(None, "a part does not come")

    def _renew(self) -> None:
        try:
            self._place = self._file.find(True)
        except ConnectionFailedError as exc:
            logger.info("%s: its new address is not known: %s", self._file.where, exc.reason)

    def _once(self, start: int, length: int) -> bytes:
        file, place = self._file, self._place
        last = start + length - 1
        if self.size:
            last = min(last, self.size - 1)
        headers = {**place.headers, "Range": f"bytes={start}-{last}"}
        with closing(
            ask(place.address, where=file.where, timeout_s=file.timeout_s, headers=headers)
        ) as response:
            said = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
            if said is None or int(said[1]) != start or int(said[2]) > last:
                message = "not the part that was asked for"
                raise ValueError(message)
            if self.size not in (0, int(said[3])):
                message = "another length than before"
                raise ValueError(message)
            wanted = int(said[2]) - start + 1
            data = self._body(response, wanted)
        self.fetched += len(data)
        if not data:
            raise failure(file.where, BROKEN)
        if len(data) < wanted:  # a slow line, or a broken one: ask for less
            self._length = max(LEAST_BYTES, len(data) // 2)
        self.size = int(said[3])
        return data

    def _body(self, response: Answered, wanted: int) -> bytes:
        """What comes of it in time, which may be less."""
        file, data = self._file, bytearray()
        until_s = time.monotonic() + PATIENCE * file.read_timeout_s
        while len(data) < wanted and time.monotonic() < until_s:
            limit_s, left = file.read_timeout_s, wanted - len(data)
            try:
                piece = read_some(response, left, where=file.where, timeout_s=limit_s)
            except ConnectionFailedError:
                if not data:
                    raise
                break
            if not piece:
                break
            data += piece
        return bytes(data)
