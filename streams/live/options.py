"""The settings of a live source."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Literal, get_args

from streams.keyframes import Sampling
from streams.live.health import HealthLimits
from streams.pictures import MOST_PIXELS

Transport = Literal["tcp", "udp"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveOptions:
    """Settings of a live source; times in seconds.

    `must_answer`: opening waits for the first picture and raises if there is none; without it
    the source is there at once, and a camera that is off is tried for ever. Pauses between tries
    begin anew once a connection has held for `settled_s`; one that brings data but no picture
    for `barren_s` is given up. `queue_frames` is how many frames may wait for the consumer before
    the oldest is dropped. `poll_s` is how often a snapshot address is asked if the consumer's
    sampler does not say. `height_px` is the largest height to ask for at sites that offer several
    sizes; no picture of more than `most_pixels` is decoded. What is configurable has no default
    here: the configuration's `live:` section has it.
    """

    sampling: Sampling
    transport: Transport
    must_answer: bool
    open_timeout_s: float
    read_timeout_s: float
    longest_pause_s: float
    height_px: int
    health: HealthLimits
    first_pause_s: float = 1.0
    settled_s: float = 10.0
    barren_s: float = 30.0
    queue_frames: int = 4
    poll_s: float = 1.0
    most_pixels: int = MOST_PIXELS

    def __post_init__(self) -> None:
        for name, allowed in (("sampling", Sampling), ("transport", Transport)):
            self._require(name, getattr(self, name) in get_args(allowed), str(get_args(allowed)))
        for name in (f.name for f in fields(self) if f.name.endswith("_s")):
            value = getattr(self, name)
            self._require(name, math.isfinite(value) and value > 0, "a finite number > 0")
        for name in ("queue_frames", "height_px", "most_pixels"):
            self._require(name, getattr(self, name) >= 1, "a whole number ≥ 1")
        ordered = self.first_pause_s <= self.longest_pause_s
        self._require("longest_pause_s", ordered, f"at least first_pause_s ({self.first_pause_s})")

    def _require(self, name: str, holds: bool, allowed: str) -> None:
        if not holds:
            message = f"live source: {name}: got {getattr(self, name)!r}, allowed: {allowed}"
            raise ValueError(message)
