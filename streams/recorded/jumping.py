"""Reading a recording in jumps: from the keyframe before one wanted frame to the next.

For recordings whose bytes are dear. It gives the same frames as reading on, or says that it cannot:
only containers with an index find a moment, and only jumps over several keyframes save anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import av

from streams.decoding import main_video_stream
from streams.sampler import Sampler

INDEXED = frozenset({"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"})
"""Containers that know where in the file a moment is."""

WORTH = 3.0
"""A jump over fewer gaps between keyframes than this saves too little."""

Frames = Callable[[], Iterator[Any]]


class Jumps:
    """One pass over `container`: decoded frames with their times from its start (`start_s`)."""

    def __init__(self, container: Any, start_s: float, sampler: Sampler, frames: Frames) -> None:
        self._container, self._start_s = container, start_s
        self._sampler, self._frames = sampler, frames
        self._last_key_s: float | None = None
        self._key_gap_s = 0.0
        self._given_s = -1.0
        self.missed = False

    def __iter__(self) -> Iterator[tuple[Any, float]]:
        """Until the end; or until a jump does not land before its frame (`missed`)."""
        due_s: float | None = None
        while True:
            has_landed = due_s is None
            for frame in self._frames():
                time_s = frame.time - self._start_s if frame.time is not None else None
                if time_s is None or (due_s is not None and time_s > due_s and not has_landed):
                    self.missed = True
                    return
                has_landed = True
                self._note(frame, time_s)
                if time_s > self._given_s:
                    self._given_s = time_s
                    yield frame, time_s
                if (due_s := self._next_jump(time_s)) is not None:
                    break
            else:
                return
            if not self._jump(due_s):
                return

    def _note(self, frame: Any, time_s: float) -> None:
        if not frame.key_frame:
            return
        if self._last_key_s is not None and time_s > self._last_key_s:
            self._key_gap_s = max(self._key_gap_s, time_s - self._last_key_s)
        self._last_key_s = time_s

    def _next_jump(self, time_s: float) -> float | None:
        """The next wanted moment, if it is far enough for a jump."""
        due_s = self._sampler.next_due_s
        if due_s is None or not self._key_gap_s:
            return None
        return due_s if due_s - time_s > WORTH * self._key_gap_s else None

    def _jump(self, due_s: float) -> bool:
        self._last_key_s = None  # the gap across a jump is none
        stream = main_video_stream(self._container)
        at = int((due_s + self._start_s) / stream.time_base)
        try:
            self._container.seek(at, stream=stream, backward=True)
        except (av.error.FFmpegError, OSError):
            return False
        return True
