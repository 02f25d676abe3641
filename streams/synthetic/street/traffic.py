"""Who is on the street at a given second: people, cars and bicycles on their tracks.

Arrivals of a track are drawn minute by minute from a generator seeded by scene, day, track and
minute, so that any second can be computed without the seconds before it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from streams.synthetic.street.scene import Colour, Scene, Track

_SPEED_M_S = {"person": (0.8, 1.9), "car": (5.0, 12.0), "bicycle": (3.0, 6.0)}
_SPREAD_M = {"person": 1.1, "car": 0.25, "bicycle": 0.4}
_SLOT_S = 60.0


@dataclass(frozen=True, slots=True)
class Actor:
    """One person, car or bicycle at one moment. `heading_rad` is 0 for moving to the right in the
    picture and π/2 for moving away; `phase` drives legs and wheels."""

    kind: str
    x_m: float
    z_m: float
    heading_rad: float
    phase: float
    size: float
    colour: Colour
    second_colour: Colour
    moving: bool


@dataclass(frozen=True, slots=True)
class _Arrival:
    time_s: float
    speed_m_s: float
    aside_m: float
    sway: float
    size: float
    colour: Colour
    second_colour: Colour


def busyness(kind: str, hour: float) -> float:
    """Share of the busiest traffic at an hour of the day (0…24), 0…1."""
    peaks = {
        "car": ((8.0, 1.3, 1.0), (17.6, 1.7, 1.0), (13.0, 3.5, 0.55), (21.0, 2.0, 0.35)),
        "person": ((8.2, 1.2, 0.8), (12.7, 1.6, 0.9), (17.8, 1.8, 1.0), (20.8, 2.0, 0.6)),
        "bicycle": ((8.0, 1.2, 1.0), (17.4, 1.6, 1.0), (13.5, 3.0, 0.4), (21.0, 1.8, 0.3)),
    }[kind]
    day = sum(
        h * math.exp(-(((hour - at + 12) % 24 - 12) ** 2) / (2 * w * w)) for at, w, h in peaks
    )
    return min(1.0, 0.07 + 0.93 * day)


def actors_at(scene: Scene, time_s: float) -> list[Actor]:
    """Everyone on the street at `time_s` (seconds since midnight of day 0), farthest first."""
    found = [
        actor
        for index, track in enumerate(scene.tracks)
        for actor in _on_track(scene, index, track, time_s)
    ]
    found += _parked(scene, time_s)
    return sorted(found, key=lambda a: -a.z_m)


def _on_track(scene: Scene, index: int, track: Track, time_s: float) -> list[Actor]:
    slowest = _SPEED_M_S[track.kind][0]
    slots = range(int((time_s - track.length_m / slowest) // _SLOT_S), int(time_s // _SLOT_S) + 1)
    found = []
    for slot in slots:
        for arrival in _arrivals(scene.seed, index, track, slot):
            gone_m = arrival.speed_m_s * (time_s - arrival.time_s)
            if 0 <= gone_m <= track.length_m:
                found.append(_place(track, arrival, gone_m))
    return [a for a in found if a.z_m > 4.5]


@lru_cache(maxsize=4096)
def _arrivals(seed: int, index: int, track: Track, slot: int) -> tuple[_Arrival, ...]:
    rng = np.random.default_rng([seed, 7, index, slot + 100_000])
    hour = slot * _SLOT_S / 3600 % 24
    rate = track.per_hour * busyness(track.kind, hour) * _SLOT_S / 3600
    bunch = rng.gamma(2.0, 0.5)  # traffic comes in bunches
    least, most = _SPEED_M_S[track.kind]
    return tuple(
        _Arrival(
            time_s=slot * _SLOT_S + float(rng.uniform(0, _SLOT_S)),
            speed_m_s=float(rng.uniform(least, most)),
            aside_m=float(rng.normal(0, _SPREAD_M[track.kind])),
            sway=float(rng.uniform(0, 6.28)),
            size=float(rng.normal(1.0, 0.08)),
            colour=_paint(rng, track.kind),
            second_colour=_paint(rng, "person"),
        )
        for _ in range(int(rng.poisson(rate * bunch)))
    )


def _paint(rng: np.random.Generator, kind: str) -> Colour:
    """Clothes of any colour, often dark; cars mostly grey, white or black."""
    if kind == "car" and rng.random() < 0.65:
        grey = int(rng.choice([30, 60, 120, 170, 215, 235])) + int(rng.integers(-12, 12))
        return (grey, grey, grey)
    colour = rng.integers(20, 225, 3) * (0.5 if rng.random() < 0.5 else 1.0)
    return (int(colour[0]), int(colour[1]), int(colour[2]))


def _place(track: Track, arrival: _Arrival, gone_m: float) -> Actor:
    (ax, az), (bx, bz) = track.start_xz, track.end_xz
    along = gone_m / track.length_m
    heading = math.atan2(bz - az, bx - ax)
    sway = arrival.aside_m + 0.25 * math.sin(arrival.sway + gone_m / 3.0)
    return Actor(
        kind=track.kind,
        x_m=ax + along * (bx - ax) - sway * math.sin(heading),
        z_m=az + along * (bz - az) + sway * math.cos(heading),
        heading_rad=heading,
        phase=arrival.sway + gone_m * (3.5 if track.kind == "person" else 2.0),
        size=min(max(arrival.size, 0.75), 1.25),
        colour=arrival.colour,
        second_colour=arrival.second_colour,
        moving=True,
    )


def _parked(scene: Scene, time_s: float) -> list[Actor]:
    """Cars at the kerb: each place is taken or free for some hours at a time."""
    found = []
    for index, (x_m, z_m) in enumerate(scene.parking):
        spell = int((time_s / 3600 + index * 1.7) // 4)
        rng = np.random.default_rng([scene.seed, 8, index, spell + 1000])
        if rng.random() < 0.45:
            lane = scene.tracks[0]
            heading = math.atan2(
                lane.end_xz[1] - lane.start_xz[1], lane.end_xz[0] - lane.start_xz[0]
            )
            paint = _paint(rng, "car")
            found.append(Actor("car", x_m, z_m, heading, 0.0, 1.0, paint, paint, moving=False))
    return found
