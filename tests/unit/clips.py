"""Little videos for the stream tests, each frame's number painted into its picture.

The number is a strip of 12 black or white blocks, so a test can tell by the picture which frame
it was given, whatever its time stamp claims.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

BITS, BLOCK_PX = 12, 12
WIDTH_PX, HEIGHT_PX = BITS * BLOCK_PX, 64
MILLISECOND = Fraction(1, 1000)


def numbered_image(number: int) -> NDArray[np.uint8]:
    image = np.full((HEIGHT_PX, WIDTH_PX, 3), (200, 60, 30), np.uint8)
    for bit in range(BITS):
        value = 255 if number >> bit & 1 else 0
        image[: HEIGHT_PX // 2, bit * BLOCK_PX : (bit + 1) * BLOCK_PX] = value
    return image


def read_number(image: NDArray[np.uint8]) -> int:
    strip = image[4 : HEIGHT_PX // 2 - 4].mean(axis=(0, 2))
    middles = strip[BLOCK_PX // 2 :: BLOCK_PX]
    return sum(1 << bit for bit in range(BITS) if middles[bit] > 127)


def write_clip(
    path: Path,
    times_ms: Sequence[int],
    *,
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    creation_time: str | None = None,
    keyframes: int = 25,
    scale: int = 1,
) -> Path:
    """One numbered frame at each of the times; with B-frames where the codec has them, and every
    `keyframes` frames one that can be decoded alone; `scale` times as wide and high."""
    with av.open(str(path), "w", options=options or {}) as container:
        if creation_time is not None:
            container.metadata["creation_time"] = creation_time
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height = scale * WIDTH_PX, scale * HEIGHT_PX
        stream.pix_fmt = "yuv420p"
        if codec == "libx264":
            stream.options = {"preset": "ultrafast", "bf": "2", "g": str(keyframes), "crf": "18"}
        stream.codec_context.time_base = MILLISECOND
        for number, time_ms in enumerate(times_ms):
            image = numbered_image(number).repeat(scale, axis=0).repeat(scale, axis=1)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = time_ms, MILLISECOND
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def constant_rate(count: int, *, step_ms: int = 40) -> list[int]:
    return [index * step_ms for index in range(count)]
