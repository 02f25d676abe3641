"""Live streams at web addresses: each connection checks anew what answers there."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from streams.address import Address
from streams.failures import NOT_VIDEO, failure
from streams.live.connection import Connection
from streams.live.hls import Progress, connect_hls, web_options
from streams.live.mjpeg import connect_mjpeg
from streams.live.options import LiveOptions
from streams.live.packets import PacketConnection, Recipe
from streams.live.snapshot import SnapshotConnection
from streams.site import Resolved, resolve
from streams.web import sniff


def connect_web(
    address: Address, *, where: str, options: LiveOptions, progress: Progress | None = None
) -> Connection:
    """HLS, MJPEG, a snapshot, plain video or a site's page, by what the server says it is."""
    answer = sniff(address, where=where, timeout_s=options.open_timeout_s)
    if answer.kind == "page":
        return connect_site(address, where=where, options=options, progress=progress)
    if answer.kind == "hls":
        return connect_hls(address, where=where, options=options, progress=progress)
    if answer.kind == "mjpeg":
        return connect_mjpeg(address, where=where, options=options)
    if answer.kind == "image":
        return SnapshotConnection(address, where=where, options=options)
    if answer.recorded:
        raise failure(where, NOT_VIDEO, "a recording, where a live stream was expected; reopen it")
    return connect_video(address, where=where, options=options)


def connect_site(
    page: Address, *, where: str, options: LiveOptions, progress: Progress | None = None
) -> PacketConnection:
    """The stream behind a page; its address is asked for at every connection."""
    found = resolve_page(page, where=where, options=options)
    connect = partial(connect_hls, progress=progress) if found.is_playlist else connect_video
    return connect(
        found.address,
        where=where,
        options=options,
        headers=found.headers,
        expires_at_s=found.expires_at_s,
    )


def resolve_page(page: Address, *, where: str, options: LiveOptions) -> Resolved:
    """Where a page's stream is just now, as these options ask for it."""
    height_px, timeout_s = options.height_px, options.open_timeout_s
    return resolve(page, where=where, height_px=height_px, timeout_s=timeout_s)


def connect_video(
    address: Address,
    *,
    where: str,
    options: LiveOptions,
    headers: Mapping[str, str] | None = None,
    expires_at_s: float | None = None,
) -> PacketConnection:
    """Video in a response that never ends, MPEG-TS for example."""
    recipe = Recipe(
        kind="web video",
        address=address,
        where=where,
        open_timeout_s=options.open_timeout_s,
        read_timeout_s=options.read_timeout_s,
        sampling=options.sampling,
        most_pixels=options.most_pixels,
        options=web_options(headers),
        expires_at_s=expires_at_s,
    )
    return PacketConnection(recipe)
