"""Who is on the square at a given second, and where.

Whoever is on a day's list has a place in it, from 0 to 399, and is there while the day's curve
lies above it. Everybody's path is given by a formula of the time, so any second can be computed
without the seconds before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from streams.synthetic.plaza.scene import WIDE_M, Plaza

MOST = 400
_HOURS = (0.0, 1.0, 5.0, 7.0, 8.5, 10.5, 13.0, 15.5, 18.0, 20.0, 22.0, 24.0)
_CURVE = (0.05, 0.0, 0.0, 0.06, 0.24, 0.18, 0.52, 0.38, 0.78, 1.0, 0.3, 0.05)
"""The share of the busiest evening that a usual day has at these hours."""
_STAND_SHARE = 0.55
"""So many stand or stroll where people gather; the others cross the square."""


@dataclass(frozen=True, slots=True, eq=False)
class People:
    """N people at a moment: x and y in metres from the top left and the direction they face in
    radians (N float64 each), and their coats and hair (N×3 float32 RGB)."""

    x_m: NDArray[np.float64]
    y_m: NDArray[np.float64]
    facing_rad: NDArray[np.float64]
    coat: NDArray[np.float32]
    hair: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.x_m)

    def where(self, mask: NDArray[np.bool_]) -> People:
        """Those that the mask (N) names."""
        return People(
            self.x_m[mask], self.y_m[mask], self.facing_rad[mask], self.coat[mask], self.hair[mask]
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Day:
    """A day's list of `MOST` people: where each starts, how fast each goes, and how busy it is."""

    start: NDArray[np.float64]
    speed: NDArray[np.float64]
    stands: NDArray[np.bool_]
    phase: NDArray[np.float64]
    coat: NDArray[np.float32]
    hair: NDArray[np.float32]
    level: float


def people_at(plaza: Plaza, time_s: float) -> People:
    """Those on the square at `time_s` (seconds since midnight of day 0)."""
    day = _day_of(plaza, int(time_s // 86_400))
    now_s, size = time_s % 86_400, np.array([WIDE_M, plaza.deep_m])
    sway = np.stack([np.sin(now_s / 41 + day.phase), np.cos(now_s / 53 + 2 * day.phase)], axis=1)
    walked = day.start + day.speed * now_s
    at = np.where(day.stands[:, None], day.start + 0.7 * sway, walked)
    at = size - np.abs(at % (2 * size) - size)  # at the edge of the square they turn round
    turned = np.where((walked // size) % 2 == 1, -1.0, 1.0)
    way = np.arctan2(day.speed[:, 1] * turned[:, 1], day.speed[:, 0] * turned[:, 0])
    facing = np.where(day.stands, day.phase + now_s / 300, way)
    there = np.arange(MOST) < how_many(plaza, time_s)
    return People(at[:, 0], at[:, 1], facing, day.coat, day.hair).where(there)


def how_many(plaza: Plaza, time_s: float) -> int:
    """How many people there are: none in the small hours, up to `MOST` in the evening."""
    level = _day_of(plaza, int(time_s // 86_400)).level
    hour = time_s / 3600 % 24
    swing = 1 + 0.12 * np.sin(2 * np.pi * hour * 1.7 + plaza.seed)
    return int(min(MOST, round(float(np.interp(hour, _HOURS, _CURVE) * swing * level * MOST))))


@lru_cache(maxsize=8)
def _day_of(plaza: Plaza, day: int) -> _Day:
    rng = np.random.default_rng([plaza.seed, 213, day])
    stands = rng.random(MOST) < _STAND_SHARE
    places = np.array(plaza.gathering)[rng.integers(len(plaza.gathering), size=MOST)]
    anywhere = rng.uniform(0, 1, (MOST, 2)) * (WIDE_M, plaza.deep_m)
    near = places + rng.normal(0, 2.4, (MOST, 2))
    way, pace = rng.uniform(0, 2 * np.pi, MOST), rng.uniform(0.5, 1.5, MOST)
    return _Day(
        start=np.where(stands[:, None], near, anywhere),
        speed=np.stack([np.cos(way), np.sin(way)], axis=1) * pace[:, None],
        stands=stands,
        phase=rng.uniform(0, 2 * np.pi, MOST),
        coat=_coats(rng),
        hair=(rng.uniform(0.25, 1.6, (MOST, 1)) * [70, 54, 42]).astype(np.float32),
        level=plaza.busiest * float(rng.uniform(0.75, 1.15)),
    )


def _coats(rng: np.random.Generator) -> NDArray[np.float32]:
    """Mostly grey and dark clothes, some bright."""
    grey = rng.uniform(20, 150, (MOST, 1)) * rng.uniform(0.9, 1.1, (MOST, 3))
    bright = rng.uniform(30, 235, (MOST, 3))
    return np.where(rng.random((MOST, 1)) < 0.65, grey, bright).astype(np.float32)
