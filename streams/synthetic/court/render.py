"""One moment of a court as a picture with true boxes."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from streams.synthetic.court import sprites
from streams.synthetic.court.players import Player, ball_at, players_at
from streams.synthetic.court.scene import Court
from streams.synthetic.painting import cast_shadows, fill, paint, vignette
from streams.synthetic.street.light import Light, light_at
from streams.synthetic.truth import Painted, Truth, true_boxes

_LAMP_SHADOW_XZ = (0.06, -0.16)
"""Lamps hang overhead, so the shadow of a 1 m high thing ends this near to its foot."""


class CourtRenderer:
    """Renders any second of one court. Holds the court's buffers: not for use by two threads."""

    def __init__(self, court: Court) -> None:
        self.court = court
        self._owners = np.zeros((court.height_px, court.width_px), np.uint8)
        self._vignette = vignette(court.height_px, court.width_px)

    def render(self, time_s: float) -> tuple[NDArray[np.uint8], Truth]:
        """The picture (H×W×3 uint8 RGB) and the true boxes at `time_s` since midnight of day 0."""
        court, light = self.court, light_at(self.court, time_s)
        canvas = court.background.copy()
        players = players_at(court, time_s)
        self._light_the_floor(canvas, players, light, hour=time_s / 3600 % 24)
        truth = self._paint_things(canvas, players, time_s)
        return self._expose(canvas, light, time_s), truth

    def _light_the_floor(
        self, canvas: NDArray[np.float32], players: list[Player], light: Light, *, hour: float
    ) -> None:
        """Sun through the windows, and the shadows of sun and lamps."""
        court = self.court
        if court.windows and light.sun > 0.05:
            canvas *= _sun_patches(court, hour, light.sun)
        things = [(p.x_m, p.z_m, 0.5, 1.7 * p.size) for p in players]
        cast_shadows(canvas, court, things, _LAMP_SHADOW_XZ, 0.18)
        if not court.indoors and light.sun > 0.05:
            cast_shadows(canvas, court, things, light.shadow_xz, 0.45 * light.sun)

    def _paint_things(
        self, canvas: NDArray[np.float32], players: list[Player], time_s: float
    ) -> Truth:
        """Players, ball and net from far to near; who owns which pixel gives the boxes."""
        court, owners = self.court, self._owners
        owners[:] = 0
        ball, net_m = ball_at(court, time_s), court.net_m
        things: list[tuple[float, Player | None]] = [(p.z_m, p) for p in players]
        if net_m is not None:
            things.append((net_m, None))
        painted = []
        for owner, (_, player) in enumerate(sorted(things, key=lambda t: -t[0]), start=1):
            if player is None:
                sprites.paint_net(canvas, court, net_m or 0.0)
                continue
            at_xz = (player.x_m, player.z_m)
            area = paint(canvas, owners, owner, court, at_xz, sprites.player(player))
            if area > 0:
                painted.append(Painted(owner, "person", area))
        if ball is not None:
            paint(canvas, owners, 255, court, ball[:2], sprites.ball(court, ball[2]))
        return true_boxes(owners, painted)

    def _expose(
        self, canvas: NDArray[np.float32], light: Light, time_s: float
    ) -> NDArray[np.uint8]:
        """From surfaces to a camera's picture: light, lens, sensor."""
        court = self.court
        outside = 0.12 if court.indoors else light.day
        lamps = (1 - outside) * lamp_colour(court, int(time_s // 86_400))
        canvas *= outside * np.array(light.colour, np.float32) + lamps
        canvas *= self._vignette
        canvas = cv2.GaussianBlur(canvas, (3, 3), court.lens_blur)
        rng = np.random.default_rng([court.seed, 113, int(time_s * 1000) & 0x7FFFFFFF])
        canvas += court.noise * rng.standard_normal(canvas.shape, np.float32)
        return np.clip(canvas, 0, 255).astype(np.uint8)


def lamp_colour(court: Court, day: int) -> NDArray[np.float32]:
    """What the lamps do to red, green and blue (3 float32, about 1), a little new every day."""
    rng = np.random.default_rng([court.seed, 114, day])
    level, warmth = rng.uniform(0.92, 1.08), court.warmth + rng.normal(0, 0.015)
    return np.array([level * (1 + warmth), level, level * (1 - warmth)], np.float32)


def _sun_patches(court: Court, hour: float, sun: float) -> NDArray[np.float32]:
    """Light of the sun through the windows: H×W×1 factors, 1 where none falls. The patches wander
    over the floor from one side to the other as the day goes by."""
    patch = np.ones((court.height_px, court.width_px), np.float32)
    across = 1 - 2 * (hour - court.sunrise_h) / (court.sunset_h - court.sunrise_h)
    for index in range(court.windows):
        x = (index + 0.5) / court.windows * 9 - 4.5 + 4 * across
        near, far = court.far_m - 4.5, court.far_m - 2.0
        corners = [(x - 1, far), (x + 1, far), (x + 1 + across, near), (x - 1 + across, near)]
        points = [(court.column(*c), court.row(c[1])) for c in corners]
        fill(patch, points, 1 + 0.35 * sun)
    return np.asarray(cv2.blur(patch, (5, 5))[..., None], np.float32)
