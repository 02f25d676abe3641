"""One fixed scene from one seed: the camera, roads, walks, buildings, clutter, lamps."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from streams.synthetic.painting import View, texture

Colour = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Track:
    """A straight way on the ground for one kind of traffic, from start to end, in metres."""

    kind: str
    start_xz: tuple[float, float]
    end_xz: tuple[float, float]
    per_hour: float

    @property
    def length_m(self) -> float:
        """Distance from start to end."""
        return float(np.hypot(*np.subtract(self.end_xz, self.start_xz)))


@dataclass(frozen=True, slots=True)
class Clutter:
    """A thing that stands still and hides what is behind it."""

    kind: str
    x_m: float
    z_m: float
    height_m: float
    colour: Colour


@dataclass(frozen=True)
class Scene(View):
    """Everything about a camera's view that does not change from second to second."""

    seed: int
    tracks: tuple[Track, ...]
    parking: tuple[tuple[float, float], ...]
    clutter: tuple[Clutter, ...]
    lamps: tuple[tuple[float, float], ...]
    infrared_night: bool
    lens_blur: float
    noise: float
    tint: tuple[float, float, float]
    sunrise_h: float
    sunset_h: float

    @cached_property
    def background(self) -> NDArray[np.float32]:
        """The empty scene in even light: H×W×3 float32 RGB, 0…255."""
        return _paint_background(self)

    @cached_property
    def lamp_light(self) -> NDArray[np.float32]:
        """Light the street lamps throw at night: H×W float32, about 0…1."""
        return _lamp_pools(self)


def make_scene(seed: int, *, width_px: int = 320, height_px: int = 192) -> Scene:
    """The scene of a seed. The same seed gives the same street at every image size."""
    rng = np.random.default_rng([seed, 101])
    camera_m = rng.uniform(3.2, 6.0)
    horizon = rng.uniform(0.16, 0.30)
    focal = rng.uniform(1.0, 1.4)
    tracks, parking = _lay_roads(rng)
    dawn = rng.uniform(6.6, 8.2)
    return Scene(
        seed=seed,
        width_px=width_px,
        height_px=height_px,
        camera_m=camera_m,
        focal_px=focal * width_px,
        horizon_px=horizon * height_px,
        tracks=tracks,
        parking=parking,
        clutter=_place_clutter(rng),
        lamps=tuple(
            (float(rng.uniform(-9, 9)), float(rng.uniform(9, 26)))
            for _ in range(rng.integers(2, 5))
        ),
        infrared_night=bool(rng.random() < 0.4),
        lens_blur=float(rng.uniform(0.0, 0.8)),
        noise=float(rng.uniform(2.0, 5.0)),
        tint=tuple(float(v) for v in rng.uniform(0.88, 1.12, 3)),  # type: ignore[arg-type]
        sunrise_h=dawn,
        sunset_h=float(dawn + rng.uniform(8.5, 11.0)),
    )


def _lay_roads(
    rng: np.random.Generator,
) -> tuple[tuple[Track, ...], tuple[tuple[float, float], ...]]:
    """One road, across, along or aslant, sometimes a second; lanes, cycle ways and walks on it."""
    across = rng.random() < 0.6
    roads = [_Road.across(rng) if across else _Road.aslant(rng)]
    if rng.random() < 0.5:
        roads.append(_Road.aslant(rng) if across else _Road.across(rng))
    tracks: list[Track] = []
    for road in roads:
        tracks += road.tracks(rng, share=1.0 / len(roads))
    near = float(rng.uniform(7.5, 10))
    for z in (near, near + float(rng.uniform(2, 8))):  # people who walk over the open ground
        ends = ((-1.1 * z, z), (1.1 * z, z + float(rng.uniform(-1.5, 4.0))))
        tracks.append(Track("person", *ends, per_hour=float(rng.uniform(80, 150))))
        tracks.append(Track("person", *ends[::-1], per_hour=float(rng.uniform(50, 110))))
    parking = tuple(roads[0].beside(rng) for _ in range(int(rng.integers(0, 3))))
    return tuple(tracks), parking


@dataclass(frozen=True, slots=True)
class _Road:
    """A straight road by the middle line's ends; `width_m` from kerb to kerb."""

    start_xz: tuple[float, float]
    end_xz: tuple[float, float]
    width_m: float

    @classmethod
    def across(cls, rng: np.random.Generator) -> _Road:
        z = float(rng.uniform(10, 16))
        turn = float(rng.uniform(-3.5, 3.5))
        return cls((-1.5 * z - 4, z - turn), (1.5 * z + 4, z + turn), float(rng.uniform(6, 8)))

    @classmethod
    def aslant(cls, rng: np.random.Generator) -> _Road:
        side = float(rng.choice([-1, 1]))
        far = (float(rng.uniform(-6, 6)) + 10 * side, float(rng.uniform(25, 31)))
        return cls((-side * float(rng.uniform(1, 6)), 5.0), far, float(rng.uniform(6, 8)))

    def aside(self, offset_m: float) -> tuple[tuple[float, float], tuple[float, float]]:
        """The parallel to the middle line, `offset_m` to its right."""
        along = np.subtract(self.end_xz, self.start_xz)
        normal = np.array([along[1], -along[0]]) / np.hypot(*along) * offset_m
        a, b = np.add(self.start_xz, normal), np.add(self.end_xz, normal)
        return (float(a[0]), max(float(a[1]), 4.5)), (float(b[0]), max(float(b[1]), 4.5))

    def beside(self, rng: np.random.Generator) -> tuple[float, float]:
        """A parking place at the kerb."""
        (ax, az), (bx, bz) = self.aside(float(rng.choice([-1, 1])) * (self.width_m / 2 + 1.2))
        at = rng.uniform(0.3, 0.7)
        return float(ax + at * (bx - ax)), float(az + at * (bz - az))

    def tracks(self, rng: np.random.Generator, *, share: float) -> list[Track]:
        lane, kerb, walk = self.width_m / 4, self.width_m / 2 - 0.7, self.width_m / 2 + 1.6
        cars, bikes, people = (share * float(rng.uniform(*r)) for r in _PER_HOUR)
        found = []
        for side in (-1, 1):
            for kind, offset, rate in (
                ("car", lane, cars),
                ("bicycle", kerb, bikes),
                ("person", walk, people),
            ):
                ends = self.aside(side * offset)
                found.append(Track(kind, *(ends if side > 0 else ends[::-1]), per_hour=rate))
        # people walk both ways on either side
        return found + [
            Track("person", t.end_xz, t.start_xz, t.per_hour * 0.7)
            for t in found
            if t.kind == "person"
        ]


_PER_HOUR = ((350, 650), (260, 480), (90, 200))
"""Cars, bicycles and people an hour and direction at the busiest time: least and most."""


def _place_clutter(rng: np.random.Generator) -> tuple[Clutter, ...]:
    """Poles, bins, bushes, signs and posts: some hide people, some look like them."""
    kinds = ("pole", "bin", "bush", "sign", "post", "tree")
    heights = {"pole": 5.0, "bin": 1.1, "bush": 1.3, "sign": 2.3, "post": 1.6, "tree": 4.5}
    things = []
    for _ in range(int(rng.integers(5, 11))):
        kind = str(rng.choice(kinds))
        z = float(rng.uniform(8, 28))
        colour = tuple(int(v) for v in rng.integers(25, 190, 3))
        if kind in ("bush", "tree"):
            colour = (
                int(rng.integers(25, 70)),
                int(rng.integers(60, 120)),
                int(rng.integers(20, 60)),
            )
        things.append(
            Clutter(
                kind,
                x_m=float(rng.uniform(-0.48, 0.48)) * z,
                z_m=z,
                height_m=heights[kind] * float(rng.uniform(0.8, 1.2)),
                colour=colour,  # type: ignore[arg-type]
            )
        )
    return tuple(sorted(things, key=lambda c: -c.z_m))


def _paint_background(scene: Scene) -> NDArray[np.float32]:
    rng = np.random.default_rng([scene.seed, 102])
    height, width = scene.height_px, scene.width_px
    canvas = np.zeros((height, width, 3), np.float32)
    horizon = round(scene.horizon_px)
    sky = np.array([rng.uniform(150, 200), rng.uniform(175, 215), rng.uniform(205, 245)])
    canvas[:horizon] = sky * np.linspace(0.9, 1.08, max(horizon, 1))[:, None, None]
    ground = np.array([rng.uniform(95, 165)] * 3) + rng.uniform(-18, 18, 3)
    canvas[horizon:] = ground
    _paint_buildings(canvas, scene, rng)
    for track in scene.tracks:
        if track.kind != "person":
            _paint_lane(canvas, scene, track, 58.0 if track.kind == "car" else 74.0)
    _paint_walk_slabs(canvas, scene, rng)
    canvas *= texture(rng, height, width)[..., None]
    return np.clip(canvas * np.array(scene.tint, np.float32), 0, 255).astype(np.float32)


def _paint_buildings(canvas: NDArray[np.float32], scene: Scene, rng: np.random.Generator) -> None:
    width, base = scene.width_px, int(scene.horizon_px + rng.uniform(2, 9) * scene.height_px / 192)
    x = -int(rng.integers(0, 30))
    while x < width:
        w = int(rng.uniform(0.12, 0.35) * width)
        top = int(base - rng.uniform(0.5, 1.6) * scene.horizon_px)
        wall = np.array(rng.uniform(70, 205, 3) * 0.6 + rng.uniform(70, 205) * 0.4)
        cv2.rectangle(canvas, (x, top), (x + w, base), wall.tolist(), -1)
        step = max(4, int(w / rng.integers(4, 9)))
        glass = (wall * rng.uniform(0.35, 0.7)).tolist()
        for wx in range(x + step // 3, x + w - step // 3, step):
            for wy in range(top + step // 3, base - step // 3, step):
                cv2.rectangle(canvas, (wx, wy), (wx + step // 2, wy + step // 2), glass, -1)
        x += w


def _paint_lane(canvas: NDArray[np.float32], scene: Scene, track: Track, grey: float) -> None:
    """A strip of asphalt 3.6 m wide along the track, with a dashed edge."""
    a, b = np.array(track.start_xz), np.array(track.end_xz)
    normal = np.array([(b - a)[1], -(b - a)[0]]) / track.length_m
    half = 1.9 if track.kind == "car" else 0.9
    steps = np.linspace(0, 1, 40)[:, None]
    sides = [a + steps * (b - a) + s * half * normal for s in (-1, 1)]
    outline = np.concatenate([sides[0], sides[1][::-1]])
    outline = outline[outline[:, 1] > 2.0]
    points = np.array([[scene.column(x, z), scene.row(z)] for x, z in outline])
    cv2.fillPoly(canvas, [np.round(points * 16).astype(np.int32)], [grey] * 3, cv2.LINE_AA, 4)
    edge = sides[0][sides[0][:, 1] > 2.0]
    for p, q in zip(edge[:-1:2], edge[1::2], strict=False):
        ends = [(round(scene.column(*e)), round(scene.row(e[1]))) for e in (p, q)]
        cv2.line(canvas, ends[0], ends[1], [grey + 95] * 3, 1, cv2.LINE_AA)


def _paint_walk_slabs(canvas: NDArray[np.float32], scene: Scene, rng: np.random.Generator) -> None:
    """Patches on the ground: man-holes, repairs, stains; flat, so never an object."""
    for _ in range(int(rng.integers(6, 18))):
        z = float(rng.uniform(6, 30))
        x, y = scene.column(float(rng.uniform(-0.45, 0.45)) * z, z), scene.row(z)
        size = scene.px_per_m(z) * float(rng.uniform(0.3, 1.4))
        shade = float(rng.uniform(40, 170))
        axes = (max(1, int(size)), max(1, int(size * scene.camera_m / z)))
        cv2.ellipse(canvas, (int(x), int(y)), axes, 0, 0, 360, [shade] * 3, -1, cv2.LINE_AA)


def _lamp_pools(scene: Scene) -> NDArray[np.float32]:
    ys, xs = np.mgrid[0 : scene.height_px, 0 : scene.width_px].astype(np.float32)
    light = np.zeros_like(xs)
    for x_m, z_m in scene.lamps:
        cx, cy, scale = scene.column(x_m, z_m), scene.row(z_m), scene.px_per_m(z_m)
        rx, ry = 5.5 * scale, max(5.5 * scale * scene.camera_m / z_m, 0.06 * scene.height_px)
        light += np.exp(-(((xs - cx) / rx) ** 2) - ((ys - cy) / ry) ** 2)
    return np.asarray(np.minimum(light, 1.2), np.float32)
