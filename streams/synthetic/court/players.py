"""Who is on the court at a given second, where, and in which pose.

Time goes in rounds of 15 minutes: a game, then a break. Who takes part in a round is drawn from a
generator seeded by court and round; everybody's path is a sum of sines, so any second can be
computed without the seconds before it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from streams.synthetic.court.scene import Colour, Court

ROUND_S = 900.0
GAME_S = 735.0
"""A game and its coming and going; the rest of the round is the break."""

_SHIRTS: tuple[Colour, ...] = (
    (206, 44, 48),
    (38, 74, 170),
    (236, 236, 232),
    (32, 34, 40),
    (236, 196, 52),
    (38, 138, 78),
    (226, 118, 38),
    (110, 52, 138),
    (96, 190, 214),
    (128, 28, 44),
)
_REFEREE: Colour = (46, 48, 52)
_TROUSERS: Colour = (38, 40, 48)
_COME_S = 16.0
_POSE_S = 2.0


@dataclass(frozen=True, slots=True)
class Player:
    """One person at one moment. `side` is how much they are seen from the side (0…1), `facing` −1
    or 1; `stride` (0…1) and `phase` drive legs and arms; `reach` raises the arms from hanging (0)
    over stretched out (0.5) to straight up (1); `crouch_m` lowers the hips; `lift_m` is a jump."""

    x_m: float
    z_m: float
    side: float
    facing: float
    stride: float
    phase: float
    reach: float
    crouch_m: float
    lift_m: float
    size: float
    shirt: Colour
    shorts: Colour
    skin: float


@dataclass(frozen=True, slots=True)
class _Wave:
    swing_m: float
    period_s: float
    phase: float

    def at(self, time_s: float) -> float:
        return self.swing_m * math.sin(2 * math.pi * time_s / self.period_s + self.phase)


@dataclass(frozen=True, slots=True)
class _Member:
    """Somebody of a round: a place on the ground, how strongly they follow the play, their own way
    about it, and when and on which side they come and go."""

    home_xz: tuple[float, float]
    follows: float
    waves_x: tuple[_Wave, ...]
    waves_z: tuple[_Wave, ...]
    active: bool
    exit_x: float
    come_s: float
    gone_s: float
    phase: float
    size: float
    shirt: Colour
    shorts: Colour
    skin: float


def players_at(court: Court, time_s: float) -> list[Player]:
    """Everyone on the court at `time_s` (seconds since midnight of day 0), farthest first."""
    number, at_s = round_at(court, time_s)
    found = [
        _player(court, member, number, at_s)
        for member in _members(court, number)
        if member.come_s <= at_s <= member.gone_s
    ]
    return sorted(found, key=lambda p: -p.z_m)


def ball_at(court: Court, time_s: float) -> tuple[float, float, float] | None:
    """X, Z and height of the ball in metres; None in a break."""
    number, at_s = round_at(court, time_s)
    if not _COME_S < at_s < GAME_S - _COME_S:
        return None
    x, z = _play(court, number, at_s)
    bounce = abs(math.sin(math.pi * at_s / 1.3))
    return x + 0.9 * math.sin(at_s * 1.7), z + 0.5 * math.sin(at_s * 1.1), 0.15 + 2.2 * bounce


def round_at(court: Court, time_s: float) -> tuple[int, float]:
    """Number of the round, and seconds since it began. Each court begins at another minute."""
    whole, at_s = divmod(time_s + court.seed * 137 % ROUND_S, ROUND_S)
    return int(whole), at_s


def _play(court: Court, number: int, at_s: float) -> tuple[float, float]:
    """Where the play is: the ball's ground point without its little ways."""
    deep = (court.far_m - court.near_m) / 2
    x = 0.4 * court.half_m * math.sin(2 * math.pi * at_s / 13 + number)
    z = court.near_m + deep * (1 + 0.6 * math.sin(2 * math.pi * at_s / 19 + 2 * number))
    return x + 0.5 * math.sin(2 * math.pi * at_s / 5.3), z


@lru_cache(maxsize=256)
def _members(court: Court, number: int) -> tuple[_Member, ...]:
    """Two teams of equal strength, their referee and sometimes a coach; then up to two people who
    cross the court in the break."""
    rng = np.random.default_rng([court.seed, 21, number + 1000])
    near, far, other = (_SHIRTS[i] for i in rng.permutation(len(_SHIRTS))[:3])
    strength = int(rng.integers(2, 5))
    found = []
    for shirt, half in ((near, 0.0), (far, 0.5)):
        shorts = shirt if rng.random() < 0.5 else other
        places = rng.permutation(strength)
        for place in places:
            across = (place + rng.uniform(0.2, 0.8)) / strength * 2 - 1
            deep = half + 0.5 * rng.random() if court.net_m else rng.random()
            home = (0.85 * across, 0.05 + 0.9 * deep)
            found.append(_member(court, rng, home, shirt, shorts))
    found.append(_watcher(court, rng, (0.9, rng.uniform(0.4, 0.9)), _REFEREE, walks=True))
    if rng.random() < 0.5:
        found.append(_watcher(court, rng, (1.05, rng.uniform(0.6, 0.95)), other, walks=False))
    crossing = int(rng.integers(0, 3))
    return (*found, *(_break_walker(court, rng, other) for _ in range(crossing)))


def _member(
    court: Court,
    rng: np.random.Generator,
    home: tuple[float, float],
    shirt: Colour,
    shorts: Colour,
) -> _Member:
    """A player of a team; `home` is across (−1…1) and deep (0…1) on the court."""
    z = court.near_m + home[1] * (court.far_m - court.near_m)
    half_view = 0.44 * court.width_px / court.focal_px * z
    x = home[0] * min(court.half_m, half_view)
    return _Member(
        home_xz=(x, z),
        follows=float(rng.uniform(0.25, 0.65)) * (0.5 if court.net_m else 1.0),
        waves_x=(_wave(rng, 0.4, 1.2, 6, 12), _wave(rng, 0.1, 0.35, 3, 5)),
        waves_z=(_wave(rng, 0.4, 1.2, 6, 12), _wave(rng, 0.1, 0.35, 3, 5)),
        active=True,
        exit_x=math.copysign(float(rng.uniform(10.5, 12.0)), x),
        come_s=float(rng.uniform(0, 8)),
        gone_s=GAME_S - float(rng.uniform(0, 8)),
        phase=float(rng.uniform(0, 2 * math.pi)),
        size=float(np.clip(rng.normal(1.06, 0.06), 0.92, 1.2)),
        shirt=shirt,
        shorts=shorts,
        skin=float(rng.uniform(95, 225)),
    )


def _watcher(
    court: Court,
    rng: np.random.Generator,
    home: tuple[float, float],
    shirt: Colour,
    *,
    walks: bool,
) -> _Member:
    """Referee or coach: at the side, in long trousers."""
    side = float(rng.choice([-1, 1]))
    someone = _member(court, rng, (side * home[0], home[1]), shirt, _TROUSERS)
    slow = 1.0 if walks else 0.3
    waves = tuple(_Wave(w.swing_m * slow, w.period_s * 2, w.phase) for w in someone.waves_z)
    return replace(someone, follows=0.0, waves_x=(), waves_z=waves, active=False)


def _break_walker(court: Court, rng: np.random.Generator, shirt: Colour) -> _Member:
    """Somebody who wipes the floor or fetches something while nobody plays."""
    home = (float(rng.uniform(-0.5, 0.5)), float(rng.uniform(0.1, 0.8)))
    someone = _member(court, rng, home, shirt, _TROUSERS)
    come_s = GAME_S + float(rng.uniform(5, 60))
    return replace(
        someone,
        follows=0.0,
        active=False,
        waves_x=(_wave(rng, 1.0, 2.0, 15, 30),),
        waves_z=(_wave(rng, 0.5, 1.5, 15, 30),),
        come_s=come_s,
        gone_s=min(come_s + float(rng.uniform(40, 80)), ROUND_S),
    )


def _wave(rng: np.random.Generator, low: float, high: float, fast: float, slow: float) -> _Wave:
    return _Wave(
        float(rng.uniform(low, high)),
        float(rng.uniform(fast, slow)),
        float(rng.uniform(0, 2 * math.pi)),
    )


def _place(court: Court, member: _Member, number: int, at_s: float) -> tuple[float, float]:
    (home_x, home_z), (play_x, play_z) = member.home_xz, _play(court, number, at_s)
    middle = (court.near_m + court.far_m) / 2
    x = home_x + member.follows * play_x + sum(w.at(at_s) for w in member.waves_x)
    z = home_z + member.follows * (play_z - middle) + sum(w.at(at_s) for w in member.waves_z)
    here = min(_ramp(at_s - member.come_s), _ramp(member.gone_s - at_s))
    low, high = _ground(court, member)
    return member.exit_x + here * (x - member.exit_x), min(max(z, low), high)


def _ground(court: Court, member: _Member) -> tuple[float, float]:
    """From which to which depth somebody may go: with a net, their own side of it."""
    if court.net_m is None or not member.active:
        return court.near_m, court.far_m
    if member.home_xz[1] < court.net_m:
        return court.near_m, court.net_m - 0.4
    return court.net_m + 0.4, court.far_m


def _ramp(since_s: float) -> float:
    share = min(max(since_s / _COME_S, 0.0), 1.0)
    return share * share * (3 - 2 * share)


def _player(court: Court, member: _Member, number: int, at_s: float) -> Player:
    x, z = _place(court, member, number, at_s)
    next_x, next_z = _place(court, member, number, at_s + 0.1)
    speed = math.hypot(next_x - x, next_z - z) / 0.1
    play_x, play_z = _play(court, number, at_s)
    reach, crouch, lift = _pose(court, member, number, at_s, math.hypot(play_x - x, play_z - z))
    return Player(
        x_m=x,
        z_m=z,
        side=abs(next_x - x) / max(speed * 0.1, 1e-6) if speed > 0.5 else 0.2,
        facing=1.0 if next_x >= x else -1.0,
        stride=min(speed / 4.0, 1.0),
        phase=member.phase + at_s * (5.5 if member.active else 3.5),
        reach=reach,
        crouch_m=crouch,
        lift_m=lift,
        size=member.size,
        shirt=member.shirt,
        shorts=member.shorts,
        skin=member.skin,
    )


def _pose(
    court: Court, member: _Member, number: int, at_s: float, from_play_m: float
) -> tuple[float, float, float]:
    """Reach, crouch and lift: arms out to defend, up to throw or block where the play is."""
    if not member.active:
        return 0.0, 0.0, 0.0
    beat, within = divmod(at_s + member.phase, _POSE_S)
    rng = np.random.default_rng([court.seed, 22, number + 1000, int(beat), int(member.phase * 1e6)])
    mood, depth = rng.random(), float(rng.random())
    rise = math.sin(math.pi * within / _POSE_S)
    if mood < 0.12 and from_play_m < 2.0:
        return rise, 0.0, 0.4 * rise * depth
    if mood > 0.7:
        return 0.2 * rise * depth, 0.2 * rise * depth, 0.0
    return 0.0, 0.06 * depth * rise, 0.0
