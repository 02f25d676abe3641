"""Light and weather of a moment: sun, dusk, night, lamps, rain and fog."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np


class Place(Protocol):
    """What light and weather depend on."""

    @property
    def seed(self) -> int: ...
    @property
    def sunrise_h(self) -> float: ...
    @property
    def sunset_h(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Light:
    """`day` goes from 0 (night) to 1 (day); `colour` multiplies RGB; `sun` is the strength of cast
    shadows (0…1) and `shadow_xz` where the shadow of a 1 m high thing ends, in metres."""

    day: float
    colour: tuple[float, float, float]
    sun: float
    shadow_xz: tuple[float, float]
    rain: float
    fog: float


def light_at(place: Place, time_s: float) -> Light:
    """Light and weather at `time_s` (seconds since midnight of day 0)."""
    hour = time_s / 3600 % 24
    rise, fall = place.sunrise_h, place.sunset_h
    day = min(_ramp(hour, rise - 0.6, rise + 0.7), 1 - _ramp(hour, fall - 0.7, fall + 0.6))
    cloud, rain, fog = _weather(place, time_s)
    low = max(0.0, 1 - abs(day - 0.55) * 2.2)  # warm light while the sun is low
    level = day * (1 - 0.35 * cloud) + (1 - day)
    colour = (level * (1 + 0.16 * low), level, level * (1 - 0.14 * low))
    across = (hour - rise) / max(fall - rise, 1.0)
    steep = max(math.sin(math.pi * min(max(across, 0.02), 0.98)), 0.18)
    shadow = (math.cos(math.pi * across) * -1.1 / steep, 0.5 / steep)
    return Light(day, colour, day * max(0.0, 1 - 1.6 * cloud), shadow, rain, fog)


def _ramp(value: float, low: float, high: float) -> float:
    share = min(max((value - low) / (high - low), 0.0), 1.0)
    return share * share * (3 - 2 * share)


def _weather(place: Place, time_s: float) -> tuple[float, float, float]:
    """Cloud, rain and fog (0…1), drawn every two hours and blended between."""
    at = time_s / 7200
    first, second = (_spell(place.seed, int(at) + step) for step in (0, 1))
    blend = _ramp(at % 1.0, 0.6, 1.0)
    cloud, rain, fog = (a + (b - a) * blend for a, b in zip(first, second, strict=True))
    return cloud, rain, fog


def _spell(seed: int, index: int) -> tuple[float, float, float]:
    rng = np.random.default_rng([seed, 9, index + 1000])
    kind, strength = rng.random(), float(rng.uniform(0.4, 1.0))
    if kind < 0.22:
        return 0.9, strength, 0.25 * strength
    if kind < 0.32:
        return 0.8, 0.0, strength
    return (strength, 0.0, 0.0) if kind < 0.62 else (0.1, 0.0, 0.0)
