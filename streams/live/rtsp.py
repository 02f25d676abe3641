"""RTSP, what nearly every network camera speaks: `rtsp://user:password@host/path`."""

from __future__ import annotations

from streams.address import Address
from streams.live.options import LiveOptions
from streams.live.packets import MICROSECONDS, PacketConnection, Recipe

RECEIVE_BUFFER_BYTES = 2_097_152
"""For UDP: the system's own 200 KiB overflow at the first large keyframe."""


def connect_rtsp(address: Address, *, where: str, options: LiveOptions) -> PacketConnection:
    """Over TCP unless `transport` says UDP, which loses packets but passes some old cameras."""
    recipe = Recipe(
        kind="rtsp",
        address=address,
        where=where,
        open_timeout_s=options.open_timeout_s,
        read_timeout_s=options.read_timeout_s,
        sampling=options.sampling,
        most_pixels=options.most_pixels,
        options={
            "rtsp_transport": options.transport,
            "timeout": str(round(options.read_timeout_s * MICROSECONDS)),
            "allowed_media_types": "video",
            "buffer_size": str(RECEIVE_BUFFER_BYTES),
        },
    )
    return PacketConnection(recipe)
