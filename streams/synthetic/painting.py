"""How the synthetic worlds paint: a pinhole camera over flat ground, outlines in metres, shadows.

Every shape is painted twice: in colour on the canvas, and as a number on the owner map, from which
the true boxes are read.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Point = tuple[float, float]
Shape = tuple[list[Point], Sequence[float]]
"""An outline in metres (to the right, up) from the foot point, and its RGB colour."""


@dataclass(frozen=True)
class View:
    """Where the camera stands. Ground coordinates are metres: X to the right, Z away from it.

    The camera is a pinhole at height `camera_m` over flat ground with a level optical axis shifted
    so that the horizon lies at `horizon_px`; a point on the ground at depth Z shows at row
    `horizon_px + focal_px * camera_m / Z`.
    """

    width_px: int
    height_px: int
    camera_m: float
    focal_px: float
    horizon_px: float

    def row(self, z_m: float) -> float:
        """Image row of the ground at depth `z_m`."""
        return self.horizon_px + self.focal_px * self.camera_m / z_m

    def column(self, x_m: float, z_m: float) -> float:
        """Image column of the ground point (`x_m`, `z_m`)."""
        return self.width_px / 2 + self.focal_px * x_m / z_m

    def px_per_m(self, z_m: float) -> float:
        """Pixels a metre upright takes at depth `z_m`."""
        return self.focal_px / z_m


def fill(canvas: NDArray[np.float32], points: Sequence[Point], value: float) -> None:
    """Fill a polygon of pixel coordinates on a one-channel canvas."""
    cv2.fillPoly(canvas, [np.round(np.array(points) * 16).astype(np.int32)], value, cv2.LINE_8, 4)


def paint(
    canvas: NDArray[np.float32],
    owners: NDArray[np.uint8],
    owner: int,
    view: View,
    at_xz: Point,
    shapes: Iterable[Shape],
) -> int:
    """Paint what stands at `at_xz` in colour and as `owner`; returns its full area in pixels,
    hidden or out of the frame parts included (0 when it is nowhere near the frame)."""
    x0, y0 = view.column(*at_xz), view.row(at_xz[1])
    scale = view.px_per_m(at_xz[1])
    if not -6 * scale < x0 < view.width_px + 6 * scale:
        return 0
    outlines = []
    for outline, colour in shapes:
        pixels = np.array([(x0 + u * scale, y0 - v * scale) for u, v in outline])
        points = np.round(pixels * 16).astype(np.int32)
        cv2.fillPoly(canvas, [points], colour, cv2.LINE_AA, 4)
        cv2.fillPoly(owners, [points], owner, cv2.LINE_8, 4)
        outlines.append(pixels)
    return _full_area(outlines)


def _full_area(outlines: list[NDArray[np.float64]]) -> int:
    everything = np.concatenate(outlines)
    low = np.floor(everything.min(axis=0)) - 1
    width, height = (np.ceil(everything.max(axis=0)) - low + 2).astype(int)
    mask = np.zeros((height, width), np.uint8)
    for outline in outlines:
        points = np.round((outline - low) * 16).astype(np.int32)
        cv2.fillPoly(mask, [points], 1, cv2.LINE_8, 4)
    return int(cv2.countNonZero(mask))


def cast_shadows(
    canvas: NDArray[np.float32],
    view: View,
    things: Iterable[tuple[float, float, float, float]],
    tip_xz: Point,
    strength: float,
) -> None:
    """Darken the ground by the shadows of `things`: X, Z, width and height in metres of each.
    `tip_xz` is where the shadow of a 1 m high thing ends, in metres; `strength` is 0…1."""
    shade = np.ones(canvas.shape[:2], np.float32)
    dx, dz = tip_xz
    for x, z, width, height in things:
        tip_x, tip_z = x + dx * height, max(z + dz * height, 2.5)
        foot = [(x - width / 2, z), (x + width / 2, z), (tip_x + width / 2, tip_z)]
        foot.append((tip_x - width / 2, tip_z))
        points = [(view.column(px, pz), view.row(pz)) for px, pz in foot]
        fill(shade, points, 1.0 - strength)
    shade = cv2.blur(shade, (3, 3))
    canvas *= shade[..., None]


def texture(rng: np.random.Generator, height: int, width: int) -> NDArray[np.float32]:
    """Grain of two sizes around 1.0: H×W float32."""
    fine = rng.normal(0, 0.05, (height, width)).astype(np.float32)
    coarse = rng.normal(0, 0.09, (height // 10 + 1, width // 10 + 1)).astype(np.float32)
    big = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(1.0 + fine + big, np.float32)


def vignette(height_px: int, width_px: int) -> NDArray[np.float32]:
    """What the lens lets through, less towards the corners: H×W×1 float32."""
    ys = np.linspace(-1, 1, height_px, dtype=np.float32)[:, None]
    xs = np.linspace(-1, 1, width_px, dtype=np.float32)[None, :]
    return (1.0 - 0.16 * (xs**2 + ys**2))[..., None]


# -- outlines --------------------------------------------------------------------------------------


def disc(u: float, v: float, ru: float, rv: float, sides: int = 10) -> list[Point]:
    """An ellipse around (`u`, `v`)."""
    turns = [2 * math.pi * k / sides for k in range(sides)]
    return [(u + ru * math.cos(t), v + rv * math.sin(t)) for t in turns]


def rectangle(u0: float, v0: float, u1: float, v1: float) -> list[Point]:
    """An upright rectangle between two corners."""
    return [(u0, v0), (u1, v0), (u1, v1), (u0, v1)]


def limb(a: Point, b: Point, width: float) -> list[Point]:
    """A bar of `width` from `a` to `b`."""
    du, dv = b[0] - a[0], b[1] - a[1]
    length = max(math.hypot(du, dv), 1e-6)
    nu, nv = -dv / length * width / 2, du / length * width / 2
    return [
        (a[0] + nu, a[1] + nv),
        (b[0] + nu, b[1] + nv),
        (b[0] - nu, b[1] - nv),
        (a[0] - nu, a[1] - nv),
    ]


def trunk(
    size: float, wide: float, coat: Sequence[float], skin: float, base: Point = (0.0, 0.0)
) -> Iterator[Shape]:
    """Torso and head of a person of 1.75 m × `size`, `wide` at the hips, standing on `base`.
    `skin` is its red, 0…255."""
    u, v = base
    torso = [
        (u - wide / 2, v + 0.8 * size),
        (u + wide / 2, v + 0.8 * size),
        (u + wide / 2 * 1.1, v + 1.42 * size),
        (u - wide / 2 * 1.1, v + 1.42 * size),
    ]
    yield torso, list(coat)
    yield disc(u, v + 1.6 * size, 0.12 * size, 0.15 * size), [skin, skin * 0.78, skin * 0.64]
