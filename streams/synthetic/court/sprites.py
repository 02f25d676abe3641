"""How a player, the ball and the net look."""

from __future__ import annotations

import math
from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from streams.synthetic.court.players import Player
from streams.synthetic.court.scene import Court
from streams.synthetic.painting import Point, Shape, disc, limb, trunk

_SHOE = (226.0, 226.0, 226.0)
_BALLS = {
    "basketball": (0.13, (206.0, 106.0, 44.0)),
    "volleyball": (0.11, (236.0, 226.0, 150.0)),
    "futsal": (0.11, (238.0, 238.0, 238.0)),
}
"""Radius in metres and colour."""


def player(p: Player) -> Iterator[Shape]:
    """A person in a shirt and shorts, legs and arms with knees and elbows."""
    s, v = p.size, p.lift_m - p.crouch_m
    wide = (0.46 - 0.14 * p.side) * s
    shade = [c * 0.8 for c in p.shirt]
    skin = [p.skin, p.skin * 0.78, p.skin * 0.64]
    far, near = _leg(p, -1), _leg(p, 1)
    for hip, knee, foot in (far, near):
        yield limb(knee, foot, 0.14 * s), skin
        yield disc(foot[0] + 0.04 * p.facing * p.side, foot[1] + 0.04, 0.1 * s, 0.05 * s), _SHOE
        yield limb(hip, knee, 0.2 * s), list(p.shorts)
    for side, sleeve in ((1, shade), (-1, list(p.shirt))):
        shoulder, elbow, hand = _arm(p, side, wide)
        yield limb(elbow, hand, 0.11 * s), skin
        yield limb(shoulder, elbow, 0.12 * s), sleeve
    lean = 0.06 * p.stride * p.side * p.facing
    yield from trunk(s, wide, p.shirt, p.skin, base=(lean, v))


def _leg(p: Player, side: int) -> tuple[Point, Point, Point]:
    """Hip, knee and foot. Legs swing along the way when seen from the side; else they lift."""
    s = p.size
    step = math.sin(p.phase) * side * p.stride
    swing = 0.42 * step * (0.2 + 0.8 * p.side) * p.facing
    lift = max(0.0, step) * 0.22 * s
    apart = side * (0.08 + 0.12 * p.reach + 0.5 * p.crouch_m) * s * (1 - 0.6 * p.side)
    hip = (side * 0.07 * s, 0.85 * s + p.lift_m - p.crouch_m)
    foot = (apart + swing, lift + p.lift_m)
    bend = (0.05 + 0.2 * abs(step) + 0.5 * p.crouch_m) * p.facing * (0.3 + 0.7 * p.side)
    knee = ((hip[0] + foot[0]) / 2 + bend * s, (hip[1] + foot[1]) / 2)
    return hip, knee, foot


def _arm(p: Player, side: int, wide: float) -> tuple[Point, Point, Point]:
    """Shoulder, elbow and hand: hanging and swinging, stretched out, or up."""
    s = p.size
    shoulder = (side * wide / 2, 1.38 * s + p.lift_m - p.crouch_m)
    raised = 0.95 * math.pi * p.reach  # 0: down, π: up
    swing = 0.4 * math.sin(p.phase) * side * p.stride * p.side * (1 - p.reach)
    out, down = side * math.sin(raised) + swing, math.cos(raised)
    elbow = (shoulder[0] + 0.27 * s * out, shoulder[1] - 0.27 * s * down)
    hand = (elbow[0] + 0.26 * s * out, elbow[1] - 0.26 * s * down)
    return shoulder, elbow, hand


def ball(court: Court, height_m: float) -> Iterator[Shape]:
    """The ball of the sport at its height over the ground."""
    radius, colour = _BALLS[court.sport]
    yield disc(0.0, height_m, radius, radius), colour


def paint_net(canvas: NDArray[np.float32], court: Court, net_m: float) -> None:
    """A volleyball net across the court: one sees through it, so it owns no pixel."""
    scale, foot = court.px_per_m(net_m), court.row(net_m)
    top, bottom = foot - 2.3 * scale, foot - 1.4 * scale
    ends = [court.column(side * (court.half_m + 0.4), net_m) for side in (-1, 1)]
    left, right = max(0, round(ends[0])), min(court.width_px, round(ends[1]))
    for v in np.linspace(top, bottom, 7):
        cv2.line(canvas, (left, round(v)), (right, round(v)), (70, 70, 72), 1)
    mesh = canvas[max(0, round(top)) : max(0, round(bottom)), left:right]
    mesh *= 0.9
    cv2.line(canvas, (left, round(top)), (right, round(top)), (228, 228, 222), 2)
    for x in ends:
        low = (round(x), round(foot))
        cv2.line(canvas, low, (round(x), round(top)), (96, 98, 104), max(1, round(0.1 * scale)))
