"""Writes a video with boxes drawn on it, completely or not at all."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
import numpy as np
from numpy.typing import NDArray

from models.files import aside
from models.images import resize

MILLISECOND = Fraction(1, 1000)


class VideoWriter:
    """Writes frames at their own times as H.264. The file is put in its place when the block is
    left; an error other than Ctrl-C leaves no file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._aside = aside(path)
        self._container: Any = None
        self._stream: Any = None
        self._size = (0, 0)
        self._began_s = 0.0
        self._last = -1

    def add(self, image: NDArray[np.uint8], time_s: float) -> None:
        """Write the next frame, H×W×3 uint8 RGB; it is resized to the first one's size if
        necessary."""
        if self._container is None:
            self._open(image, time_s)
        image = resize(image, *self._size)
        even = np.pad(image, ((0, image.shape[0] % 2), (0, image.shape[1] % 2), (0, 0)), "edge")
        frame = av.VideoFrame.from_ndarray(even, format="rgb24")
        self._last = max(self._last + 1, round((time_s - self._began_s) * 1000))
        frame.pts, frame.time_base = self._last, MILLISECOND
        self._container.mux(self._stream.encode(frame))

    def _open(self, image: NDArray[np.uint8], time_s: float) -> None:
        height, width = self._size = image.shape[:2]
        self._began_s = time_s
        self._container = av.open(str(self._aside.absolute()), "w", format="mp4")
        self._stream = self._container.add_stream("libx264", rate=25)
        self._stream.width, self._stream.height = width + width % 2, height + height % 2
        self._stream.pix_fmt = "yuv420p"
        self._stream.options = {"preset": "veryfast", "crf": "20"}
        self._stream.codec_context.time_base = MILLISECOND

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._container is None:
            return
        try:
            keep = kind is None or issubclass(kind, KeyboardInterrupt)
            if keep:
                self._container.mux(self._stream.encode(None))
            self._container.close()
            if keep:
                self._aside.replace(self._path)
        finally:
            self._aside.unlink(missing_ok=True)
