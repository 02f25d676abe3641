"""Recordings on a web server that counts what it sends."""

from __future__ import annotations

import re
from pathlib import Path

import av
import numpy as np

from benchmarks.testbed.servers.web import Handler


class Counting:
    """Serves a file in the parts asked for, counts what it sends, and can break off."""

    def __init__(self, data: bytes, *, ranges: bool = True) -> None:
        self.data, self.ranges = data, ranges
        self.served = self.requests = 0
        self.break_at: set[int] = set()
        self.refuse: set[int] = set()

    def __call__(self, handler: Handler) -> None:
        self.requests += 1
        if self.requests in self.refuse:
            return handler.send_error(403)
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", handler.headers.get("Range", ""))
        first, last = 0, len(self.data) - 1
        if asked and self.ranges:
            first, last = int(asked[1]), min(int(asked[2] or last), last)
            handler.send_response(206)
            handler.send_header("Content-Range", f"bytes {first}-{last}/{len(self.data)}")
        else:
            handler.send_response(200)
        handler.send_header("Content-Type", "video/mp4")
        handler.send_header("Content-Length", str(last - first + 1))
        handler.end_headers()
        length = last - first + 1
        if self.requests in self.break_at:
            length //= 2
        for at in range(first, first + length, 4096):
            piece = self.data[at : min(at + 4096, first + length)]
            handler.wfile.write(piece)
            if asked:
                self.served += len(piece)
        return None


def noisy(path: Path, *, movflags: str = "+faststart") -> bytes:
    """An hour, a frame a second, a keyframe every 5 s, some 30 MB."""
    rng = np.random.default_rng(0)
    with av.open(str(path), "w", options={"movflags": movflags}) as container:
        stream = container.add_stream("libx264", rate=1)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        stream.options = {"preset": "ultrafast", "g": "5", "crf": "20"}
        for _ in range(3600):
            image = rng.integers(0, 255, (96, 160, 3)).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    return path.read_bytes()
