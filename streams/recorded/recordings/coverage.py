"""How much of a period was recorded, and where nothing was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from streams.recorded.recordings.listing import Period, Segment

JITTER_S = 2.0
"""Names have whole seconds, and a file begins with a keyframe: less than this is no gap."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """`share` is of the time from the first recording (or the period's beginning) to its end.
    `gaps_s` are the gaps' lengths, as they come."""

    share: float
    gaps_s: tuple[float, ...]

    @property
    def longest_gap_s(self) -> float:
        return max(self.gaps_s, default=0.0)

    def in_words(self) -> str:
        """“98 % of the time, 2 gaps, the longest 12 min”."""
        said = f"{self.share:.1%} of the time recorded".replace("%", " %")
        if not self.gaps_s:
            return f"{said}, no gaps"
        count = f"{len(self.gaps_s):,} gap{'s' if len(self.gaps_s) > 1 else ''}"
        return f"{said}, {count}, the longest {_duration(self.longest_gap_s)}"


def stretches(
    segments: Sequence[Segment], lengths_s: Sequence[float], period: Period
) -> list[tuple[float, float]]:
    """When each segment begins and ends, cut where the next begins and where the period does."""
    ends = [s.start_s + length for s, length in zip(segments, lengths_s, strict=True)]
    for number, (_, following) in enumerate(pairwise(segments)):
        ends[number] = min(ends[number], following.start_s)
    spans = [
        (max(s.start_s, period.since_s), min(end, period.until_s))
        for s, end in zip(segments, ends, strict=True)
    ]
    return [(begin, max(begin, end)) for begin, end in spans]


def coverage(spans: Sequence[tuple[float, float]], period: Period) -> Coverage:
    """Of the whole period."""
    recorded_s = sum(end - begin for begin, end in spans)
    gaps, reached_s = [], period.since_s
    for begin, end in [*spans, (period.until_s, period.until_s)]:
        if begin - reached_s > JITTER_S:
            gaps.append(begin - reached_s)
        reached_s = max(reached_s, end)
    small_s = period.until_s - period.since_s - sum(gaps) - recorded_s  # names are whole seconds
    whole_s = period.until_s - period.since_s
    share = min(1.0, (recorded_s + max(0.0, small_s)) / whole_s) if whole_s > 0 else 0.0
    return Coverage(share=share, gaps_s=tuple(gaps))


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
