"""The sound frames of a container: what is damaged, or built on it, is counted and left out."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import av

from streams.decoding import Soundness, decoder_options, main_video_stream, packet_time_s
from streams.left_out import LeftOut

logger = logging.getLogger(__name__)

DAMAGED = "damaged"
BUILT_ON_DAMAGE = "built on a damaged one"


@dataclass(slots=True)
class Pass:
    """What one pass over a recording has met so far."""

    left_out: LeftOut
    decoded: int = 0
    reached_s: float = 0.0


def sound_frames(container: Any, tally: Pass, *, where: str, most_pixels: int) -> Iterator[Any]:
    """In presentation order, up to where the container ends or breaks off."""
    stream = main_video_stream(container)
    context = stream.codec_context
    context.options = decoder_options(context.name, most_pixels)
    packets, soundness = container.demux(stream), Soundness()
    while True:
        try:
            packet = next(packets, None)
        except (av.error.FFmpegError, OSError):
            logger.debug("%s: the container breaks off", where)
            return
        if packet is None:
            return
        try:
            decoded = packet.decode()
        except av.error.EOFError:
            return
        except av.error.FFmpegError:
            tally.left_out.note(DAMAGED)
            soundness.broke(packet_time_s(packet))
            continue
        for frame in decoded:
            if soundness.holds(frame):
                tally.decoded += 1
                yield frame
            else:
                tally.left_out.note(DAMAGED if frame.is_corrupt else BUILT_ON_DAMAGE)
