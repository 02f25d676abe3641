"""One moment of a square as a picture with its people as points."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from streams.synthetic.painting import vignette
from streams.synthetic.plaza.people import People, people_at
from streams.synthetic.plaza.scene import Plaza
from streams.synthetic.street.light import Light, light_at
from streams.synthetic.truth import CLASS_NAMES, Truth

_SHOULDERS_M, _CHEST_M, _HEAD_M = 0.27, 0.16, 0.125
"""Half the width across the shoulders, half the depth of the chest, the radius of the head."""
_SUBPIXEL = 4
_ONE = 1 << _SUBPIXEL


class PlazaRenderer:
    """Renders any second of one square. Holds its buffers: not for use by two threads."""

    def __init__(self, plaza: Plaza) -> None:
        self.plaza = plaza
        self._vignette = vignette(plaza.height_px, plaza.width_px)

    def render(self, time_s: float) -> tuple[NDArray[np.uint8], Truth]:
        """The picture (H×W×3 uint8 RGB) and its truth at `time_s` since midnight of day 0."""
        plaza, light = self.plaza, light_at(self.plaza, time_s)
        people = people_at(plaza, time_s)
        canvas = plaza.background.copy()
        if light.sun > 0.05:
            self._cast_shadows(canvas, people, light)
        self._paint(canvas, people)
        return self._expose(canvas, light, time_s), self._truth(people)

    def _truth(self, people: People) -> Truth:
        """A box as wide as the shoulders around each point. Seen from above nobody is hidden, and
        at the edge a box reaches out of the picture, so that its centre is the point."""
        points = np.stack([people.x_m, people.y_m], axis=1) * self.plaza.px_per_m
        half = _SHOULDERS_M * self.plaza.px_per_m
        boxes = np.concatenate([points - half, points + half], axis=1).astype(np.float32)
        return Truth(boxes, np.full(len(people), CLASS_NAMES.index("person"), np.int64))

    def _cast_shadows(self, canvas: NDArray[np.float32], people: People, light: Light) -> None:
        plaza, (dx, dy) = self.plaza, light.shadow_xz
        shade = np.ones(canvas.shape[:2], np.float32)
        scale = plaza.px_per_m * _ONE
        length = min(1.6, math.hypot(dx, dy)) / max(math.hypot(dx, dy), 1e-6)
        for x, y in zip(people.x_m.tolist(), people.y_m.tolist(), strict=True):
            foot = (round(x * scale), round(y * scale))
            tip = (round((x + dx * length) * scale), round((y - dy * length) * scale))
            thick = max(1, round(0.4 * plaza.px_per_m))
            cv2.line(shade, foot, tip, 1 - 0.45 * light.sun, thick, cv2.LINE_8, _SUBPIXEL)
        canvas *= cv2.blur(shade, (3, 3))[..., None]

    def _paint(self, canvas: NDArray[np.float32], people: People) -> None:
        """Shoulders and head of each, the upper in the picture first."""
        scale = self.plaza.px_per_m * _ONE
        axes = (round(_CHEST_M * scale), round(_SHOULDERS_M * scale))
        head = round(_HEAD_M * scale)
        for i in np.argsort(people.y_m):
            at = (round(people.x_m[i] * scale), round(people.y_m[i] * scale))
            turn = math.degrees(people.facing_rad[i])
            coat, hair = people.coat[i].tolist(), people.hair[i].tolist()
            cv2.ellipse(canvas, at, axes, turn, 0, 360, coat, -1, cv2.LINE_AA, _SUBPIXEL)
            cv2.circle(canvas, at, head, hair, -1, cv2.LINE_AA, _SUBPIXEL)

    def _expose(
        self, canvas: NDArray[np.float32], light: Light, time_s: float
    ) -> NDArray[np.uint8]:
        """From surfaces to a camera's picture: light, lamps, fog, lens, sensor."""
        plaza, night = self.plaza, 1.0 - light.day
        warm = np.array([1.0, 0.86, 0.64], np.float32)
        lamps = 0.26 + 0.4 * plaza.lamp_light * warm
        canvas *= light.day * np.array(light.colour, np.float32) + night * lamps
        canvas += 0.2 * light.fog * (170.0 * (0.2 + 0.8 * light.day) - canvas)
        canvas *= self._vignette
        canvas = cv2.GaussianBlur(canvas, (3, 3), plaza.lens_blur)
        rng = np.random.default_rng([plaza.seed, 215, int(time_s * 1000) & 0x7FFFFFFF])
        strength = plaza.noise * (1.0 + night)
        canvas += strength * rng.standard_normal(canvas.shape, np.float32)
        return np.clip(canvas, 0, 255).astype(np.uint8)
