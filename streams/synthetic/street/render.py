"""One moment of a street as a picture with true boxes."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from streams.synthetic.painting import cast_shadows, vignette
from streams.synthetic.street import sprites
from streams.synthetic.street.light import Light, light_at
from streams.synthetic.street.scene import Clutter, Scene
from streams.synthetic.street.traffic import Actor, actors_at
from streams.synthetic.truth import Painted, Truth, true_boxes

_BANK = 6


class StreetRenderer:
    """Renders any second of one scene. Holds the scene's buffers: not for use by two threads."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        rng = np.random.default_rng([scene.seed, 103])
        shape = (scene.height_px, scene.width_px)
        self._noise = [rng.standard_normal((*shape, 3), np.float32) for _ in range(_BANK)]
        self._grain = [rng.standard_normal((*shape, 1), np.float32) for _ in range(_BANK)]
        self._owner = np.zeros(shape, np.uint8)
        self._vignette = vignette(scene.height_px, scene.width_px)

    def render(self, time_s: float) -> tuple[NDArray[np.uint8], Truth]:
        """The picture (H×W×3 uint8 RGB) and the true boxes at `time_s` since midnight of day 0."""
        scene, light = self.scene, light_at(self.scene, time_s)
        canvas = scene.background.copy()
        actors = actors_at(scene, time_s)
        if light.sun > 0.05:
            self._cast_shadows(canvas, actors, light)
        truth = self._paint_things(canvas, actors)
        picture = self._expose(canvas, actors, light, time_s)
        return picture, truth

    def _paint_things(self, canvas: NDArray[np.float32], actors: list[Actor]) -> Truth:
        """Paint actors and clutter from far to near; who owns which pixel gives the boxes."""
        self._owner[:] = 0
        things: list[tuple[float, Actor | Clutter]] = [(a.z_m, a) for a in actors]
        things += [(c.z_m, c) for c in self.scene.clutter]
        painted: list[Painted] = []
        for number, (_, thing) in enumerate(sorted(things, key=lambda t: -t[0]), start=1):
            owner = min(number, 255)
            area = sprites.paint(canvas, self._owner, owner, self.scene, thing)
            if isinstance(thing, Actor) and area > 0 and number < 255:
                painted.append(Painted(owner, thing.kind, area))
        return true_boxes(self._owner, painted)

    def _cast_shadows(self, canvas: NDArray[np.float32], actors: list[Actor], light: Light) -> None:
        things = [(a.x_m, a.z_m, *sprites.shadow_size(a)) for a in actors]
        things += [(c.x_m, c.z_m, 0.35, c.height_m) for c in self.scene.clutter]
        cast_shadows(canvas, self.scene, things, light.shadow_xz, 0.5 * light.sun)

    def _expose(
        self, canvas: NDArray[np.float32], actors: list[Actor], light: Light, time_s: float
    ) -> NDArray[np.uint8]:
        """From surfaces to a camera's picture: light, headlights, weather, lens, sensor."""
        scene, night = self.scene, 1.0 - light.day
        rng = np.random.default_rng([scene.seed, 10, int(time_s * 1000) & 0x7FFFFFFF])
        if night > 0.02:
            canvas *= self._night_light(night)
        canvas *= np.array(light.colour, np.float32)
        if night > 0.25:
            _add_headlights(canvas, scene, actors, night)
        if light.fog > 0.05:
            self._add_fog(canvas, light)
        if light.rain > 0.05:
            _add_rain(canvas, rng, light)
        canvas *= self._vignette
        if scene.lens_blur > 0.3:
            canvas = cv2.GaussianBlur(canvas, (3, 3), scene.lens_blur)
        if scene.infrared_night and night > 0.6:
            canvas[:] = canvas.mean(axis=2, keepdims=True)
        gain = 1.0 + 1.1 * night
        bank = self._grain if scene.infrared_night and night > 0.6 else self._noise
        noise = np.roll(bank[int(rng.integers(_BANK))], tuple(rng.integers(0, 97, 2)), (0, 1))
        strength = scene.noise * (1.0 + 1.2 * night)
        return np.clip(canvas * gain + noise * strength, 0, 255).astype(np.uint8)

    def _night_light(self, night: float) -> NDArray[np.float32]:
        """Light that falls on each pixel, H×W×1 (infra-red: from the camera) or H×W×3."""
        scene = self.scene
        if scene.infrared_night:
            rows = np.arange(scene.height_px, dtype=np.float32)[:, None, None]
            near = np.clip((rows - scene.horizon_px) / (scene.height_px * 0.7), 0, 1)
            dark: NDArray[np.float32] = 0.14 + 0.28 * near
            return np.asarray((1 - night) + night * dark, np.float32)
        warm = np.array([1.0, 0.84, 0.6], np.float32)
        dark = 0.17 + 0.42 * scene.lamp_light[..., None] * warm
        return np.asarray((1 - night) + night * dark, np.float32)

    def _add_fog(self, canvas: NDArray[np.float32], light: Light) -> None:
        rows = np.arange(self.scene.height_px, dtype=np.float32)[:, None, None]
        depth = np.clip((rows - self.scene.horizon_px) / (self.scene.height_px * 0.55), 0.04, 1)
        veil = light.fog * 0.75 * np.exp(-2.0 * depth)
        grey = 190.0 * (0.12 + 0.88 * light.day)
        canvas *= 1 - veil
        canvas += grey * veil


def _add_headlights(
    canvas: NDArray[np.float32], scene: Scene, actors: list[Actor], night: float
) -> None:
    """Lamps of cars and bicycles, their glare, and the light they throw on the road ahead."""
    glow = np.zeros((scene.height_px // 2 + 1, scene.width_px // 2 + 1, 3), np.float32)
    for actor in actors:
        if actor.kind == "person" or not actor.moving:
            continue
        scale = scene.px_per_m(actor.z_m) / 2
        for x, y, colour, size in sprites.lamps(scene, actor):
            centre = (round(x / 2), round(y / 2))
            cv2.circle(glow, centre, max(1, round(size * scale)), colour, -1)
        if actor.kind == "car":
            ahead = actor.x_m + 4.5 * math.cos(actor.heading_rad)
            deep = max(actor.z_m + 4.5 * math.sin(actor.heading_rad), 3.0)
            spot = (round(scene.column(ahead, deep) / 2), round(scene.row(deep) / 2))
            axes = (max(1, round(2.6 * scale)), max(1, round(2.6 * scale * scene.camera_m / deep)))
            cv2.ellipse(glow, spot, axes, 0, 0, 360, (46, 44, 38), -1)
    soft = cv2.GaussianBlur(glow, (0, 0), max(1.2, scene.width_px / 200))
    full = cv2.resize(soft, (scene.width_px, scene.height_px), interpolation=cv2.INTER_LINEAR)
    canvas += full * night


def _add_rain(canvas: NDArray[np.float32], rng: np.random.Generator, light: Light) -> None:
    height, width = canvas.shape[:2]
    streaks = np.zeros((height, width), np.float32)
    for _ in range(int(110 * light.rain)):
        x, y = int(rng.integers(0, width)), int(rng.integers(-10, height))
        length = int(rng.uniform(0.03, 0.09) * height)
        cv2.line(streaks, (x, y), (x + length // 6, y + length), float(rng.uniform(14, 46)), 1)
    canvas *= 1 - 0.12 * light.rain
    canvas += (streaks * (0.35 + 0.65 * light.day))[..., None]
