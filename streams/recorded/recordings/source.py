"""A recorder's folder as a source: many short files, one long recording with gaps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from streams.base import (
    Frame,
    FrameSource,
    SourceInfo,
    SourceUnreadableError,
    StreamError,
    redact_url,
)
from streams.left_out import LeftOut
from streams.pictures import MOST_PIXELS
from streams.recorded.recordings.coverage import Coverage, coverage, stretches
from streams.recorded.recordings.finding import find_segments
from streams.recorded.recordings.looking import is_growing, lengths, look
from streams.recorded.recordings.options import RecordingsOptions
from streams.recorded.recordings.passes import SegmentPass, Timed
from streams.recorded.recordings.reading import GROWING, SegmentFacts, SegmentReader
from streams.sampler import Sampler

SCHEME = "recordings:"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingsFacts:
    """What was found of a recorder's folder."""

    layout: str
    pattern: str
    segments: int
    days: tuple[date, ...]
    hours: float
    coverage: Coverage

    def in_words(self) -> str:
        """For a person."""
        days = len(self.days)
        which = f"{self.days[0]} to {self.days[-1]}" if days > 1 else str(self.days[0])
        return (
            f"layout {self.layout}, {days:,} day{'s' if days > 1 else ''} there ({which}), "
            f"{self.segments:,} files in the last {self.hours:.3g} h, "
            f"{self.coverage.in_words()}"
        )


class Recordings(FrameSource):
    """Frames of a recorder's segments, by real time: the time in a file's path plus the frame's
    own. Where nothing was recorded there are no frames. A segment that is empty, cut off, damaged,
    still being written or deleted meanwhile costs itself, and is counted.
    """

    def __init__(
        self,
        root: str | Path,
        *,
        camera: str,
        options: RecordingsOptions | None = None,
        most_pixels: int = MOST_PIXELS,
    ) -> None:
        self._root, self._camera = str(root), camera
        self._location = redact_url(self._root)
        self._where = f"camera {camera!r}: {self._location}"
        self._options = options or RecordingsOptions()
        self._closed = False
        self._period = self._options.period()
        found = find_segments(self._root, self._options, own_name=camera, where=self._where)
        segments = found.listing.segments
        self._at_start: Counter[str] = Counter()
        if is_growing(self._root, segments):
            self._at_start[GROWING] += 1
            segments = segments[:-1]
        self._left_out = LeftOut(self._where)
        self._reader = SegmentReader(
            root=Path(self._root),
            where=self._where,
            most_pixels=most_pixels,
            left_out=self._left_out,
        )
        looked_at = look(self._reader, segments)
        spans = stretches(segments, lengths(self._reader, segments, looked_at), self._period)
        inside = [(s, span) for s, span in zip(segments, spans, strict=True) if span[1] > span[0]]
        if not inside:
            message = f"{self._where}: no recording reaches into the time that is asked for"
            raise SourceUnreadableError(message)
        self._segments, self._spans = [s for s, _ in inside], [span for _, span in inside]
        self._info = _told(looked_at, self._spans, location=f"{SCHEME}{self._location}")
        self._reader = replace(self._reader, keyframe_interval_s=self._info.keyframe_interval_s)
        self.facts = RecordingsFacts(
            layout=found.layout,
            pattern=found.times.pattern,
            segments=len(self._segments),
            days=found.days,
            hours=(self._period.until_s - self._period.since_s) / 3600,
            coverage=coverage(self._spans, self._period),
        )
        self._info = replace(self._info, said=(self.facts.in_words(),))

    @property
    def info(self) -> SourceInfo:
        return self._info

    @property
    def left_out(self) -> Mapping[str, int]:
        return self._left_out.counts + self._at_start

    @property
    def coverage(self) -> str:
        return f"Of the last {self.facts.hours:.3g} h: {self.facts.coverage.in_words()}."

    def frames(self, sampler: Sampler | None = None) -> Iterator[Frame]:
        self._require_open()
        return self._played(sampler)

    def expected(self, interval_s: float) -> int | None:
        return max(1, len(self._there(interval_s)))  # gaps hold no frames

    def moments(self, interval_s: float) -> Sequence[float] | None:
        return self._there(interval_s) if self._options.by_moments else None

    def _there(self, interval_s: float) -> Sequence[float]:
        found: list[float] = []
        for begin_s, end_s in self._spans:
            first = -(-(begin_s - self._origin_s) // interval_s)
            count = max(0, int(-(-(end_s - self._origin_s) // interval_s) - first))
            found += [(first + k) * interval_s for k in range(count)]
        return found

    def frames_at(self, times_s: Sequence[float]) -> Iterator[Frame]:
        self._require_open()
        return self._picked(times_s)

    def close(self) -> None:
        """End running passes at their next frame; each lets go of its files as it ends."""
        self._closed = True

    @property
    def _origin_s(self) -> float:
        return self._spans[0][0]

    def _require_open(self) -> None:
        if self._closed:
            message = f"{self._where}: it was closed; open it again to read from it"
            raise StreamError(message)

    def _played(self, sampler: Sampler | None) -> Iterator[Frame]:
        reading = self._pass()
        for timed in reading.sampled(self._segments, sampler):
            if sampler is None or sampler.wants(timed.at_s - self._origin_s):
                reading.given += 1
                yield self._frame(timed)
            if self._closed:
                return
        reading.say()

    def _picked(self, times_s: Sequence[float]) -> Iterator[Frame]:
        """The last keyframe before each moment: only segments with a moment in them are opened."""
        wanted: dict[int, list[float]] = {}
        number = 0
        for at_s in sorted(self._origin_s + time_s for time_s in times_s):
            while number + 1 < len(self._spans) and self._spans[number][1] <= at_s:
                number += 1
            if self._spans[number][0] <= at_s:
                offset_s = at_s - self._segments[number].start_s
                wanted.setdefault(number, []).append(offset_s)
        reading = self._pass()
        for timed in reading.at([(self._segments[n], offsets) for n, offsets in wanted.items()]):
            reading.given += 1
            yield self._frame(timed)
            if self._closed:
                return
        reading.say()

    def _pass(self) -> SegmentPass:
        self._left_out = LeftOut(self._where)
        return SegmentPass(self._reader, self._period, self._options.threads, self._left_out)

    def _frame(self, timed: Timed) -> Frame:
        time_s = round(timed.at_s - self._origin_s, 6)
        return Frame(
            image=timed.taken.image,
            time_s=time_s,
            wall_time=self._info.started_at + timedelta(seconds=time_s),
            camera=self._camera,
        )


def _told(
    looked_at: Sequence[SegmentFacts], spans: Sequence[tuple[float, float]], *, location: str
) -> SourceInfo:
    """By a few segments: the commonest size, the first's rate and codec, the longest way from
    keyframe to keyframe."""
    shapes = Counter((facts.height_px, facts.width_px) for facts in looked_at)
    height_px, width_px = shapes.most_common(1)[0][0]
    gaps = [f.keyframe_interval_s for f in looked_at if f.keyframe_interval_s is not None]
    return SourceInfo(
        kind="recordings",
        location=location,
        width_px=width_px,
        height_px=height_px,
        started_at=_EPOCH + timedelta(seconds=spans[0][0]),
        rate_fps=looked_at[0].rate_fps,
        duration_s=spans[-1][1] - spans[0][0],
        codec=looked_at[0].codec,
        keyframe_interval_s=max(gaps, default=None),
    )
