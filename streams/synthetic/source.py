"""Synthetic cameras with known boxes: `synthetic://street?seed=7&hours=24`, `court` and `plaza`.

For the demo, the tests and the benchmarks: no download, a whole day in minutes, and the truth is
known. Any second can be rendered without the ones before it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol
from urllib.parse import parse_qsl, urlsplit

import numpy as np
from numpy.typing import NDArray

from streams.base import Frame, FrameSource, SourceInfo, SourceUrlError
from streams.sampler import Sampler
from streams.synthetic.court.render import CourtRenderer
from streams.synthetic.court.scene import make_court
from streams.synthetic.plaza.render import PlazaRenderer
from streams.synthetic.plaza.scene import make_plaza
from streams.synthetic.street.render import StreetRenderer
from streams.synthetic.street.scene import make_scene
from streams.synthetic.truth import Truth

FIRST_DAY = datetime(2026, 1, 5, tzinfo=UTC)
"""Midnight of day 0 on the synthetic clock: a Monday."""


class Renderer(Protocol):
    """A made-up world: any moment as a picture with true boxes."""

    def render(self, time_s: float) -> tuple[NDArray[np.uint8], Truth]:
        """The picture (H×W×3 uint8 RGB) and the true boxes at `time_s` since midnight of day 0."""


def _street(seed: int, width_px: int, height_px: int) -> Renderer:
    return StreetRenderer(make_scene(seed, width_px=width_px, height_px=height_px))


def _court(seed: int, width_px: int, height_px: int) -> Renderer:
    return CourtRenderer(make_court(seed, width_px=width_px, height_px=height_px))


def _plaza(seed: int, width_px: int, height_px: int) -> Renderer:
    return PlazaRenderer(make_plaza(seed, width_px=width_px, height_px=height_px))


WORLDS: dict[str, Callable[[int, int, int], Renderer]] = {
    "street": _street,
    "court": _court,
    "plaza": _plaza,
}
"""The worlds there are: from seed, width and height in pixels to what renders it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldOptions:
    """What a `synthetic://` address may say. `world` is one of `WORLDS`; `start` and `hours` are
    hours of the day and how many; `day` counts days from 0; `fps` is the camera's own rate."""

    world: str = "street"
    seed: int = 0
    hours: float = 24.0
    start: float = 0.0
    day: int = 0
    fps: float = 1.0
    width: int = 320
    height: int = 192


_RANGES: dict[str, tuple[float, float]] = {
    "seed": (0, 2**31 - 1),
    "hours": (0.001, 24 * 366),
    "start": (0, 24),
    "day": (0, 36_500),
    "fps": (0.001, 60),
    "width": (64, 3840),
    "height": (48, 2160),
}


class SyntheticCamera(FrameSource):
    """Frames of a made-up world; `truth` gives the boxes of the same moment."""

    def __init__(self, options: WorldOptions, *, camera: str) -> None:
        self.options = options
        self._camera = camera
        self._renderer = WORLDS[options.world](options.seed, options.width, options.height)

    @classmethod
    def from_url(cls, url: str, *, camera: str) -> SyntheticCamera:
        """The camera a `synthetic://…` address describes, or `SourceUrlError`."""
        return cls(parse_synthetic_url(url, camera=camera), camera=camera)

    @property
    def info(self) -> SourceInfo:
        options = self.options
        return SourceInfo(
            kind=f"synthetic {options.world}",
            location=f"synthetic://{options.world}?seed={options.seed}&hours={options.hours:g}",
            width_px=options.width,
            height_px=options.height,
            started_at=self._started_at,
            rate_fps=options.fps,
            duration_s=options.hours * 3600,
        )

    def frames(self, sampler: Sampler | None = None) -> Iterator[Frame]:
        count = math.ceil(self.options.hours * 3600 * self.options.fps - 1e-9)
        index = 0
        while index < count:
            time_s = index / self.options.fps
            if sampler is None or sampler.wants(time_s):
                image, _ = self._renderer.render(self._world_s(time_s))
                wall = self._started_at + timedelta(seconds=time_s)
                yield Frame(image, time_s, wall, self._camera)
            index += 1
            if sampler is not None and sampler.next_due_s is not None:
                index = max(index, math.ceil(sampler.next_due_s * self.options.fps - 1e-6))

    def truth(self, time_s: float) -> Truth:
        """True boxes at presentation time `time_s`."""
        return self._renderer.render(self._world_s(time_s))[1]

    def close(self) -> None:
        """Nothing is held."""

    @property
    def _started_at(self) -> datetime:
        return FIRST_DAY + timedelta(days=self.options.day, hours=self.options.start)

    def _world_s(self, time_s: float) -> float:
        return (self.options.day * 24 + self.options.start) * 3600 + time_s


def parse_synthetic_url(url: str, *, camera: str) -> WorldOptions:
    """Read `synthetic://street?seed=7&hours=24`; unknown options and bad values raise."""
    parts = urlsplit(url)
    if parts.netloc not in WORLDS:
        allowed = " or ".join(f"synthetic://{world}?seed=…&hours=…" for world in WORLDS)
        message = (
            f"camera {camera!r}: no synthetic scene called {parts.netloc!r} in {url!r}; "
            f"allowed: {allowed}"
        )
        raise SourceUrlError(message)
    values: dict[str, float] = {}
    for key, text in parse_qsl(parts.query, keep_blank_values=True):
        values[key] = _read_option(key, text, camera=camera)
    whole = {"seed", "day", "width", "height"}
    options = {k: int(v) if k in whole else v for k, v in values.items()}
    return WorldOptions(world=parts.netloc, **options)  # type: ignore[arg-type]


def _read_option(key: str, text: str, *, camera: str) -> float:
    if key not in _RANGES:
        message = (
            f"camera {camera!r}: unknown option {key!r} in a synthetic:// address; "
            f"allowed: {', '.join(_RANGES)}"
        )
        raise SourceUrlError(message)
    low, high = _RANGES[key]
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        message = (
            f"camera {camera!r}: {key}={text} in a synthetic:// address must be {low:g}…{high:g}"
        )
        raise SourceUrlError(message)
    return value
