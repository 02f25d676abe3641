"""A recording on the web as a source: a video file by HTTP, or a finished HLS playlist."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import av

from streams.base import ConnectionFailedError, Frame
from streams.decoding import Aspect, main_video_stream
from streams.failures import guarded
from streams.left_out import LeftOut
from streams.pictures import MOST_PIXELS
from streams.recorded.file import plain_formats
from streams.recorded.header import Header
from streams.recorded.jumping import INDEXED, Jumps
from streams.recorded.length import has_all, is_short
from streams.recorded.picking import Picks
from streams.recorded.ranges import Parts, WebFile
from streams.recorded.reach import Reach
from streams.recorded.recording import Recording, Shown
from streams.recorded.sound import Pass
from streams.sampler import TICK_S, Sampler

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
        self._web = None if web is None else replace(web, pause=self._closing.wait)
        self._size = None if self._web is None else _size_in_parts(self._web)
        super().__init__(
            camera=camera,
            location=location,
            kind=kind,
            written_at=written_at or datetime.now(UTC),
            most_pixels=most_pixels,
        )
        self._reach = Reach(
            opened=self._open,
            picks=self._picks,
            duration_s=self.info.duration_s,
            size=self._size,
            segment_s=segment_s,
        )

    def close(self) -> None:
        """End running passes at their next frame, or their wait for the next try."""
        super().close()
        self._closing.set()

    def to_fetch(self, interval_s: float) -> int | None:
        """About how many bytes of it a pass with a sampler of this interval fetches."""
        return self._reach.to_fetch(interval_s)

    def find_keyframe_interval(self) -> float | None:
        """The same, of its first few seconds."""
        return self._reach.pace.key_gap_s

    def look_bytes(self, interval_s: float) -> int | None:
        return None if self.moments(interval_s) is None else self._reach.look_bytes()

    def moments(self, interval_s: float) -> Sequence[float] | None:
        """Single keyframes, where they can be fetched alone; further apart than `interval_s` where
        it would be as cheap to fetch all of it."""
        return self._reach.moments(interval_s)

    def frames_at(self, times_s: Sequence[float]) -> Iterator[Frame]:
        self._require_open()
        tally = self._pass = Pass(LeftOut(self._where))
        picks = self._picks(self._reach.gap_s)
        return self._given(picks.frames(times_s, tally), tally)

    def _picks(self, gap_s: float) -> Picks:
        return Picks(
            opened=self._open_after,
            where=self._where,
            start_s=self._header.start_s,
            gap_s=gap_s,
            most_pixels=self._most_pixels,
        )

    def _open(self) -> Any:
        if self._size is None or self._web is None:
            return self._open_media()
        return open_parts(self._web, most_pixels=self._most_pixels)

    def _shown(
        self, container: Any, tally: Pass, sampler: Sampler | None, from_s: float | None
    ) -> Iterator[Shown]:
        """In jumps where they are possible and worth it; after `from_s`, if that can be found."""
        far = sampler is not None and self._reach.is_far(sampler.interval_s)
        back = from_s is not None and self._reach.any_place and container.format.name in INDEXED
        if not far and not back:
            yield from self._timed(container, tally, self._header)
            return
        aspect = Aspect(main_video_stream(container))
        jumps = Jumps(
            container,
            self._header.start_s,
            partial(self._decode, container, tally),
            sampler=sampler if far else None,
            gap_s=self._reach.gap_s if far else math.inf,
            end_s=self._header.duration_s or math.inf,
            from_s=from_s if back else None,
        )
        for frame, time_s in jumps:
            yield Shown(frame, time_s, aspect.of(frame))
        self._reach.lost = jumps.missed

    def _decode_all(self, tally: Pass, sampler: Sampler | None) -> Iterator[Shown]:
        given_s, from_s = -math.inf, None
        for number in range(TRIES):
            container = self._open_after(number)
            if container is None and self._closed:
                return
            if container is None:
                continue
            if from_s is None:
                tally.left_out.counts.clear()  # what was met is met again
            with closing(container):
                for shown in self._shown(container, tally, sampler, from_s):
                    if shown.time_s <= given_s:
                        tally.decoded -= 1
                        continue
                    if given_s == -math.inf:
                        _check_start(shown.frame, self._header, self._where)
                    tally.reached_s = given_s = shown.time_s
                    from_s = given_s if _is_as_stamped(shown, self._header) else None
                    yield shown
            all_there = not self._reach.lost and has_all(sampler, self._header)
            if self._closed or all_there or not is_short(tally, self._header):
                return

    def _open_after(self, failures: int) -> Any | None:
        """Opened, or opened again after so many failures running and a pause; None if that fails,
        too."""
        if failures and self._closing.wait(FIRST_PAUSE_S * 2 ** (failures - 1)):
            return None
        try:
            return self._open()
        except ConnectionFailedError as exc:
            if not failures:
                raise
            logger.info("%s: %s, trying again", self._where, exc.reason)
            return None


def _is_as_stamped(shown: Shown, header: Header) -> bool:
    """Whether the time is the container's own: only that can be found again."""
    raw_s = shown.frame.time
    return raw_s is not None and abs(raw_s - header.start_s - shown.time_s) < TICK_S


def _check_start(first: Any, header: Header, where: str) -> None:
    late_s = (first.time or 0.0) - header.start_s
    if late_s > MISSING_START_S:
        logger.warning(
            "%s: its first %.1f s do not come; the server may answer Range requests wrongly: "
            "download the file instead",
            where,
            late_s,
        )


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
