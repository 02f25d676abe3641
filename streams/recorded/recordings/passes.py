"""One pass over many segments: their frames in one order of time, and what was left out."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple

from streams.left_out import LeftOut, in_words
from streams.recorded.recordings.ahead import in_order
from streams.recorded.recordings.coverage import JITTER_S
from streams.recorded.recordings.listing import Period, Segment
from streams.recorded.recordings.reading import Grid, SegmentError, SegmentReader, Taken
from streams.sampler import Sampler

logger = logging.getLogger(__name__)

HELD = 4
"""So many frames of a segment wait in memory while the segments before it are given out."""

OVERLAPPING = "of a segment that the one before it overlaps"


class _Ended(NamedTuple):
    """A segment is through; what was left out of it."""

    counts: Counter[str]


_Result = tuple[Segment, Taken | _Ended]


class Timed(NamedTuple):
    """A frame's time in seconds since 1970, and its picture."""

    at_s: float
    taken: Taken


@dataclass(slots=True)
class SegmentPass:
    """Reads segments side by side and gives their frames out by time; `left_out` grows
    meanwhile."""

    reader: SegmentReader
    period: Period
    threads: int
    left_out: LeftOut
    given: int = 0
    latest_s: float = field(default=-math.inf)

    def sampled(self, segments: Sequence[Segment], sampler: Sampler | None) -> Iterator[Timed]:
        """All frames of the period, or those that may be on the sampler's grid: the sampler is to
        be asked. Its times are counted from the period's first frame."""
        anchor_s = None if sampler is None else self._first_s(segments, sampler)
        works = (partial(self._frames, segment, sampler, anchor_s) for segment in segments)
        yield from self._ordered(works)

    def at(self, wanted: Sequence[tuple[Segment, Sequence[float]]]) -> Iterator[Timed]:
        """Keyframes at given moments of these segments (seconds since each one's start)."""
        works = (partial(self._keyframes, segment, offsets_s) for segment, offsets_s in wanted)
        yield from self._ordered(works)

    def say(self) -> None:
        """One line about what was left out."""
        if self.left_out.counts:
            logger.warning(
                "%s: %d frames read; left out: %s",
                self.left_out.where,
                self.given,
                in_words(self.left_out.counts),
            )

    def _first_s(self, segments: Sequence[Segment], sampler: Sampler) -> float | None:
        """When the first frame of the period is: the sampler's grid begins with it."""
        reader = replace(self.reader, left_out=LeftOut(self.reader.where))
        for segment in segments:
            try:
                for taken in reader.frames(segment.path, Grid(interval_s=sampler.interval_s)):
                    if segment.start_s + taken.offset_s >= self.period.since_s:
                        return segment.start_s + taken.offset_s
            except SegmentError:
                continue
        return None

    def _ordered(self, works: Iterator[Callable[[], Iterator[_Result]]]) -> Iterator[Timed]:
        overlapping = False
        for segment, item in in_order(works, threads=self.threads, held=HELD):
            if isinstance(item, _Ended):
                self.left_out.counts.update(item.counts)
                if overlapping:
                    self.left_out.note(OVERLAPPING)
                overlapping = False
                continue
            at_s = segment.start_s + item.offset_s
            if not self.period.since_s <= at_s < self.period.until_s:
                continue
            if at_s <= self.latest_s:
                overlapping |= self.latest_s - at_s > JITTER_S
                continue
            self.latest_s = at_s
            yield Timed(at_s, item)

    def _frames(
        self, segment: Segment, sampler: Sampler | None, anchor_s: float | None
    ) -> Iterator[_Result]:
        grid = Grid(interval_s=None)
        if sampler is not None:
            anchor_s = segment.start_s if anchor_s is None else anchor_s
            grid = Grid(interval_s=sampler.interval_s, anchor_s=anchor_s - segment.start_s)
        return self._guarded(segment, lambda reader: reader.frames(segment.path, grid))

    def _keyframes(self, segment: Segment, offsets_s: Sequence[float]) -> Iterator[_Result]:
        return self._guarded(segment, lambda reader: reader.keyframes_at(segment.path, offsets_s))

    def _guarded(
        self, segment: Segment, read: Callable[[SegmentReader], Iterator[Taken]]
    ) -> Iterator[_Result]:
        """A segment's frames; what cannot be read of it costs only itself."""
        own = LeftOut(self.reader.where)
        try:
            for taken in read(replace(self.reader, left_out=own)):
                yield segment, taken
        except SegmentError as exc:
            logger.debug("%s: %s: %s", own.where, segment.path, exc.reason)
            own.note(exc.reason)
        yield segment, _Ended(own.counts)
