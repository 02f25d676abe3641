"""A recording on the web as a source: a video file by HTTP, or a finished HLS playlist."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property, partial
from typing import Any

import av

from streams.base import ConnectionFailedError
from streams.decoding import Aspect, main_video_stream
from streams.failures import guarded
from streams.pictures import MOST_PIXELS
from streams.recorded.file import plain_formats
from streams.recorded.header import Header
from streams.recorded.jumping import INDEXED, WORTH, Jumps, Pace, pace_of
from streams.recorded.length import is_short
from streams.recorded.ranges import FIRST_BYTES, Parts, WebFile
from streams.recorded.recording import Recording, Shown
from streams.recorded.sound import Pass
from streams.sampler import TICK_S, Sampler

logger = logging.getLogger(__name__)

TRIES = 4
"""How often one pass opens the recording before it takes what there is for all there is."""

FIRST_PAUSE_S = 0.5
"""Before the second try; twice as long before each further one."""

LEAST_JUMP_S = 3.0
"""Frames that are wanted more often than this are read one after the other in any case."""

MISSING_START_S = 1.0
"""A pass that begins later than this has lost its beginning: some servers' Range answers are
wrong, and FFmpeg then drops the first seconds without an error."""


class RemoteVideo(Recording):
    """Frames of a recording on the web, read as it is downloaded.

    Where the server gives out parts of it (`web`), only those are fetched that frames are in: if
    wanted frames are far apart, it is read in jumps; a part that breaks off is fetched again.
    So it is with a finished HLS playlist, whose longest segment is `segment_s`.
    Elsewhere `open_media` opens it from its start (and finds its address anew, where that expires),
    and a download that breaks off is taken up again from there, giving only frames not given yet.
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
        web: WebFile | None = None,
        segment_s: float = 0.0,
    ) -> None:
        self._open_media = open_media
        self._closing = threading.Event()
        self._can_jump, self._segment_s = True, segment_s
        self._web = None if web is None else replace(web, pause=self._closing.wait)
        self._size = None if self._web is None else _size_in_parts(self._web)
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

    def to_fetch(self, interval_s: float) -> int | None:
        """About how many bytes of it a pass with a sampler of this interval fetches."""
        duration_s = self.info.duration_s
        if not duration_s:
            return self._size
        whole = self._size or round(self._pace.bytes_a_second * duration_s)
        if not self._is_far(interval_s):
            return whole or None
        a_jump = FIRST_BYTES * (self._size is not None) + whole * self._gap_s / duration_s
        return min(whole, round(a_jump * duration_s / interval_s)) or None

    @cached_property
    def _pace(self) -> Pace:
        with closing(self._open()) as container:
            return pace_of(container)

    @property
    def _gap_s(self) -> float:
        """What a jump leads back at most; endless where nothing tells."""
        return max(self._segment_s, self._pace.key_gap_s or math.inf)

    @property
    def _reaches(self) -> bool:
        """Whether any place of it can be fetched alone."""
        return self._can_jump and (self._size is not None or self._segment_s > 0)

    def _is_far(self, interval_s: float) -> bool:
        """Whether frames so far apart are worth jumps, and jumps are possible."""
        if interval_s < LEAST_JUMP_S or not self._reaches:
            return False
        return self._pace.is_indexed and interval_s > WORTH * self._gap_s

    def _open(self) -> Any:
        if self._size is None or self._web is None:
            return self._open_media()
        return open_parts(self._web, most_pixels=self._most_pixels)

    def _shown(
        self, container: Any, tally: Pass, sampler: Sampler | None, from_s: float | None
    ) -> Iterator[Shown]:
        """In jumps where they are possible and worth it; after `from_s`, if that can be found."""
        far = sampler is not None and self._is_far(sampler.interval_s)
        back = from_s is not None and self._reaches and container.format.name in INDEXED
        if not far and not back:
            yield from self._timed(container, tally, self._header)
            return
        aspect = Aspect(main_video_stream(container))
        jumps = Jumps(
            container,
            self._header.start_s,
            partial(self._decode, container, tally),
            sampler=sampler if far else None,
            gap_s=self._gap_s if far else math.inf,
            end_s=self._header.duration_s or math.inf,
            from_s=from_s if back else None,
        )
        for frame, time_s in jumps:
            yield Shown(frame, time_s, aspect.of(frame))
        self._can_jump = not jumps.missed

    def _decode_all(self, tally: Pass, sampler: Sampler | None) -> Iterator[Shown]:
        given_s, from_s = -math.inf, None
        for number in range(TRIES):
            if number and self._closing.wait(FIRST_PAUSE_S * 2 ** (number - 1)):
                return
            container = self._open_again(first=number == 0)
            if container is None:
                continue
            if from_s is None:
                tally.left_out.counts.clear()  # what was met is met again
            with closing(container):
                for shown in self._shown(container, tally, sampler, from_s):
                    if shown.time_s <= given_s:
                        tally.decoded -= 1
                        continue
                    self._check_start(shown.frame, given_s)
                    tally.reached_s = given_s = shown.time_s
                    from_s = given_s if _is_as_stamped(shown, self._header) else None
                    yield shown
            has_all = self._can_jump and _has_all(sampler, self._header)
            if self._closed or has_all or not is_short(tally, self._header):
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


def _is_as_stamped(shown: Shown, header: Header) -> bool:
    """Whether the time is the container's own: only that can be found again."""
    raw_s = shown.frame.time
    return raw_s is not None and abs(raw_s - header.start_s - shown.time_s) < TICK_S


def _has_all(sampler: Sampler | None, header: Header) -> bool:
    """Whether the next wanted frame would come after the recording's end."""
    due_s = None if sampler is None else sampler.next_due_s
    return due_s is not None and header.duration_s is not None and due_s >= header.duration_s


def open_parts(web: WebFile, *, most_pixels: int) -> Any:
    """PyAV's container of a file that is fetched in parts; it may refer to no other."""
    options = {
        "protocol_whitelist": "data",
        "format_whitelist": plain_formats(),
        "max_pixels": str(most_pixels),
    }

    def opened() -> Any:
        return av.open(Parts(web), metadata_errors="replace", options=options)

    return guarded(web.where, opened)


def _size_in_parts(web: WebFile) -> int | None:
    """How long the file is; None where its server gives out no parts."""
    try:
        return Parts(web).size
    except (ConnectionFailedError, ValueError):
        return None
