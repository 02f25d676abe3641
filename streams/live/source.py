"""A live camera as a source: read in its own thread, reconnected for ever, never stale."""

from __future__ import annotations

import random
from collections.abc import Iterator

from streams.base import Frame, FrameSource, SourceInfo, StreamError
from streams.live.clock import Clock, SystemClock
from streams.live.health import HealthReport
from streams.live.options import LiveOptions
from streams.live.outlet import LiveCounts, Outlet, Tap
from streams.live.reader import CLOSE_SHARE, Connect, Reader
from streams.sampler import Sampler


class LiveSource(FrameSource):
    """Frames of a camera that never ends.

    `time_s` counts seconds since the source was opened, by the machine's monotonic clock and
    strictly increasing whatever the camera's presentation times do; `wall_time` is the machine's
    own clock. Every packet is drained in a thread of its own (`Reader`), whether or not frames are
    asked for; a consumer that is behind loses the oldest waiting frames (`Outlet`), and `counts`
    says how many. A connection that fails or ends is opened again, for ever, after growing pauses;
    only `close` ends an iteration. The size of frames may change from one to the next.
    """

    def __init__(
        self,
        connect: Connect,
        *,
        camera: str,
        location: str,
        options: LiveOptions,
        clock: Clock | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self._options = options
        clock = clock or SystemClock()
        info = SourceInfo(
            kind="live", location=location, width_px=0, height_px=0, started_at=clock.now()
        )
        self._outlet = Outlet(camera, info, room=self._options.queue_frames)
        self._reader = Reader(connect, self._outlet, options=self._options, clock=clock, rng=rng)
        if self._options.must_answer:
            self._await_first_picture()

    @property
    def info(self) -> SourceInfo:
        """As the latest picture has it."""
        return self._outlet.info

    @property
    def health(self) -> HealthReport:
        return self._reader.health.report()

    @property
    def counts(self) -> LiveCounts:
        return self._outlet.counts

    def frames(self, sampler: Sampler | None = None) -> Iterator[Frame]:
        """Frames from now on. Several consumers at once get their own, each by its sampler."""
        if self._outlet.closed.is_set():
            message = f"{self._outlet.where}: the source was closed; open it again to read from it"
            raise StreamError(message)
        return self._consume(sampler)

    def close(self) -> None:
        """End all iterations at once, and the reader as soon as its read returns."""
        self._outlet.close()
        self._reader.join()

    def _consume(self, sampler: Sampler | None) -> Iterator[Frame]:
        with self._outlet.tapped(sampler) as tap:
            while (frame := self._next_frame(tap)) is not None:
                yield frame

    def _next_frame(self, tap: Tap) -> Frame | None:
        """The oldest waiting frame, or None once the source is closed."""
        while not self._outlet.closed.is_set():
            frame = self._outlet.next_frame(tap)
            if frame is not None:
                return frame
            self._reader.health.report()  # somebody has to notice a stall
        return None

    def _await_first_picture(self) -> None:
        limit_s = CLOSE_SHARE * (self._options.open_timeout_s + self._options.read_timeout_s)
        failed = self._outlet.await_first_picture(limit_s)
        if failed is not None:
            self.close()
            raise failed
