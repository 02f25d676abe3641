"""How far a pass over a recording got, and whether that is as far as the header says."""

from __future__ import annotations

import logging

from streams.recorded.header import Header
from streams.recorded.sound import Pass

logger = logging.getLogger(__name__)

DEFAULT_RATE_FPS = 25.0
"""Assumed for a file without a frame rate; only used to repair missing time stamps and for the
length of the last frame."""

SHORT_SHARE, SHORT_S = 0.02, 1.0
"""A file that ends earlier than its header says by more than both of these is reported."""


def frame_s(header: Header) -> float:
    """How long one frame lasts."""
    return 1.0 / (header.rate_fps or DEFAULT_RATE_FPS)


def is_short(tally: Pass, header: Header) -> bool:
    """Whether the pass ended clearly before the header's end."""
    duration_s = header.duration_s or 0.0
    missing_s = duration_s - (tally.reached_s + frame_s(header))
    return missing_s > max(SHORT_S, SHORT_SHARE * duration_s)


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
