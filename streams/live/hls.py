"""HLS: a playlist of short segments, recorded (it says where it ends) or live."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from urllib.parse import urljoin

from streams.address import Address
from streams.failures import NOT_VIDEO, TIMED_OUT, failure
from streams.live.options import LiveOptions
from streams.live.packets import PacketConnection, Recipe
from streams.live.playlists import (
    PlaylistError,
    Segments,
    choose_variant,
    parse_segments,
    parse_variants,
)
from streams.web import USER_AGENT, fetch_text, is_web

WEB_PROTOCOLS = "http,https,tcp,tls,crypto,data,httpproxy"
"""What a playlist from the web may refer to: never a file of this machine."""

SEGMENTS_OF_PATIENCE = 3.0
"""A live playlist may bring nothing for this many target durations before it counts as stale."""

POLL_S = 1.0
"""How often a playlist is asked for while its next segment is awaited."""

ANALYSED_US = 1_000_000
"""How much FFmpeg looks at before a stream is open: of a live one, more means waiting for it."""


@dataclass(frozen=True, slots=True)
class Playlist:
    """A media playlist: where it is, and what stands in it."""

    address: Address
    segments: Segments


@dataclass(slots=True)
class Progress:
    """What one camera's connections know of each other: whether there was one before."""

    begun: bool = False


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
        try:
            variants = parse_variants(text)
            if not variants:
                return Playlist(address, parse_segments(text))
            login_kept = address if final_url == address.without_login else Address(final_url)
            chosen = choose_variant(variants, options.height_px).url
        except PlaylistError as exc:
            reason = str(exc)
            break
        address = _within_web(login_kept, chosen, where)
    else:
        reason = "a playlist of playlists of playlists; give one of them"
    raise failure(where, NOT_VIDEO, reason)


def _within_web(base: Address, url: str, where: str) -> Address:
    """Where a playlist refers to; only to the web, never to this machine or its network's files."""
    with suppress(ValueError):  # an address that cannot be taken apart
        target = Address(urljoin(base.secret, url))
        if is_web(target):
            return target
    raise failure(where, NOT_VIDEO, "its playlist refers to something that is no web address")


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
    if not playlist.segments.is_live:
        raise failure(where, NOT_VIDEO, "a recording, where a live stream was expected; reopen it")
    silence_s = SEGMENTS_OF_PATIENCE * playlist.segments.target_s
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
        most_pixels=options.most_pixels,
        format_name="hls",
        options=web_options(headers),
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
    while ask().segments.newest == playlist.segments.newest:
        if time.monotonic() >= until_s:
            raise failure(where, TIMED_OUT, "the playlist does not go on: see what writes it")
        time.sleep(min(POLL_S, playlist.segments.target_s / 2))


def web_options(headers: Mapping[str, str] | None) -> dict[str, str]:
    """FFmpeg's options for these HTTP headers."""
    sent = {"User-Agent": USER_AGENT, **(headers or {})}
    agent = sent.pop("User-Agent")
    lines = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
    fixed = {
        "protocol_whitelist": WEB_PROTOCOLS,
        "user_agent": agent,
        "analyzeduration": str(ANALYSED_US),
    }
    return fixed | ({"headers": lines} if lines else {})
