"""How a person, a car, a bicycle and the clutter look: polygons painted on the canvas."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from streams.synthetic import painting
from streams.synthetic.painting import Shape, disc, limb, rectangle, trunk
from streams.synthetic.street.scene import Clutter, Scene
from streams.synthetic.street.traffic import Actor

_GLASS = (52.0, 60.0, 70.0)
_TYRE = (22.0, 22.0, 24.0)


def paint(
    canvas: NDArray[np.float32],
    owners: NDArray[np.uint8],
    owner: int,
    scene: Scene,
    thing: Actor | Clutter,
) -> int:
    """Paint a thing of the street; as `streams.synthetic.painting.paint`."""
    at_xz = (thing.x_m, thing.z_m)
    return painting.paint(canvas, owners, owner, scene, at_xz, _shapes(thing))


def shadow_size(actor: Actor) -> tuple[float, float]:
    """Width and height in metres of what throws the actor's shadow."""
    return {"person": (0.5, 1.7), "car": (_car_width(actor), 1.3), "bicycle": (1.0, 1.6)}[
        actor.kind
    ]


def lamps(scene: Scene, actor: Actor) -> Iterator[tuple[float, float, Sequence[float], float]]:
    """Lamps that can be seen: column, row, RGB, radius in metres."""
    scale, y0 = scene.px_per_m(actor.z_m), scene.row(actor.z_m)
    x0 = scene.column(actor.x_m, actor.z_m)
    along, away = math.cos(actor.heading_rad), math.sin(actor.heading_rad)
    half = _car_width(actor) / 2 if actor.kind == "car" else 0.8 * abs(along)
    y = y0 - (0.65 if actor.kind == "car" else 0.9) * scale
    white, red = (620.0, 590.0, 500.0), (330.0, 40.0, 30.0)
    size = 0.17 if actor.kind == "car" else 0.09
    if abs(along) > 0.6:
        yield x0 + math.copysign(half, along) * scale, y, white, size
        yield x0 - math.copysign(half, along) * scale, y, red, size
    else:
        for side in (-0.75, 0.75) if actor.kind == "car" else (0.0,):
            yield x0 + side * half * scale, y, red if away > 0 else white, size


def _shapes(thing: Actor | Clutter) -> Iterator[Shape]:
    if isinstance(thing, Clutter):
        yield from _clutter(thing)
    elif thing.kind == "person":
        yield from _person(thing)
    elif thing.kind == "car":
        yield from _car(thing)
    else:
        yield from _bicycle(thing)


def _person(actor: Actor) -> Iterator[Shape]:
    s = actor.size
    side = abs(math.cos(actor.heading_rad))
    stride = 0.28 * math.sin(actor.phase) * (0.35 + 0.65 * side)
    wide = (0.46 - 0.14 * side) * s
    legs, coat = actor.second_colour, actor.colour
    dark = [c * 0.8 for c in legs]
    yield limb((0.06 * s, 0.85 * s), (stride, 0.0), 0.17 * s), dark
    yield limb((-0.06 * s, 0.85 * s), (-stride, 0.0), 0.17 * s), list(legs)
    swing = 0.22 * math.sin(actor.phase)
    yield (
        limb((wide / 2, 1.38 * s), (wide / 2 - swing * side, 0.85 * s), 0.12 * s),
        [c * 0.85 for c in coat],
    )
    yield limb((-wide / 2, 1.38 * s), (-wide / 2 + swing * side, 0.85 * s), 0.12 * s), list(coat)
    yield from trunk(s, wide, coat, skin=95 + 110 * (actor.colour[0] / 255))


def _car_width(actor: Actor) -> float:
    along, away = abs(math.cos(actor.heading_rad)), abs(math.sin(actor.heading_rad))
    return actor.size * (4.2 * along + 1.75 * away)


def _car(actor: Actor) -> Iterator[Shape]:
    half, s = _car_width(actor) / 2, actor.size
    facing = math.copysign(1.0, math.cos(actor.heading_rad))
    side = abs(math.cos(actor.heading_rad)) > 0.55
    body, dark = list(actor.colour), [c * 0.7 for c in actor.colour]
    if side:
        hull = [(-half, 0.3), (half, 0.3), (half, 0.75), (half * 0.9, 0.92), (-half, 0.95)]
        yield [(u * facing, v * s) for u, v in hull], body
        cabin = [(-half * 0.75, 0.92), (half * 0.45, 0.92), (half * 0.2, 1.42), (-half * 0.6, 1.42)]
        yield [(u * facing, v * s) for u, v in cabin], dark
        pane = [
            (-half * 0.64, 0.96),
            (half * 0.36, 0.96),
            (half * 0.16, 1.34),
            (-half * 0.54, 1.34),
        ]
        yield [(u * facing, v * s) for u, v in pane], _GLASS
        for wheel in (-0.62, 0.62):
            yield disc(half * wheel, 0.3 * s, 0.32 * s, 0.32 * s), _TYRE
    else:
        yield rectangle(-half * 0.9, 0.02, -half * 0.55, 0.5 * s), _TYRE
        yield rectangle(half * 0.55, 0.02, half * 0.9, 0.5 * s), _TYRE
        yield rectangle(-half, 0.22 * s, half, 0.95 * s), body
        yield (
            [
                (-half * 0.85, 0.93 * s),
                (half * 0.85, 0.93 * s),
                (half * 0.65, 1.45 * s),
                (-half * 0.65, 1.45 * s),
            ],
            dark,
        )
        yield (
            [
                (-half * 0.72, 0.97 * s),
                (half * 0.72, 0.97 * s),
                (half * 0.56, 1.36 * s),
                (-half * 0.56, 1.36 * s),
            ],
            _GLASS,
        )


def _bicycle(actor: Actor) -> Iterator[Shape]:
    s = actor.size
    along = max(abs(math.cos(actor.heading_rad)), 0.12)
    facing = math.copysign(1.0, math.cos(actor.heading_rad))
    back, front = -0.52 * along * facing, 0.52 * along * facing
    for hub in (back, front):
        yield disc(hub, 0.33, 0.33 * along + 0.03, 0.33), _TYRE
        yield disc(hub, 0.33, 0.24 * along + 0.01, 0.24), (120.0, 120.0, 118.0)
    frame = list(actor.second_colour)
    yield limb((back, 0.35), (front * 0.75, 0.75), 0.08), frame
    yield limb((front, 0.35), (front * 0.8, 0.95), 0.08), frame
    knee = 0.12 * math.sin(actor.phase)
    hip, shoulder = (back * 0.45, 0.92 * s), (front * 0.25, 1.42 * s)
    yield limb(hip, (0.05 * facing, 0.3 + knee), 0.16 * s), [c * 0.7 for c in actor.second_colour]
    yield limb(hip, shoulder, 0.34 * s), list(actor.colour)
    yield limb(shoulder, (front * 0.8, 0.98), 0.11 * s), [c * 0.85 for c in actor.colour]
    skin = 95 + 110 * (actor.colour[0] / 255)
    yield (
        disc(shoulder[0] + 0.05 * facing, 1.62 * s, 0.12 * s, 0.15 * s),
        [skin, skin * 0.78, skin * 0.64],
    )


def _clutter(thing: Clutter) -> Iterator[Shape]:
    h, colour = thing.height_m, [float(c) for c in thing.colour]
    if thing.kind == "bush":
        yield disc(0, h * 0.45, h * 0.7, h * 0.5), colour
        yield disc(h * 0.4, h * 0.35, h * 0.5, h * 0.38), [c * 0.85 for c in colour]
    elif thing.kind == "tree":
        yield rectangle(-0.14, 0, 0.14, h * 0.6), (66.0, 50.0, 38.0)
        yield disc(0, h * 0.75, h * 0.3, h * 0.28), colour
    elif thing.kind == "sign":
        yield rectangle(-0.05, 0, 0.05, h), (110.0, 110.0, 112.0)
        yield disc(0, h, 0.32, 0.32), colour
    elif thing.kind == "post":  # of a person's size, on purpose
        yield rectangle(-0.2, 0, 0.2, h), colour
        yield disc(0, h, 0.2, 0.16), [c * 0.8 for c in colour]
    else:
        half = 0.09 if thing.kind == "pole" else 0.36
        yield rectangle(-half, 0, half, h), colour
