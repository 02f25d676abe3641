"""What of a recording on the web can be fetched alone, and how many bytes that takes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from streams.recorded.jumping import WORTH, Pace, pace_of
from streams.recorded.picking import Picks
from streams.recorded.ranges import FIRST_BYTES

LEAST_JUMP_S = 3.0
"""Frames that are wanted more often than this are read one after the other in any case."""


@dataclass(kw_only=True)
class Reach:
    """`opened` opens the recording, `picks` gives out single keyframes of it, with the most that
    these are apart. `size` is the file's length in bytes where its server gives out parts of it,
    `segment_s` the longest segment of a playlist (0: it is none). `lost`: a jump has ended
    elsewhere, and none is tried any more."""

    opened: Callable[[], Any]
    picks: Callable[[float], Picks]
    duration_s: float | None
    size: int | None
    segment_s: float
    lost: bool = field(default=False, init=False)

    @cached_property
    def pace(self) -> Pace:
        """By its beginning."""
        with closing(self.opened()) as container:
            return pace_of(container)

    @property
    def any_place(self) -> bool:
        """Whether any place of it can be fetched alone."""
        return not self.lost and (self.size is not None or self.segment_s > 0)

    @property
    def gap_s(self) -> float:
        """What a jump leads back at most; endless where nothing tells."""
        return max(self.segment_s, self.pace.key_gap_s or math.inf)

    def is_far(self, interval_s: float) -> bool:
        """Whether frames so far apart are worth jumps, and jumps are possible."""
        if interval_s < LEAST_JUMP_S or not self.any_place:
            return False
        return self.pace.is_indexed and interval_s > WORTH * self.gap_s

    def to_fetch(self, interval_s: float) -> int | None:
        """About how many bytes a frame every `interval_s` takes, one after the other."""
        if not self.duration_s:
            return self.size
        if not self.is_far(interval_s):
            return self._whole or None
        a_jump = FIRST_BYTES * (self.size is not None) + self._whole * self.gap_s / self.duration_s
        return min(self._whole, round(a_jump * self.duration_s / interval_s)) or None

    def look_bytes(self) -> int:
        """About what a single keyframe takes: the parts of the file that it is in, or a segment."""
        if self.size is None:
            return round(self._whole * self.segment_s / (self.duration_s or math.inf))
        part = fetched = FIRST_BYTES
        while fetched < self.pace.key_bytes:
            part *= 2
            fetched += part
        return fetched

    def moments(self, interval_s: float) -> Sequence[float] | None:
        """When single keyframes can be had: `interval_s` apart, or further, so that each is another
        one and all of them together take no more than the whole. None where they cannot be."""
        if not (self.any_place and self.duration_s and self._finds_keyframes):
            return None
        worth_s = self.look_bytes() * self.duration_s / self._whole
        apart_s = max(interval_s, self.gap_s, worth_s)
        return [apart_s * number for number in range(math.ceil(self.duration_s / apart_s))]

    @cached_property
    def _finds_keyframes(self) -> bool:
        """By a try in the middle."""
        if not (self.pace.is_indexed and self._whole and math.isfinite(self.gap_s)):
            return False
        return self.picks(self.gap_s).lands((self.duration_s or 0.0) / 2)

    @property
    def _whole(self) -> int:
        return self.size or round(self.pace.bytes_a_second * (self.duration_s or 0.0))
