"""How long a recording is, where its header cannot know, and how far a pass over it got."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import Any

import av

from streams.decoding import main_video_stream, packet_time_s
from streams.recorded.header import Header
from streams.recorded.sound import Pass
from streams.sampler import MAX_LEAP_S, Sampler, TimeRepair

logger = logging.getLogger(__name__)

DEFAULT_RATE_FPS = 25.0
"""Assumed for a file without a frame rate; only used to repair missing time stamps and for the
length of the last frame."""

SHORT_SHARE, SHORT_S = 0.02, 1.0
"""A file that ends earlier than its header says by more than both of these is reported."""

JOINABLE = frozenset({"mpeg", "mpegts"})
"""Formats whose files can be joined byte by byte, as recorders do: times start anew at the joint,
and the length that FFmpeg tells is that of one part, or of none."""

LOOKED_AT = 24
"""So many places, evenly spaced in the file, say whether its times start anew."""


def frame_s(header: Header) -> float:
    """How long one frame lasts."""
    return 1.0 / (header.rate_fps or DEFAULT_RATE_FPS)


def is_short(tally: Pass, header: Header) -> bool:
    """Whether the pass ended clearly before the header's end."""
    duration_s = header.duration_s or 0.0
    missing_s = duration_s - (tally.reached_s + frame_s(header))
    return missing_s > max(SHORT_S, SHORT_SHARE * duration_s)


def has_all(sampler: Sampler | None, header: Header) -> bool:
    """Whether the next wanted frame would come at the recording's end or later."""
    due_s = None if sampler is None else sampler.next_due_s
    return due_s is not None and header.duration_s is not None and due_s >= header.duration_s


def report_length(tally: Pass, header: Header, *, where: str) -> None:
    """Log a pass that ended early."""
    if is_short(tally, header):
        logger.warning(
            "%s: ends early, at %.1f s of %.1f s (%d frames); the rest is missing or "
            "unreadable, copy the file again if it should be whole",
            where,
            tally.reached_s + frame_s(header),
            header.duration_s,
            tally.decoded,
        )


def is_joined(container: Any, size_bytes: int) -> bool:
    """Whether times start anew, or leap, between a few places of the file."""
    if container.format.name not in JOINABLE:
        return False
    before_s: float | None = None
    with suppress(av.error.FFmpegError, OSError):
        for number in range(LOOKED_AT):
            offset = size_bytes * number // LOOKED_AT
            container.seek(offset, unsupported_byte_offset=True, any_frame=True)
            found = map(packet_time_s, container.demux(main_video_stream(container)))
            time_s = next((t for t in found if t is not None), None)
            if time_s is None:
                continue
            if before_s is not None and not 0 <= time_s - before_s <= MAX_LEAP_S:
                return True
            before_s = time_s
    return False


def measured_s(container: Any, header: Header) -> float:
    """The length by all packets, from the start; nothing is decoded."""
    repair, reached_s, first_s = TimeRepair(frame_s(header)), 0.0, None
    with suppress(av.error.FFmpegError, OSError):
        for packet in container.demux(main_video_stream(container)):
            if packet.size == 0:  # the end
                continue
            raw_s = None if packet.dts is None else float(packet.dts * packet.time_base)
            first_s = raw_s if first_s is None else first_s
            reached_s = repair.repair(None if raw_s is None else raw_s - (first_s or 0.0))
    return reached_s + frame_s(header)
