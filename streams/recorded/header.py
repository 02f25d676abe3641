"""What a recording's container says of it, as far as it can be believed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from streams.base import DAY_S
from streams.decoding import main_video_stream, packet_time_s
from streams.keyframes import KeyframeGate

LOOKED_AT_PACKETS = 1000
"""How far into a recording keyframes are looked for: most of a minute."""

EARLIEST_YEAR, LATEST_YEAR = 1990, 2200
"""Creation times beyond these are a device's unset clock (1904 and 1970 are the usual zeros)."""


LONGEST_S = 366 * DAY_S
"""A header that claims more is wrong."""


@dataclass(frozen=True, slots=True)
class Header:
    """What the container says, as far as it can be believed."""

    start_s: float
    rate_fps: float | None
    duration_s: float | None
    created_at: datetime | None
    codec: str | None


def read_header(container: Any, first: Any) -> Header:
    stream = main_video_stream(container)
    if stream.start_time is not None:
        start_s = float(stream.start_time * stream.time_base)
    else:
        start_s = first.time or 0.0
    duration_s = None
    if stream.duration is not None:
        duration_s = float(stream.duration * stream.time_base)
    elif container.duration is not None:
        duration_s = container.duration / 1e6
    return Header(
        start_s=start_s,
        rate_fps=_believable_rate(stream),
        duration_s=duration_s if duration_s and 0 < duration_s <= LONGEST_S else None,
        created_at=parse_creation_time(container.metadata.get("creation_time")),
        codec=stream.codec_context.name,
    )


def _believable_rate(stream: Any) -> float | None:
    for rate in (stream.average_rate, stream.guessed_rate):
        if rate is not None and 0 < rate <= 1000:
            return float(rate)
    return None


def parse_creation_time(text: str | None) -> datetime | None:
    """A container's creation_time; without a zone it is UTC, as the containers' rules say."""
    try:
        moment = datetime.fromisoformat(text or "")
        if not EARLIEST_YEAR <= moment.year <= LATEST_YEAR:
            return None
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except ValueError:
        return None


def keyframe_interval_s(container: Any) -> float | None:
    """The longest of the first few gaps between keyframes; None where there is but one."""
    gate = KeyframeGate("keyframes")
    for packet in islice(container.demux(main_video_stream(container)), LOOKED_AT_PACKETS):
        time_s = packet_time_s(packet)
        if packet.is_keyframe and time_s is not None:
            gate.admits(is_key=True, time_s=time_s, interval_s=None)
    return gate.keyframe_interval_s
