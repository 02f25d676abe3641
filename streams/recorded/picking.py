"""Single keyframes of a recording on the web: a seek and one picture for each moment."""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import av

from streams.decoding import Aspect, decoder_options, main_video_stream
from streams.recorded.recording import Shown
from streams.recorded.recordings.keyframe_index import Track, keyframe_at
from streams.recorded.sound import DAMAGED, Pass

logger = logging.getLogger(__name__)

TRIES = 4
"""So many failures running, and what there is is taken for all there is."""

TRIES_OF_ONE = 2
"""A moment that fails so often is left out."""


@dataclass(slots=True)
class Picks:
    """`opened` opens the recording, the first time (0) and again after so many failures running;
    None where that fails. `start_s` and `gap_s` are of its pictures: when the first is shown, and
    how far keyframes are apart at most."""

    opened: Callable[[int], Any | None]
    where: str
    start_s: float
    gap_s: float
    most_pixels: int
    _failed: int = field(default=0, init=False)
    _last_s: float = field(default=-math.inf, init=False)

    def frames(self, times_s: Sequence[float], tally: Pass) -> Iterator[Shown]:
        """For each moment the keyframe at or shortly before it, each but once. A break is gone on
        with where it was."""
        waiting, count = deque(sorted(times_s)), len(times_s)
        while waiting and self._failed < TRIES:
            container = self.opened(self._failed)
            if container is None:
                self._failed += 1
                continue
            with closing(container):
                yield from self._until_a_failure(container, waiting, tally)
        if waiting:
            logger.warning(
                "%s: breaks off, %d of %d frames were not fetched", self.where, len(waiting), count
            )

    def lands(self, at_s: float) -> bool:
        """Whether a seek to this moment ends at a keyframe shortly before it."""
        container = self.opened(0)
        if container is None:
            return False
        with closing(container):
            try:
                track = self._track(container)
                frame = keyframe_at(track, at_s, from_start=False)
            except (av.error.FFmpegError, OSError):
                return False
            return frame is not None and track.time_s(frame) >= at_s - 2 * self.gap_s

    def _until_a_failure(
        self, container: Any, waiting: deque[float], tally: Pass
    ) -> Iterator[Shown]:
        track = self._track(container)
        aspect = Aspect(track.stream)
        while waiting:
            try:
                frame = keyframe_at(track, waiting[0], from_start=False)
            except (av.error.FFmpegError, OSError):
                self._failed += 1
                if self._failed % TRIES_OF_ONE == 0:
                    waiting.popleft()
                    tally.left_out.note(DAMAGED)
                return
            self._failed = 0
            waiting.popleft()
            if frame is None:
                tally.left_out.note(DAMAGED)
            elif (time_s := track.time_s(frame)) > self._last_s:
                self._last_s = time_s
                tally.decoded += 1
                yield Shown(frame, time_s, aspect.of(frame))

    def _track(self, container: Any) -> Track:
        stream = main_video_stream(container)
        context = stream.codec_context
        context.options = decoder_options(context.name, self.most_pixels)
        return Track(container, stream, self.start_s, self.gap_s)
