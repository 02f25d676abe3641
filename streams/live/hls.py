"""HLS: a playlist of short segments, recorded (it says where it ends) or live."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from urllib.parse import urljoin

from streams.address import Address
from streams.failures import NOT_VIDEO, TIMED_OUT, failure
from streams.live.options import LiveOptions
from streams.live.packets import PacketConnection, Recipe
from streams.web import USER_AGENT, fetch_text

WEB_PROTOCOLS = "http,https,tcp,tls,crypto,data,httpproxy"
"""What a playlist from the web may refer to: never a file of this machine."""

SEGMENTS_OF_PATIENCE = 3.0
"""A live playlist may bring nothing for this many target durations before it counts as stale."""

POLL_S = 1.0
"""How often a playlist is asked for while its next segment is awaited."""

ANALYSED_US = 1_000_000
"""How much FFmpeg looks at before a stream is open: of a live one, more means waiting for it."""

_VARIANT = re.compile(r"^#EXT-X-STREAM-INF:(.*)\r?\n(?:#.*\r?\n)*([^#\s].*?)\s*$", re.MULTILINE)
_HEIGHT = re.compile(r"RESOLUTION=\d+x(\d+)")
_BANDWIDTH = re.compile(r"(?<![A-Z-])BANDWIDTH=(\d+)")
_TARGET = re.compile(r"^#EXT-X-TARGETDURATION:(\d+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Playlist:
    """A media playlist: where it is, whether it goes on, its longest and its newest segment."""

    address: Address
    is_live: bool
    target_s: float
    newest: str


@dataclass(slots=True)
class Progress:
    """What one camera's connections know of each other: whether there was one before."""

    begun: bool = False


@dataclass(frozen=True, slots=True)
class Variant:
    """One of the sizes a master playlist offers; 0 where it does not say."""

    url: str
    height_px: int
    bandwidth_bps: int


def find_playlist(
    address: Address,
    *,
    where: str,
    options: LiveOptions,
    headers: Mapping[str, str] | None = None,
) -> Playlist:
    """The media playlist at this address; of a master's variants the best that fits."""
    for _ in range(2):
        text, final_url = fetch_text(
            address, where=where, timeout_s=options.open_timeout_s, headers=headers
        )
        variants = parse_variants(text)
        if not variants:
            return _media_playlist(text, address, where)
        login_kept = address if final_url == address.without_login else Address(final_url)
        address = Address(
            urljoin(login_kept.secret, choose_variant(variants, options.height_px).url)
        )
    raise failure(where, NOT_VIDEO, "a playlist of playlists of playlists; give one of them")


def parse_variants(text: str) -> list[Variant]:
    """The variants of a master playlist; none if it is a media playlist or no playlist."""

    def number(pattern: re.Pattern[str], attributes: str) -> int:
        found = pattern.search(attributes)
        return int(found.group(1)) if found else 0

    return [
        Variant(url, number(_HEIGHT, attributes), number(_BANDWIDTH, attributes))
        for attributes, url in _VARIANT.findall(text)
    ]


def choose_variant(variants: list[Variant], height_px: int) -> Variant:
    """The largest not above `height_px`; if all are above it, the smallest."""
    fitting = [v for v in variants if v.height_px <= height_px]
    if fitting:
        return max(fitting, key=lambda v: (v.height_px, v.bandwidth_bps))
    return min(variants, key=lambda v: (v.height_px, v.bandwidth_bps))


def connect_hls(
    address: Address,
    *,
    where: str,
    options: LiveOptions,
    headers: Mapping[str, str] | None = None,
    expires_at_s: float | None = None,
    progress: Progress | None = None,
) -> PacketConnection:
    """A live playlist; its segments come one at a time, so silence is longer than elsewhere.

    With `progress`, every connection but the first waits for the next segment.
    """
    ask = partial(find_playlist, address, where=where, options=options, headers=headers)
    playlist = ask()
    if not playlist.is_live:
        raise failure(where, NOT_VIDEO, "a recording, where a live stream was expected; reopen it")
    silence_s = SEGMENTS_OF_PATIENCE * playlist.target_s
    progress = progress or Progress()
    if progress.begun:
        _await_segment(playlist, ask, where=where, limit_s=min(silence_s, options.open_timeout_s))
    recipe = Recipe(
        kind="hls",
        address=playlist.address,
        where=where,
        open_timeout_s=options.open_timeout_s,
        read_timeout_s=max(options.read_timeout_s, 2 * silence_s),
        sampling=options.sampling,
        format_name="hls",
        options=hls_options(headers),
        silence_s=silence_s,
        expires_at_s=expires_at_s,
    )
    connection = PacketConnection(recipe)
    progress.begun = True
    return connection


def _await_segment(
    playlist: Playlist, ask: Callable[[], Playlist], *, where: str, limit_s: float
) -> None:
    """A playlist gone stale still serves its last segments: at every new try they would be shown
    again, as if they were new."""
    until_s = time.monotonic() + limit_s
    while ask().newest == playlist.newest:
        if time.monotonic() >= until_s:
            raise failure(where, TIMED_OUT, "the playlist does not go on: see what writes it")
        time.sleep(min(POLL_S, playlist.target_s / 2))


def hls_options(headers: Mapping[str, str] | None) -> dict[str, str]:
    return {"protocol_whitelist": WEB_PROTOCOLS, **web_options(headers)}


def web_options(headers: Mapping[str, str] | None) -> dict[str, str]:
    """FFmpeg's options for these HTTP headers."""
    sent = {"User-Agent": USER_AGENT, **(headers or {})}
    agent = sent.pop("User-Agent")
    lines = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
    fixed = {"user_agent": agent, "analyzeduration": str(ANALYSED_US)}
    return fixed | ({"headers": lines} if lines else {})


def _media_playlist(text: str, address: Address, where: str) -> Playlist:
    found = _TARGET.search(text)
    if not text.lstrip("\ufeff").startswith("#EXTM3U") or found is None:
        raise failure(where, NOT_VIDEO, "no HLS playlist comes back: check the address")
    is_live = "#EXT-X-ENDLIST" not in text and "#EXT-X-PLAYLIST-TYPE:VOD" not in text
    newest = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return Playlist(address, is_live, float(found.group(1)), newest[-1] if newest else "")
