"""Reading a recording in jumps: from the keyframe before one wanted frame to the next.

For recordings whose bytes are dear. It gives the same frames as reading on, or says that it cannot:
only containers with an index find a moment, and only jumps over several keyframes save anything.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any

import av

from streams.decoding import main_video_stream, packet_time_s
from streams.keyframes import KeyframeGate
from streams.recorded.header import LOOKED_AT_PACKETS
from streams.sampler import Sampler

INDEXED = frozenset({"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "hls"})
"""Containers that know where a moment is: in the file, or in which of the segments."""

WORTH = 3.0
"""A jump over fewer gaps between keyframes than this saves too little."""

ENOUGH, ENOUGH_S = 6, 10.0
"""After so many keyframes and seconds the pace is known: these bytes are dear, too."""

Frames = Callable[[], Iterator[Any]]


@dataclass(frozen=True, slots=True)
class Pace:
    """What the beginning of a recording tells: whether it has an index, the longest gap between
    keyframes (None: there is but one), how many bytes its pictures take a second, and how many the
    largest keyframe."""

    is_indexed: bool
    key_gap_s: float | None
    bytes_a_second: float
    key_bytes: int


def pace_of(container: Any) -> Pace:
    """By the first few packets; nothing is decoded."""
    gate, count, reached_s, key_bytes, keys = KeyframeGate("keyframes"), 0, 0.0, 0, 0
    with suppress(av.error.FFmpegError, OSError):
        for packet in islice(container.demux(main_video_stream(container)), LOOKED_AT_PACKETS):
            time_s = packet_time_s(packet)
            if time_s is None:
                continue
            count, reached_s = count + packet.size, max(reached_s, time_s)
            if packet.is_keyframe:
                gate.admits(is_key=True, time_s=time_s, interval_s=None)
                key_bytes, keys = max(key_bytes, packet.size), keys + 1
                if keys > ENOUGH and reached_s >= ENOUGH_S:
                    break
    rate = count / reached_s if reached_s else 0.0
    return Pace(container.format.name in INDEXED, gate.keyframe_interval_s, rate, key_bytes)


class Jumps:
    """One pass over `container`: decoded frames with their times from its start (`start_s`).

    `gap_s` is the longest gap between keyframes, or the length of a segment: what a jump costs.
    With `from_s` it begins after that moment; it ends where the next wanted frame would come at
    `end_s` or later. Without a sampler all frames come.
    """

    def __init__(
        self,
        container: Any,
        start_s: float,
        frames: Frames,
        *,
        sampler: Sampler | None,
        gap_s: float,
        end_s: float = math.inf,
        from_s: float | None = None,
    ) -> None:
        self._container, self._start_s, self._frames = container, start_s, frames
        self._sampler, self._gap_s, self._from_s, self._end_s = sampler, gap_s, from_s, end_s
        self.missed = False

    def __iter__(self) -> Iterator[tuple[Any, float]]:
        """Until the end; or until a jump does not land before its frame, or times are not what they
        should be (`missed`)."""
        due_s = self._from_s
        given_s = -1.0 if due_s is None else due_s
        while due_s is None or self._jump(due_s):
            before_s, jump_to_s = -math.inf, None
            for frame in self._frames():
                time_s = math.nan if frame.time is None else frame.time - self._start_s
                late = due_s is not None and math.isinf(before_s) and time_s > due_s
                if late or not time_s > before_s:
                    self.missed = True
                    return
                before_s = time_s
                if time_s > given_s:
                    given_s = time_s
                    yield frame, time_s
                if (jump_to_s := self._far(time_s)) is not None:
                    break
            if jump_to_s is None or jump_to_s >= self._end_s:
                return
            due_s = jump_to_s

    def _far(self, time_s: float) -> float | None:
        """The next wanted moment, if it is far enough for a jump."""
        due_s = None if self._sampler is None else self._sampler.next_due_s
        return due_s if due_s is not None and due_s - time_s > WORTH * self._gap_s else None

    def _jump(self, to_s: float) -> bool:
        stream = main_video_stream(self._container)
        at = int((to_s + self._start_s) / stream.time_base)
        try:
            self._container.seek(at, stream=stream, backward=True)
        except (av.error.FFmpegError, OSError):
            self.missed = True
            return False
        return True
