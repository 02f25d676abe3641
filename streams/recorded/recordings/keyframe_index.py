"""Where a file's keyframes are: by its index, or found on the way back from a moment."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from streams.decoding import packet_time_s
from streams.keyframes import TOLERANCE
from streams.recorded.jumping import INDEXED
from streams.sampler import TOLERANCE_S

WITH_INDEX = INDEXED - {"hls"} | {"avi"}
"""Containers whose index is whole from the beginning. Of others (Dahua's, MPEG-TS) FFmpeg notes the
keyframes that it has come by, which says nothing of those between."""

USUAL_S = 4.0
"""How far apart keyframes are taken to be where nothing tells."""


class Keyframes(NamedTuple):
    """When the keyframes of a file are, by its index, in seconds since its first."""

    times_s: tuple[float, ...]

    @classmethod
    def of(cls, stream: Any) -> Keyframes | None:
        """None for a file without an index, or with one that has no keyframe."""
        if not has_index(stream):
            return None
        base = float(stream.time_base)
        times = [e.timestamp * base for e in stream.index_entries if e.is_keyframe]
        if not times or len(stream.index_entries) < 2:
            return None
        return cls(tuple(time_s - times[0] for time_s in times))

    def longest_gap_s(self, length_s: float | None) -> float | None:
        """The longest time without a keyframe, up to the end of the file; None if nothing tells."""
        ends = list(self.times_s[1:])
        if length_s is not None and length_s > self.times_s[-1]:
            ends.append(length_s)
        gaps = [end - begin for begin, end in zip(self.times_s, ends, strict=False)]
        return max(gaps, default=None)


class Track(NamedTuple):
    """A container's video that is looked into: when its first frame is shown, in its own seconds,
    and how far keyframes are apart (None: nothing tells)."""

    container: Any
    stream: Any
    start_s: float
    usual_s: float | None

    def time_s(self, frame: Any) -> float:
        """When a decoded frame is shown, in seconds since the first. The decoder's last one does
        not know its time base."""
        return max(0.0, float(frame.pts * self.stream.time_base) - self.start_s)


def keyframe_at(track: Track, offset_s: float, *, from_start: bool = True) -> Any:
    """The last keyframe at or before this moment (seconds since the first frame), decoded alone;
    None if there is none that is whole. As a last resort it is looked for `from_start`."""
    return _alone(track, _keyframe_packet(track, offset_s, from_start=from_start))


def keyframe_without_seek(track: Track, offset_s: float) -> Any:
    """The same in a container that was just opened, all of which is read up to there."""
    return _alone(track, _last_keyframe(track, offset_s))


def _alone(track: Track, packet: Any) -> Any:
    context = track.stream.codec_context
    context.flush_buffers()
    decoded = [] if packet is None else [*context.decode(packet), *context.decode(None)]
    context.flush_buffers()
    return next((f for f in decoded if not f.is_corrupt and f.pts is not None), None)


def _keyframe_packet(track: Track, offset_s: float, *, from_start: bool) -> Any:
    """The keyframe, not decoded.

    With an index a seek ends at it. Without one (MPEG-TS) it ends at the moment, and the keyframe
    lies before: then the way back is made longer until there is one.
    """
    usual_s = track.usual_s or USUAL_S
    ways_back_s = [0.0, 1.1 * usual_s, 3 * usual_s, *([offset_s + usual_s] if from_start else ())]
    for back_s in ways_back_s:
        at = math.floor((track.start_s + offset_s - back_s) / track.stream.time_base)
        track.container.seek(at, stream=track.stream)
        found = _last_keyframe(track, offset_s)
        if found is not None:
            return found
    return None


def _last_keyframe(track: Track, offset_s: float) -> Any:
    """From where the container stands, the last one up to this moment."""
    found = None
    for packet in track.container.demux(track.stream):
        at_s = packet_time_s(packet)
        if at_s is None or not packet.size:
            continue
        if at_s - track.start_s > offset_s + TOLERANCE_S:
            if packet.is_keyframe or found is not None:
                break
        elif packet.is_keyframe:
            found = packet
            if has_index(track.stream):
                break
    return found


def has_index(stream: Any) -> bool:
    """Whether a seek ends at the last keyframe before a moment, and no other lies between."""
    return bool(stream.index_entries) and stream.container.format.name in WITH_INDEX


def keyframes_suffice(stream: Any, interval_s: float | None, *, usual_s: float | None) -> bool:
    """Whether keyframes come as often as frames are wanted (None: all are); `usual_s` is how often
    they come where the file has no index."""
    if interval_s is None:
        return False
    index = Keyframes.of(stream)
    gap_s = usual_s if index is None else index.longest_gap_s(length_of(stream))
    return gap_s is not None and gap_s <= interval_s * (1 + TOLERANCE)


def start_of(stream: Any) -> float:
    """When the stream's first frame is shown, in its own seconds."""
    if stream.start_time is None:
        return 0.0
    return float(stream.start_time * stream.time_base)


def length_of(stream: Any) -> float | None:
    """How long the stream is, as it says itself."""
    return None if stream.duration is None else float(stream.duration * stream.time_base)
