"""A recording on the web as a source: a video file by HTTP, or a finished HLS playlist."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

from streams.base import ConnectionFailedError
from streams.pictures import MOST_PIXELS
from streams.recorded.length import is_short
from streams.recorded.recording import Recording, Shown
from streams.recorded.sound import Pass

logger = logging.getLogger(__name__)

TRIES = 4
"""How often one pass opens the recording before it takes what there is for all there is."""

FIRST_PAUSE_S = 0.5
"""Before the second try; twice as long before each further one."""

MISSING_START_S = 1.0
"""A pass that begins later than this has lost its beginning: some servers' Range answers are
wrong, and FFmpeg then drops the first seconds without an error."""


class RemoteVideo(Recording):
    """Frames of a recording on the web, read as it is downloaded.

    `open_media` opens it from its start (and finds its address anew, where that expires). A
    download that breaks off is taken up again: from the start, giving only frames not given yet.
    Where neither the container nor the server (`written_at`) dates it, it ends now.
    """

    _no_frame_advice = (
        "it is empty, in an unknown codec, or has its index at its end on a server that cannot "
        "serve parts (Range): convert it with `-movflags +faststart`, or download it"
    )

    def __init__(
        self,
        open_media: Callable[[], Any],
        *,
        camera: str,
        location: str,
        kind: str,
        written_at: datetime | None = None,
        most_pixels: int = MOST_PIXELS,
    ) -> None:
        self._open_media = open_media
        self._closing = threading.Event()
        super().__init__(
            camera=camera,
            location=location,
            kind=kind,
            written_at=written_at or datetime.now(UTC),
            most_pixels=most_pixels,
        )

    def close(self) -> None:
        """End running passes at their next frame, or their wait for the next try."""
        super().close()
        self._closing.set()

    def _open(self) -> Any:
        return self._open_media()

    def _decode_all(self, tally: Pass) -> Iterator[Shown]:
        given_s = -math.inf
        for number in range(TRIES):
            if number and self._closing.wait(FIRST_PAUSE_S * 2 ** (number - 1)):
                return
            container = self._open_again(first=number == 0)
            if container is None:
                continue
            tally.left_out.counts.clear()  # what was met is met again
            with closing(container):
                for shown in self._timed(container, tally, self._header):
                    if shown.time_s <= given_s:
                        tally.decoded -= 1
                        continue
                    self._check_start(shown.frame, given_s)
                    tally.reached_s = given_s = shown.time_s
                    yield shown
            if self._closed or not is_short(tally, self._header):
                return

    def _open_again(self, *, first: bool) -> Any | None:
        try:
            return self._open()
        except ConnectionFailedError as exc:
            if first:
                raise
            logger.info("%s: %s, trying again", self._where, exc.reason)
            return None

    def _check_start(self, frame: Any, given_s: float) -> None:
        late_s = (frame.time or 0.0) - self._header.start_s
        if given_s == -math.inf and late_s > MISSING_START_S:
            logger.warning(
                "%s: its first %.1f s do not come; the server may answer Range requests wrongly: "
                "download the file instead",
                self._where,
                late_s,
            )
