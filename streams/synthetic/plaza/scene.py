"""One fixed square from one seed: paving, fountain, trees, benches, and where people gather."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from streams.synthetic.painting import texture

WIDE_M = 26.0
"""Metres of ground across the picture, whatever its size in pixels."""
_STONES = ((150, 142, 130), (132, 134, 138), (164, 150, 128), (118, 112, 106))


@dataclass(frozen=True)
class Plaza:
    """Everything about a square that does not change from second to second. The camera looks
    straight down, so a metre has `px_per_m` pixels everywhere. `gathering` are places (x, y in
    metres from the top left) where people stand together."""

    seed: int
    width_px: int
    height_px: int
    stone: tuple[float, float, float]
    tile_m: float
    gathering: tuple[tuple[float, float], ...]
    busiest: float
    noise: float
    lens_blur: float
    sunrise_h: float
    sunset_h: float

    @property
    def px_per_m(self) -> float:
        """Pixels of a metre of ground."""
        return self.width_px / WIDE_M

    @property
    def deep_m(self) -> float:
        """Metres of ground from the upper to the lower edge."""
        return self.height_px / self.px_per_m

    @cached_property
    def background(self) -> NDArray[np.float32]:
        """The empty square in even light: H×W×3 float32 RGB, 0…255."""
        return _paint_background(self)

    @cached_property
    def lamp_light(self) -> NDArray[np.float32]:
        """What the lamps light at night, H×W×1 float32, 0…1."""
        rng = np.random.default_rng([self.seed, 214])
        spots = np.zeros((self.height_px, self.width_px), np.float32)
        for _ in range(6):
            at = (int(rng.integers(self.width_px)), int(rng.integers(self.height_px)))
            cv2.circle(spots, at, round(3.2 * self.px_per_m), 1.0, -1)
        soft = cv2.GaussianBlur(spots, (0, 0), 2.6 * self.px_per_m)
        return np.asarray(np.clip(soft, 0, 1)[..., None], np.float32)


def make_plaza(seed: int, *, width_px: int = 320, height_px: int = 192) -> Plaza:
    """The square of a seed. The same seed gives the same square at every image size."""
    rng = np.random.default_rng([seed, 211])
    deep_m = WIDE_M * height_px / width_px
    places = rng.uniform(0.15, 0.85, (4, 2)) * (WIDE_M, deep_m)
    stone = np.array(_STONES[int(rng.integers(len(_STONES)))]) * rng.uniform(0.85, 1.1)
    dawn = float(rng.uniform(6.0, 7.4))
    return Plaza(
        seed=seed,
        width_px=width_px,
        height_px=height_px,
        stone=tuple(stone.tolist()),
        tile_m=float(rng.uniform(0.8, 1.8)),
        gathering=tuple((float(x), float(y)) for x, y in places),
        busiest=float(rng.uniform(0.75, 1.0)),
        noise=float(rng.uniform(2.0, 4.0)),
        lens_blur=float(rng.uniform(0.3, 0.6)),
        sunrise_h=dawn,
        sunset_h=dawn + float(rng.uniform(11.0, 13.0)),
    )


def _paint_background(plaza: Plaza) -> NDArray[np.float32]:
    rng = np.random.default_rng([plaza.seed, 212])
    canvas = np.zeros((plaza.height_px, plaza.width_px, 3), np.float32)
    _paint_paving(canvas, plaza, rng)
    _paint_fountain(canvas, plaza, rng)
    _paint_furniture(canvas, plaza, rng)
    canvas *= texture(rng, plaza.height_px, plaza.width_px)[..., None] * 0.5 + 0.5
    return np.clip(canvas, 0, 255).astype(np.float32)


def _paint_paving(canvas: NDArray[np.float32], plaza: Plaza, rng: np.random.Generator) -> None:
    """Slabs of slightly different grey, and darker joints between them."""
    step = max(3, round(plaza.tile_m * plaza.px_per_m))
    rows, columns = (-(-side // step) for side in canvas.shape[:2])
    shades = rng.uniform(0.88, 1.08, (rows, columns)).astype(np.float32)
    slabs = np.kron(shades, np.ones((step, step), np.float32))
    slabs[::step] *= 0.86
    slabs[:, ::step] *= 0.86
    canvas[:] = slabs[: canvas.shape[0], : canvas.shape[1], None] * np.array(plaza.stone)


def _paint_fountain(canvas: NDArray[np.float32], plaza: Plaza, rng: np.random.Generator) -> None:
    scale = plaza.px_per_m
    at_m = rng.uniform(0.25, 0.75, 2) * (WIDE_M, plaza.deep_m)
    at = (round(at_m[0] * scale), round(at_m[1] * scale))
    cv2.circle(canvas, at, round(2.3 * scale), (172, 168, 160), -1, cv2.LINE_AA)
    cv2.circle(canvas, at, round(1.9 * scale), (86, 118, 132), -1, cv2.LINE_AA)
    cv2.circle(canvas, at, max(1, round(0.4 * scale)), (190, 188, 182), -1, cv2.LINE_AA)


def _paint_furniture(canvas: NDArray[np.float32], plaza: Plaza, rng: np.random.Generator) -> None:
    """Trees, benches and sunshades: round and dark things, some as small as a person."""
    scale = plaza.px_per_m
    for _ in range(int(rng.integers(4, 9))):
        at = (int(rng.integers(plaza.width_px)), int(rng.integers(plaza.height_px)))
        green = rng.uniform(0.8, 1.2) * np.array([62.0, 84.0, 50.0])
        radius = round(float(rng.uniform(0.7, 1.5)) * scale)
        cv2.circle(canvas, at, radius, green.tolist(), -1, cv2.LINE_AA)
    for _ in range(int(rng.integers(5, 12))):
        x, y = int(rng.integers(plaza.width_px)), int(rng.integers(plaza.height_px))
        long, thin = max(2, round(1.6 * scale)), max(1, round(0.45 * scale))
        wide, high = (long, thin) if rng.random() < 0.5 else (thin, long)
        cv2.rectangle(canvas, (x, y), (x + wide, y + high), (92, 72, 54), -1)
    for _ in range(int(rng.integers(8, 16))):
        at = (int(rng.integers(plaza.width_px)), int(rng.integers(plaza.height_px)))
        grey = float(rng.uniform(60, 110))
        cv2.circle(canvas, at, max(1, round(0.25 * scale)), (grey, grey, grey), -1, cv2.LINE_AA)
