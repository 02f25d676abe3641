"""A first look at a few of many segments: how large their pictures are, how long they last."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Sequence
from statistics import mean, median

from streams.base import SourceUnreadableError
from streams.left_out import in_words
from streams.recorded.recordings.listing import Segment
from streams.recorded.recordings.reading import SegmentError, SegmentFacts, SegmentReader

LOOKED_AT = 9
"""So many segments, evenly spaced, say which size is the commonest and how long they are."""

MEASURED = 400
"""Where lengths differ, so many segments at most are opened to measure them all."""

ALIKE = 0.2
"""Lengths that differ by less than this share are taken as one."""

GROWING_S = 15.0
"""A youngest file that was written to since is still being written."""

USUAL_S = 10.0
"""The length of a segment where no header tells it."""


def is_growing(root: str, segments: Sequence[Segment]) -> bool:
    """Whether the youngest is still being written; of one alone it is not asked."""
    try:
        written_s = os.stat(os.path.join(root, segments[-1].path)).st_mtime
    except OSError:
        return False
    return len(segments) > 1 and time.time() - written_s < GROWING_S


def look(reader: SegmentReader, segments: Sequence[Segment]) -> list[SegmentFacts]:
    """What a few segments are, evenly spaced; or else the first that can be read. Raises
    `SourceUnreadableError` if there is none."""
    reasons: Counter[str] = Counter()
    step = -(-len(segments) // LOOKED_AT)
    found = [f for s in segments[::step] if (f := _facts(reader, s, reasons)) is not None]
    if found:
        return found
    others = (s for number, s in enumerate(segments) if number % step)
    first = next((f for s in others if (f := _facts(reader, s, reasons)) is not None), None)
    if first is not None:
        return [first]
    message = (
        f"{reader.where}: none of its {len(segments):,} recordings of this time can be read "
        f"({in_words(reasons)}); play one of them elsewhere"
    )
    raise SourceUnreadableError(message)


def lengths(
    reader: SegmentReader, segments: Sequence[Segment], looked_at: Sequence[SegmentFacts]
) -> list[float]:
    """How long each segment is, in seconds: as a few of them if these are alike (a recorder that
    cuts by the clock), else as each header says, if they are not too many, else as their mean."""
    known = [facts.length_s for facts in looked_at if facts.length_s is not None]
    if not known:
        return [USUAL_S] * len(segments)
    usual_s = median(known)
    # The last may have been cut off by a restart of the recorder.
    alike = sum(abs(length_s - usual_s) <= ALIKE * usual_s for length_s in known) >= len(known) - 1
    if alike and len(known) > 1:
        return [usual_s] * len(segments)
    if len(segments) <= MEASURED:
        return [reader.length_s(segment.path) or 0.0 for segment in segments]
    return [mean(known)] * len(segments)


def _facts(reader: SegmentReader, segment: Segment, reasons: Counter[str]) -> SegmentFacts | None:
    try:
        return reader.facts(segment.path)
    except SegmentError as exc:
        reasons[exc.reason] += 1
        return None
