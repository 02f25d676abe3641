"""MJPEG over HTTP: one JPEG after another in a response that never ends."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress

from streams.address import Address
from streams.failures import ENDED, NOT_VIDEO, failure
from streams.live.connection import Arrival, Demand, JpegPicture, StreamFacts, claims_too_much
from streams.live.options import LiveOptions
from streams.pictures import MOST_PIXELS
from streams.requests import Answered
from streams.web import ask, read_some

CHUNK_BYTES = 65536
LONGEST_PART_BYTES = 32 * 1024 * 1024
"""More than this without the end of a picture is no MJPEG."""

LONGEST_HEAD_BYTES = 64 * 1024
"""What stands before a picture is some hundred bytes."""

_LENGTH = re.compile(rb"(?im)^content-length:[ \t]{0,16}(\d{1,10})(?!\d)")


class PartTooLongError(ValueError):
    """So much data without the end of a part that this cannot be MJPEG."""


class Parts:
    """Cuts a multipart body, fed piece by piece, into its parts' contents.

    A part with a Content-Length is there as soon as its last byte is; one without, when the next
    boundary comes. Cameras disagree whether the dashes belong to the boundary: both are read.
    """

    def __init__(self, boundary: str) -> None:
        name = boundary.strip().strip('"').lstrip("-")
        self._delimiter = b"--" + name.encode("latin-1", "replace")
        self._buffer = bytearray()
        self._searched = 0
        """How much of the buffer is known not to hold what is looked for: however small the
        pieces are that come, none is searched again."""
        self._body: tuple[int, int | None] | None = None
        """Where the body of the part begins and ends; None before its head is read."""

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
        self._body = self._body or self._read_head()
        if self._body is None:
            return None
        start, end = self._body
        with_length = end is not None
        if end is None:
            end = self._find(self._delimiter, start)
        if end is None or len(self._buffer) < end:
            return None
        body = bytes(self._buffer[start:end])
        del self._buffer[:end]
        self._searched, self._body = 0, None
        return body if with_length else body.rstrip(b"-").removesuffix(b"\r\n")

    def _read_head(self) -> tuple[int, int | None] | None:
        start = self._buffer.find(self._delimiter)
        if start < 0:
            del self._buffer[: max(0, len(self._buffer) - len(self._delimiter) - 4)]
            return None
        del self._buffer[:start]
        start = len(self._delimiter)
        end = self._find(b"\r\n\r\n", start)
        if end is None:
            if len(self._buffer) > LONGEST_HEAD_BYTES:
                message = f"no end of a part's head in {len(self._buffer)} bytes"
                raise PartTooLongError(message)
            return None
        self._searched = 0
        length = _LENGTH.search(self._buffer, start, min(end, LONGEST_HEAD_BYTES))
        return end + 4, None if length is None else end + 4 + int(length.group(1))

    def _find(self, wanted: bytes, start: int) -> int | None:
        at = self._buffer.find(wanted, max(start, self._searched - len(wanted)))
        self._searched = len(self._buffer)
        return None if at < 0 else at


class MjpegConnection:
    """Each JPEG as it arrives; decoded only if wanted, so the arrival is the only time there is."""

    def __init__(
        self, response: Answered, *, where: str, timeout_s: float, most_pixels: int = MOST_PIXELS
    ) -> None:
        self._response, self._where, self._timeout_s = response, where, timeout_s
        self._most_pixels = most_pixels
        boundary = response.headers.get_boundary()
        if response.headers.get_content_type() != "multipart/x-mixed-replace" or not (
            boundary and boundary.strip(' "-')
        ):
            response.close()
            raise failure(where, NOT_VIDEO)
        self._parts = Parts(boundary)

    @property
    def facts(self) -> StreamFacts:
        return StreamFacts(kind="mjpeg", codec="mjpeg")

    def arrivals(self, demand: Demand) -> Iterator[Arrival | None]:
        while True:
            data = read_some(
                self._response, CHUNK_BYTES, where=self._where, timeout_s=self._timeout_s
            )
            if not data:
                raise failure(self._where, ENDED)
            parts = self._cut(data)
            if parts is None:
                raise failure(self._where, NOT_VIDEO)
            yield from map(self._arrival, parts)
            if not parts:
                yield None

    def close(self) -> None:
        with suppress(OSError):
            self._response.close()

    def _arrival(self, part: bytes) -> Arrival:
        reason = claims_too_much(part, self._most_pixels)
        if reason is not None:
            raise failure(self._where, NOT_VIDEO, reason)
        return Arrival(JpegPicture(part, most_pixels=self._most_pixels))

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
    return MjpegConnection(
        response, where=where, timeout_s=timeout_s, most_pixels=options.most_pixels
    )
