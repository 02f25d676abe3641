"""What FFmpeg decodes, made right to look at: which of a file's streams, which frames are whole,
which way is up, how wide a pixel is, and the two halves of interlaced pictures."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
import cv2
import numpy as np
from av.sidedata.sidedata import Type as SideData
from numpy.typing import NDArray

from streams.pictures import MOST_PIXELS, PictureError, too_large

DEFAULT_BONUS = 5_000_000
"""Pixels that a stream marked as the default one counts for, as FFmpeg has it."""

FIXED_POINT = 1 << 16
ASPECTS = (Fraction(1, 4), Fraction(4))
"""A pixel's width over its height beyond these is a mistake in the file."""

REORDER_S = 5.0
"""A keyframe that comes out after damage may have been decoded before it, by at most this."""

STILL_CODECS = frozenset({"mjpeg", "png", "webp"})
"""Codecs of which every frame stands alone: one that is damaged is refused, not patched."""

COMBED = 100
"""How far, squared grey levels, a row of the second half must stand out from both its
neighbours."""


def main_video_stream(container: Any) -> Any:
    """The video stream that FFmpeg would take, or None: the largest, unless another is marked as
    the default; never a cover picture. Of equals the first."""
    cover, default = av.stream.Disposition.attached_pic, av.stream.Disposition.default

    def rank(stream: Any) -> int:
        context = stream.codec_context
        pixels = (context.width or 0) * (context.height or 0)
        return int(pixels + DEFAULT_BONUS * bool(stream.disposition & default))

    # Of a codec that FFmpeg does not know there is no context.
    streams = [s for s in container.streams.video if s.codec_context and not s.disposition & cover]
    return max(streams, key=rank, default=None)


def decoder_options(codec: str, most_pixels: int) -> dict[str, str]:
    """FFmpeg makes room for no frame larger than allowed, and patches no still picture."""
    strict = {"err_detect": "explode"} if codec in STILL_CODECS else {}
    return {"max_pixels": str(most_pixels), **strict}


def packet_time_s(packet: Any) -> float | None:
    """When what is in it is to be shown; None if it does not say."""
    return None if packet.pts is None else float(packet.pts * packet.time_base)


class Soundness:
    """Which decoded frames are whole.

    FFmpeg patches what a lost packet leaves out and marks that frame, but not those built on it:
    damage lasts until the next whole keyframe that was decoded after it.
    """

    def __init__(self) -> None:
        self._spoilt = False
        self._broken_s: float | None = None

    def broke(self, time_s: float | None = None) -> None:
        """A packet, of this presentation time, was damaged."""
        self._spoilt, self._broken_s = True, time_s

    def holds(self, frame: Any) -> bool:
        if frame.is_corrupt:
            self._spoilt, self._broken_s = True, None
        elif frame.key_frame and not self._came_before(frame.time):
            self._spoilt = False
        return not self._spoilt

    def _came_before(self, time_s: float | None) -> bool:
        """Whether this keyframe was waiting to be shown while a later packet broke."""
        if self._broken_s is None or time_s is None:
            return False
        return 0 < self._broken_s - time_s <= REORDER_S


class Aspect:
    """How wide a pixel is, by the container or the codec, while a stream goes on."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._at_start = stream.sample_aspect_ratio
        self._size = (stream.codec_context.width, stream.codec_context.height)

    def of(self, frame: Any) -> Fraction:
        """What the container says holds for its first size only."""
        said = self._at_start
        if not said or (frame.width, frame.height) != self._size:
            said = self._stream.codec_context.sample_aspect_ratio
        aspect = Fraction(said) if said else Fraction(1)
        return aspect if ASPECTS[0] <= aspect <= ASPECTS[1] else Fraction(1)


def finished(
    image: NDArray[np.uint8], frame: Any, aspect: Fraction, *, most_pixels: int = MOST_PIXELS
) -> NDArray[np.uint8]:
    """A frame's H×W×3 RGB as it is meant to be seen. Raises `PictureError` if it gets too large."""
    if frame.interlaced_frame:
        image = without_combs(image)
    return upright(squared(image, aspect, most_pixels=most_pixels), display_matrix(frame))


def display_matrix(frame: Any) -> tuple[int, int, int, int] | None:
    """a b c d: a pixel at x, y is shown at a·x + c·y, b·x + d·y. None where nothing is said."""
    found = frame.side_data.get(SideData.DISPLAYMATRIX)
    if found is None or found.buffer_size < 36:
        return None
    a, b, _, c, d = (int(v) for v in np.frombuffer(bytes(found), np.int32, 5))
    return a, b, c, d


def upright(
    image: NDArray[np.uint8], matrix: tuple[int, int, int, int] | None
) -> NDArray[np.uint8]:
    """Turned and mirrored as the matrix says, to the nearest of the eight ways there are."""
    if matrix is None or not any(matrix):
        return image
    a, b, c, d = matrix
    across, down = a, d
    if abs(b) + abs(c) > abs(a) + abs(d):
        image = image.swapaxes(0, 1)
        across, down = c, b
    if across < 0:
        image = image[:, ::-1]
    if down < 0:
        image = image[::-1]
    return np.ascontiguousarray(image)


def squared(
    image: NDArray[np.uint8], aspect: Fraction, *, most_pixels: int = MOST_PIXELS
) -> NDArray[np.uint8]:
    """With pixels as wide as they are high, as every player shows it; no detail is lost."""
    height_px, width_px = image.shape[:2]
    shown = (
        (round(width_px * aspect), height_px)
        if aspect >= 1
        else (width_px, round(height_px / aspect))
    )
    if shown == (width_px, height_px):
        return image
    reason = too_large(*shown, most_pixels)
    if reason is not None:
        raise PictureError(reason)
    return np.asarray(cv2.resize(image, shown, interpolation=cv2.INTER_LINEAR), np.uint8)


def without_combs(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """An interlaced picture holds two moments, in every other row. Where things moved, rows of the
    second moment stand out from both neighbours: there they are made anew from these."""
    if image.shape[0] < 3:
        return image
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.int32)
    above, row, below = grey[0:-2:2], grey[1:-1:2], grey[2::2]
    combed = ((above - row) * (below - row) > COMBED).astype(np.uint8)
    combed = cv2.dilate(combed, np.ones((3, 5), np.uint8)).astype(bool)
    between = (image[0:-2:2].astype(np.uint16) + image[2::2] + 1) // 2
    result = image.copy()
    rows = result[1:-1:2]
    rows[combed] = between.astype(np.uint8)[combed]
    return result
