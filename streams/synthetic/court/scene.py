"""One fixed court from one seed: the camera, hall or open air, floor, lines, hoop, goal, boards."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from streams.synthetic.painting import Point, View, texture

Colour = tuple[float, float, float]

_WHITE = (210.0, 210.0, 206.0)
_FLOORS: dict[str, Colour] = {
    "wood": (158.0, 142.0, 122.0),
    "blue": (102.0, 112.0, 128.0),
    "green": (106.0, 118.0, 106.0),
    "red": (136.0, 116.0, 110.0),
    "grey": (122.0, 124.0, 128.0),
}
_BEHIND_M = 2.2
"""From the far line to the wall or fence."""


@dataclass(frozen=True)
class Court(View):
    """Everything about a court's view that does not change from second to second. The players'
    ground reaches from `near_m` to `far_m` in depth and `half_m` to either side; `warmth` is above
    0 under yellowish lamps and below under bluish ones."""

    seed: int
    sport: str
    indoors: bool
    floor: Colour
    apron: Colour
    wall: Colour
    near_m: float
    far_m: float
    half_m: float
    warmth: float
    windows: int
    lens_blur: float
    noise: float
    sunrise_h: float
    sunset_h: float

    @property
    def net_m(self) -> float | None:
        """Depth of the net, if the sport has one."""
        return (self.near_m + self.far_m) / 2 if self.sport == "volleyball" else None

    @cached_property
    def background(self) -> NDArray[np.float32]:
        """The empty court in even light: H×W×3 float32 RGB, 0…255."""
        return _paint_background(self)

    def on_ground(self, ground_xz: Iterable[Point]) -> NDArray[np.int32]:
        """Points on the ground (metres) as cv2 wants them: N×2 int32, sixteenths of a pixel."""
        pixels = [(self.column(x, z), self.row(z)) for x, z in ground_xz]
        return np.round(np.array(pixels) * 16).astype(np.int32)


def make_court(seed: int, *, width_px: int = 320, height_px: int = 192) -> Court:
    """The court of a seed. The same seed gives the same court at every image size."""
    rng = np.random.default_rng([seed, 111])
    camera_m, focal, horizon = rng.uniform(3.1, 3.7), rng.uniform(1.0, 1.2), rng.uniform(0.2, 0.27)
    # the nearest player's feet are at the lower edge of a picture of 5:3
    near_m = focal * camera_m * (5 / 3) / (0.97 - horizon)
    indoors = bool(rng.random() < 0.65)
    floors = [_FLOORS[name] for name in rng.permutation(list(_FLOORS))]
    floor = _FLOORS["wood"] if indoors and rng.random() < 0.5 else floors[0]
    dawn = float(rng.uniform(6.2, 7.6))
    wall = tuple(float(v) for v in rng.uniform(0.8, 1.1, 3) * rng.uniform(105, 190))
    return Court(
        seed=seed,
        width_px=width_px,
        height_px=height_px,
        camera_m=camera_m,
        focal_px=focal * width_px,
        horizon_px=horizon * height_px,
        sport=str(rng.choice(["basketball", "volleyball", "futsal"])),
        indoors=indoors,
        floor=floor,
        apron=next(f for f in floors if f != floor),
        wall=wall,  # type: ignore[arg-type]
        near_m=near_m,
        far_m=near_m + float(rng.uniform(6.0, 7.5)),
        half_m=float(rng.uniform(4.6, 5.4)),
        warmth=float(rng.uniform(-0.06, 0.12)),
        windows=int(rng.integers(0, 4)) if indoors else 0,
        lens_blur=float(rng.uniform(0.3, 0.8)),
        noise=float(rng.uniform(2.0, 4.5)),
        sunrise_h=dawn,
        sunset_h=float(dawn + rng.uniform(10.5, 13.0)),
    )


def _paint_background(court: Court) -> NDArray[np.float32]:
    rng = np.random.default_rng([court.seed, 112])
    canvas = np.zeros((court.height_px, court.width_px, 3), np.float32)
    canvas[:] = court.apron
    (_paint_hall if court.indoors else _paint_open_air)(canvas, court, rng)
    _paint_floor(canvas, court)
    _paint_boards(canvas, court, rng)
    _MARKINGS[court.sport](canvas, court)
    canvas *= texture(rng, court.height_px, court.width_px)[..., None] * 0.5 + 0.5
    return np.clip(canvas, 0, 255).astype(np.float32)


def _paint_hall(canvas: NDArray[np.float32], court: Court, rng: np.random.Generator) -> None:
    """A wall of panels with a dark pad below and windows above."""
    wall_m = court.far_m + _BEHIND_M
    base, scale = round(court.row(wall_m)), court.px_per_m(wall_m)
    canvas[:base] = np.array(court.wall) * np.linspace(0.8, 1.0, base)[:, None, None]
    step = max(6, round(scale * float(rng.uniform(1.2, 2.4))))
    for x in range(int(rng.integers(0, step)), court.width_px, step):
        canvas[:base, x : x + 1] *= 0.86
    canvas[max(0, base - round(1.5 * scale)) : base] *= rng.uniform(0.5, 0.8, 3)
    for index in range(court.windows):
        x = round((index + 0.5) * court.width_px / court.windows - 1.2 * scale)
        corner = (x + round(2.4 * scale), max(2, base - round(2.6 * scale)))
        cv2.rectangle(canvas, (x, 0), corner, (205, 216, 226), -1)


def _paint_open_air(canvas: NDArray[np.float32], court: Court, rng: np.random.Generator) -> None:
    """Sky, a row of trees and a fence."""
    wall_m = court.far_m + _BEHIND_M
    base, scale = round(court.row(wall_m)), court.px_per_m(wall_m)
    canvas[:base] = (176, 200, 226)
    for x in range(-10, court.width_px + 20, max(6, round(0.8 * scale))):
        green = rng.uniform(0.75, 1.15) * np.array([58.0, 88.0, 50.0])
        top = base - round(scale * float(rng.uniform(1.2, 2.6)))
        spot, axes = (x, (top + base) // 2), (round(0.9 * scale), max(2, (base - top) // 2 + 2))
        cv2.ellipse(canvas, spot, axes, 0, 0, 360, green.tolist(), -1, cv2.LINE_AA)
    for x in range(0, court.width_px, max(5, round(0.35 * scale))):
        canvas[max(0, base - round(3.5 * scale)) : base, x] *= 0.8
    canvas[max(0, base - round(0.3 * scale)) : base] = (96, 98, 100)


def _paint_floor(canvas: NDArray[np.float32], court: Court) -> None:
    ends = [(-1, court.far_m), (1, court.far_m), (1, 2.0), (-1, 2.0)]
    corners = [(side * court.half_m, z) for side, z in ends]
    cv2.fillPoly(canvas, [court.on_ground(corners)], court.floor, cv2.LINE_AA, 4)
    if court.floor == _FLOORS["wood"]:
        for x in np.arange(-court.half_m, court.half_m, 0.35):
            _line(canvas, court, [(x, court.far_m), (x, 2.0)], (150.0, 133.0, 112.0), width_m=0.02)
    edge = [(-1, 2.0), (-1, court.far_m), (1, court.far_m), (1, 2.0)]
    _line(canvas, court, [(side * court.half_m, z) for side, z in edge], _WHITE)


def _line(
    canvas: NDArray[np.float32],
    court: Court,
    ground_xz: list[Point],
    colour: Colour,
    width_m: float = 0.05,
) -> None:
    middle = sum(z for _, z in ground_xz) / len(ground_xz)
    thickness = max(1, round(width_m * court.px_per_m(middle)))
    points = court.on_ground(ground_xz)
    cv2.polylines(canvas, [points], False, colour, thickness, cv2.LINE_AA, 4)


def _arc(x: float, z: float, radius: float, first: float, last: float) -> list[Point]:
    turns = np.linspace(first, last, 33) * math.pi
    return [(x + radius * math.cos(t), z + radius * math.sin(t)) for t in turns]


def _upright(
    canvas: NDArray[np.float32],
    court: Court,
    corners: tuple[float, float, float, float, float],
    colour: Colour,
    thickness: int = -1,
) -> None:
    """An upright rectangle: X from, X to, lower edge, upper edge, depth; all metres."""
    x0, x1, v0, v1, z = corners
    scale, foot = court.px_per_m(z), court.row(z)
    low = (round(court.column(x0, z)), round(foot - v0 * scale))
    high = (round(court.column(x1, z)), round(foot - v1 * scale))
    cv2.rectangle(canvas, low, high, colour, thickness)


def _paint_boards(canvas: NDArray[np.float32], court: Court, rng: np.random.Generator) -> None:
    """Advertising boards along the far end, and a bench on either side of it."""
    z, x = court.far_m + 1.3, -11.0
    while x < 11:
        width = float(rng.uniform(1.6, 3.2))
        ground = 0.25 * rng.uniform(25, 235, 3) + 0.75 * rng.uniform(80, 170)
        _upright(canvas, court, (x, x + width, 0.0, 0.75, z), tuple(ground))
        letters = tuple(ground * float(rng.choice([0.8, 1.2])))
        for at in np.arange(x + 0.25, x + width - 0.35, 0.3):
            if rng.random() < 0.8:
                _upright(canvas, court, (at, at + 0.17, 0.22, 0.55, z), letters)
        x += width + 0.05
    for side in (-1, 1):
        middle = side * (court.half_m + 1.4)
        _upright(canvas, court, (middle - 1, middle + 1, 0.0, 0.45, z - 0.4), (70.0, 62.0, 54.0))


def _mark_basketball(canvas: NDArray[np.float32], court: Court) -> None:
    """Key, three-point line, centre circle, and the basket at the far end."""
    far = court.far_m
    key = [(-1.8, far), (-1.8, far - 4.2), (1.8, far - 4.2), (1.8, far)]
    cv2.fillPoly(canvas, [court.on_ground(key)], court.apron, cv2.LINE_AA, 4)
    _line(canvas, court, key, _WHITE)
    _line(canvas, court, _arc(0, far - 4.2, 1.3, -1, 0), _WHITE)
    _line(canvas, court, _arc(0, far - 0.6, min(5.2, court.half_m - 0.3), -1, 0), _WHITE)
    _line(canvas, court, _arc(0, court.near_m, 1.5, 0, 1), _WHITE)
    _upright(canvas, court, (-0.09, 0.09, 0.0, 3.0, far + 0.6), (60.0, 62.0, 70.0))
    _upright(canvas, court, (-0.8, 0.8, 2.7, 3.6, far + 0.2), _WHITE)
    _upright(canvas, court, (-0.3, 0.3, 2.85, 3.2, far + 0.2), (190.0, 50.0, 40.0), 1)
    _upright(canvas, court, (-0.24, 0.24, 2.55, 2.62, far), (214.0, 92.0, 40.0))


def _mark_volleyball(canvas: NDArray[np.float32], court: Court) -> None:
    """Centre and attack lines; the net itself is painted among the players."""
    middle = (court.near_m + court.far_m) / 2
    for z in (middle - 2.2, middle, middle + 2.2):
        _line(canvas, court, [(-court.half_m, z), (court.half_m, z)], _WHITE)


def _mark_futsal(canvas: NDArray[np.float32], court: Court) -> None:
    """Goal area, penalty spot, centre circle, and the goal at the far end."""
    far = court.far_m
    _line(canvas, court, _arc(0, far, 3.4, -1, 0), _WHITE)
    _line(canvas, court, _arc(0, court.near_m + 1.0, 2.0, -1, 1), _WHITE)
    ends = [(-court.half_m, court.near_m + 1.0), (court.half_m, court.near_m + 1.0)]
    _line(canvas, court, ends, _WHITE)
    for x in np.arange(-1.5, 1.6, 0.3):
        _upright(canvas, court, (x, x, 0.0, 2.0, far + 0.3), (150.0, 150.0, 150.0), 1)
    for v in np.arange(0.3, 2.0, 0.3):
        _upright(canvas, court, (-1.5, 1.5, v, v, far + 0.3), (150.0, 150.0, 150.0), 1)
    _upright(canvas, court, (-1.5, -1.4, 0.0, 2.0, far), _WHITE)
    _upright(canvas, court, (1.4, 1.5, 0.0, 2.0, far), _WHITE)
    _upright(canvas, court, (-1.5, 1.5, 1.9, 2.0, far), _WHITE)


_MARKINGS: dict[str, Callable[[NDArray[np.float32], Court], None]] = {
    "basketball": _mark_basketball,
    "volleyball": _mark_volleyball,
    "futsal": _mark_futsal,
}
