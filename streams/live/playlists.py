"""What stands in an HLS playlist. It comes from a stranger, so it is read line by line, once, and
within limits that no player's playlist reaches."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

LONGEST_URL = 4096
"""Characters; FFmpeg cuts longer lines."""

MOST_VARIANTS = 1000
"""Sizes of one stream; sites offer some twenty."""

LONGEST_TARGET_S = 60.0
"""Segments are of two to ten seconds. A playlist that claims hours would let a silent camera pass
for a sound one as long."""

_STREAM, _TARGET = "#EXT-X-STREAM-INF:", "#EXT-X-TARGETDURATION:"
_ENDS = ("#EXT-X-ENDLIST", "#EXT-X-PLAYLIST-TYPE:VOD")
_HEIGHT = re.compile(r"RESOLUTION=\d{1,6}x(\d{1,6})(?!\d)")
_BANDWIDTH = re.compile(r"(?<![A-Z-])BANDWIDTH=(\d{1,12})(?!\d)")
_SECONDS = re.compile(r"\d{1,9}(?:\.\d{0,9})?(?=\s*$)")


class PlaylistError(ValueError):
    """No playlist, or one that no player would play; the text says why."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One of the sizes a master playlist offers; 0 where it does not say."""

    url: str
    height_px: int
    bandwidth_bps: int


@dataclass(frozen=True, slots=True)
class Segments:
    """A media playlist: whether it goes on, its longest segment and its newest one's address."""

    is_live: bool
    target_s: float
    newest: str


def parse_variants(text: str) -> list[Variant]:
    """The variants of a master playlist; none if it is a media playlist or no playlist."""
    variants: list[Variant] = []
    attributes: str | None = None
    for line in _lines(text):
        if line.startswith(_STREAM):
            attributes = line[len(_STREAM) :][:LONGEST_URL]
        elif attributes is not None and line and not line.startswith("#"):
            if len(variants) == MOST_VARIANTS:
                message = f"more than {MOST_VARIANTS} streams to choose from"
                raise PlaylistError(message)
            height_px, bandwidth_bps = _number(_HEIGHT, attributes), _number(_BANDWIDTH, attributes)
            variants.append(Variant(_url(line), height_px, bandwidth_bps))
            attributes = None
    return variants


def parse_segments(text: str) -> Segments:
    """What a media playlist says of itself; raises `PlaylistError`."""
    target_s: float | None = None
    is_live, newest = True, ""
    if not text.lstrip("\ufeff \t\r\n").startswith("#EXTM3U"):
        message = "no HLS playlist comes back: check the address"
        raise PlaylistError(message)
    for line in _lines(text):
        if not line.startswith("#"):
            newest = line or newest
        elif line.startswith(_ENDS):
            is_live = False
        elif target_s is None and line.startswith(_TARGET):
            found = _SECONDS.match(line, len(_TARGET))
            target_s = float(found.group()) if found else None
    if target_s is None:
        message = "no HLS playlist comes back: check the address"
        raise PlaylistError(message)
    return Segments(is_live, min(max(target_s, 1.0), LONGEST_TARGET_S), _url(newest))


def choose_variant(variants: list[Variant], height_px: int) -> Variant:
    """The largest not above `height_px`; if all are above it, the smallest."""
    fitting = [v for v in variants if v.height_px <= height_px]
    if fitting:
        return max(fitting, key=lambda v: (v.height_px, v.bandwidth_bps))
    return min(variants, key=lambda v: (v.height_px, v.bandwidth_bps))


def _lines(text: str) -> Iterator[str]:
    """Each line without the white space around it."""
    return (line.strip() for line in text.split("\n"))


def _number(pattern: re.Pattern[str], attributes: str) -> int:
    found = pattern.search(attributes)
    return int(found.group(1)) if found else 0


def _url(line: str) -> str:
    if len(line) > LONGEST_URL:
        message = f"an address of {len(line)} characters; players accept {LONGEST_URL}"
        raise PlaylistError(message)
    return line
