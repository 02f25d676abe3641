"""MJPEG over HTTP: one JPEG after another in a response that never ends."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from http.client import HTTPResponse

from streams.address import Address
from streams.failures import ENDED, NOT_VIDEO, failure
from streams.live.connection import Arrival, Demand, JpegPicture, StreamFacts
from streams.live.options import LiveOptions
from streams.web import ask, read

CHUNK_BYTES = 65536
LONGEST_PART_BYTES = 32 * 1024 * 1024
"""More than this without the end of a picture is no MJPEG."""

_LENGTH = re.compile(rb"(?im)^content-length:[ \t]*(\d+)")


class PartTooLongError(ValueError):
    """So much data without the end of a part that this cannot be MJPEG."""


class Parts:
    """Cuts a multipart body, fed piece by piece, into its parts' contents.

    A part with a Content-Length is there as soon as its last byte is; one without, when the next
    boundary comes. Cameras disagree whether the dashes belong to the boundary: both are read.
    """

    def __init__(self, boundary: str) -> None:
        self._delimiter = b"--" + boundary.strip().strip('"').lstrip("-").encode("latin-1")
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The contents of the parts that are complete now."""
        self._buffer += data
        found = []
        while (part := self._next_part()) is not None:
            if part:
                found.append(part)
        if len(self._buffer) > LONGEST_PART_BYTES:
            message = f"no end of a part in {len(self._buffer)} bytes"
            raise PartTooLongError(message)
        return found

    def _next_part(self) -> bytes | None:
        start = self._buffer.find(self._delimiter)
        if start < 0:
            del self._buffer[: max(0, len(self._buffer) - len(self._delimiter) - 4)]
            return None
        head_start = start + len(self._delimiter)
        head_end = self._buffer.find(b"\r\n\r\n", head_start)
        if head_end < 0:
            return None
        body_start = head_end + 4
        length = _LENGTH.search(self._buffer, head_start, head_end)
        if length is not None:
            body_end = body_start + int(length.group(1))
            if len(self._buffer) < body_end:
                return None
        else:
            body_end = self._buffer.find(self._delimiter, body_start)
            if body_end < 0:
                return None
        body = bytes(self._buffer[body_start:body_end])
        del self._buffer[:body_end]
        return body if length is not None else body.rstrip(b"-").removesuffix(b"\r\n")


class MjpegConnection:
    """Each JPEG as it arrives; decoded only if wanted, so the arrival is the only time there is."""

    def __init__(self, response: HTTPResponse, *, where: str, timeout_s: float) -> None:
        self._response, self._where, self._timeout_s = response, where, timeout_s
        boundary = response.headers.get_boundary()
        if response.headers.get_content_type() != "multipart/x-mixed-replace" or not boundary:
            response.close()
            raise failure(where, NOT_VIDEO)
        self._parts = Parts(boundary)

    @property
    def facts(self) -> StreamFacts:
        return StreamFacts(kind="mjpeg", codec="mjpeg")

    def arrivals(self, demand: Demand) -> Iterator[Arrival | None]:
        while True:
            data = read(
                self._where, lambda: self._response.read1(CHUNK_BYTES), timeout_s=self._timeout_s
            )
            if not data:
                raise failure(self._where, ENDED)
            parts = self._cut(data)
            if parts is None:
                raise failure(self._where, NOT_VIDEO)
            yield from (Arrival(JpegPicture(part)) for part in parts)
            if not parts:
                yield None

    def close(self) -> None:
        with suppress(OSError):
            self._response.close()

    def _cut(self, data: bytes) -> list[bytes] | None:
        try:
            return self._parts.feed(data)
        except PartTooLongError:
            return None


def connect_mjpeg(
    address: Address,
    *,
    where: str,
    options: LiveOptions,
    headers: Mapping[str, str] | None = None,
) -> MjpegConnection:
    """The time-out for the first byte and for each next one is the longer of the two."""
    timeout_s = max(options.open_timeout_s, options.read_timeout_s)
    response = ask(address, where=where, timeout_s=timeout_s, headers=headers)
    return MjpegConnection(response, where=where, timeout_s=timeout_s)
