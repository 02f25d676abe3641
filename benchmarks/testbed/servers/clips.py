"""Moving pictures of 320×192 and smaller for the test servers, as H.264, JPEG and HLS."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

RATE_FPS = 10
"""Few enough to encode quickly."""


def moving_picture(number: int, *, width_px: int = 320, height_px: int = 192) -> NDArray[np.uint8]:
    """A grey ramp with a white block that is somewhere else in each picture."""
    ramp = np.linspace(60, 180, width_px, dtype=np.uint8)
    image = np.repeat(np.broadcast_to(ramp, (height_px, width_px))[..., None], 3, axis=2).copy()
    left = number * 8 % (width_px - 32)
    image[40:72, left : left + 32] = 255
    return image


def jpeg(image: NDArray[np.uint8]) -> bytes:
    return bytes(cv2.imencode(".jpg", image)[1].tobytes())


def write_h264(
    path: Path, *, width_px: int = 320, height_px: int = 192, seconds: int = 4, still: bool = False
) -> Path:
    """Annex-B with access unit delimiters, a keyframe every half second and no B-frames."""
    options = {"preset": "ultrafast", "bf": "0", "x264-params": "aud=1:repeat-headers=1:scenecut=0"}
    _encode(path, "h264", options, (width_px, height_px), seconds=seconds, still=still)
    return path


def pictures_of(clip: Path) -> frozenset[bytes]:
    """The pixels of each of its pictures, as they decode undisturbed."""
    with av.open(str(clip)) as container:
        frames = container.decode(video=0)
        return frozenset(frame.to_ndarray(format="rgb24").tobytes() for frame in frames)


def write_hls(folder: Path, *, seconds: int) -> list[str]:
    """Segments of a second, a keyframe every half second; their names, in order.

    The playlist beside them is a finished one.
    """
    folder.mkdir()
    options = {"preset": "ultrafast", "bf": "0", "x264-params": "scenecut=0"}
    _encode(
        folder / "recorded.m3u8",
        "hls",
        options,
        (320, 192),
        seconds=seconds,
        mux={"hls_time": "1", "hls_list_size": "0", "hls_segment_filename": f"{folder}/s%03d.ts"},
    )
    return sorted((p.name for p in folder.glob("s*.ts")), key=lambda name: (len(name), name))


def _encode(
    path: Path,
    format_name: str,
    options: dict[str, str],
    size_px: tuple[int, int],
    *,
    seconds: int,
    still: bool = False,
    mux: dict[str, str] | None = None,
) -> None:
    width_px, height_px = size_px
    with av.open(str(path), "w", format=format_name, options=mux or {}) as container:
        stream = container.add_stream("libx264", rate=RATE_FPS)
        stream.width, stream.height, stream.pix_fmt = width_px, height_px, "yuv420p"
        stream.options = {**options, "g": str(RATE_FPS // 2)}
        for number in range(seconds * RATE_FPS):
            image = moving_picture(0 if still else number, width_px=width_px, height_px=height_px)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, RATE_FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
