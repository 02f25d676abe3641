"""The address of a single picture, polled: `http://camera/snapshot.jpg`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing

from streams.address import Address
from streams.failures import NOT_VIDEO, failure
from streams.live.connection import Arrival, Demand, JpegPicture, StreamFacts, claims_too_much
from streams.live.options import LiveOptions
from streams.web import ask, read_whole

LONGEST_BYTES = 64 * 1024 * 1024
PICTURE_STARTS = (b"\xff\xd8\xff", b"\x89PNG\r\n", b"RIFF", b"BM")
NAP_S = 0.2
"""The longest sleep between two polls, so that closing does not wait for a whole interval."""


class SnapshotConnection:
    """One GET for each picture, at the interval the consumer samples at."""

    def __init__(self, address: Address, *, where: str, options: LiveOptions) -> None:
        self._address, self._where, self._options = address, where, options
        self._interval_s = options.poll_s
        self._asked_s = time.monotonic()
        self._first = self._get()

    @property
    def facts(self) -> StreamFacts:
        interval_s = self._interval_s
        return StreamFacts(
            kind="snapshot", codec="mjpeg", rate_fps=1 / interval_s, silence_s=2 * interval_s
        )

    def arrivals(self, demand: Demand) -> Iterator[Arrival | None]:
        # Asked for on a grid and placed on it: by their arrivals, every other picture could lie
        # just before the sampler's own grid point, and be left.
        due_s, data, most_pixels = self._asked_s, self._first, self._options.most_pixels
        while True:
            yield Arrival(JpegPicture(data, most_pixels=most_pixels), pts_s=due_s)
            self._interval_s = demand.interval_s or self._options.poll_s
            due_s = max(due_s + self._interval_s, time.monotonic())
            while (rest_s := due_s - time.monotonic()) > 0:
                time.sleep(min(rest_s, NAP_S))
                yield None
            data = self._get()

    def close(self) -> None:
        """Nothing is held between two polls."""

    def _get(self) -> bytes:
        timeout_s = max(self._options.open_timeout_s, self._options.read_timeout_s)
        with closing(ask(self._address, where=self._where, timeout_s=timeout_s)) as response:
            data = read_whole(response, LONGEST_BYTES, where=self._where, timeout_s=timeout_s)
        if not data.startswith(PICTURE_STARTS):
            raise failure(self._where, NOT_VIDEO)
        reason = claims_too_much(data, self._options.most_pixels)
        if reason is not None:
            raise failure(self._where, NOT_VIDEO, reason)
        return data
