"""Clips, spoilt: MP4, MPEG-TS, Matroska, AVI, WebM, MJPEG and raw streams, read to their end."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import av

from benchmarks.fuzz.case import Case
from benchmarks.fuzz.mutate import spoilt
from benchmarks.fuzz.playlists import write_clip
from streams.base import StreamError
from streams.open import open_source
from streams.sampler import Sampler

OURS = (StreamError,)
KINDS = (
    *(("a.mp4", "libx264"), ("a.ts", "libx264"), ("a.mkv", "libx264"), ("a.avi", "mpeg4")),
    *(("a.mov", "mjpeg"), ("a.webm", "libvpx"), ("a.flv", "libx264"), ("b.mp4", "mpeg4")),
    *(("a.mpg", "mpeg2video"), ("a.h264", "libx264"), ("b.ts", "mpeg2video")),
)


def prepare(folder: Path) -> Callable[[int], Case]:
    """A case is one file."""
    whole = []
    for name, codec in KINDS:
        if codec in av.codecs_available:
            path = write_clip(folder / name, 12, codec)
            whole.append((path.suffix, path.read_bytes()))
            list(_read(path))

    def run(seed: int) -> Iterator[str]:
        rng = random.Random(seed)
        suffix, data = rng.choice(whole)
        path = folder / f"spoilt{rng.choice((suffix, suffix, suffix, '.mp4', '.bin'))}"
        path.write_bytes(spoilt(data, rng, 12))
        yield from _read(path, every_s=rng.choice((None, 0.5)))

    return lambda seed: Case(lambda: run(seed))


def _read(path: Path, every_s: float | None = None) -> Iterator[str]:
    with open_source(str(path), camera="yard") as source:
        yield repr(source.info)
        for frame in source.frames(None if every_s is None else Sampler(every_s)):
            yield f"{frame.image.shape} {frame.time_s} {frame.wall_time}"
        yield repr(source.left_out)
