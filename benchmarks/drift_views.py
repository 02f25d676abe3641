"""The viewpoint part of benchmarks/drift.py: which days of synthetic streets are taken for a camera
that moved or was covered."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.book import Row
from benchmarks.drift_days import (
    FRAMES,
    KINDS,
    PARTS,
    STREETS,
    USUAL_DAYS,
    day_numbers,
    moments,
    seen_day,
)
from benchmarks.fleet import HEIGHT_PX, WIDTH_PX
from culling_pipeline.monitoring.background import Background, Picture, median, shrunk
from culling_pipeline.monitoring.viewpoint import REFERENCES, compare
from streams.synthetic.street.render import StreetRenderer
from streams.synthetic.street.scene import make_scene

LEFT, TOP, WIDE, HIGH = 6, 19, 256, 154
"""The camera's picture is a cut of the rendered one, so that there is something beside it."""
FIRST = date(2026, 1, 5)

Change = Callable[[Picture], Picture]
"""From a whole rendered picture to the camera's."""


def view(picture: Picture, x: int = 0, y: int = 0) -> Picture:
    """The camera's picture, turned by so many pixels to the right and down."""
    return picture[TOP + y : TOP + y + HIGH, LEFT + x : LEFT + x + WIDE]


def shifted(share: float, *, down: bool = False) -> Change:
    """Turned aside by this share of the width (or down, of the height)."""
    if down:
        return lambda p: view(p, y=round(share * HIGH))
    return lambda p: view(p, x=round(share * WIDE))


def turned(deg: float, zoom: float = 1.0) -> Change:
    """Turned about its middle, or zoomed."""
    matrix = cv2.getRotationMatrix2D((LEFT + WIDE / 2, TOP + HIGH / 2), deg, zoom)
    return lambda p: view(cv2.warpAffine(p, matrix, (p.shape[1], p.shape[0])))


def blurred(sigma_px: float) -> Change:
    """Out of focus."""
    return lambda p: view(cv2.GaussianBlur(p, (0, 0), sigma_px))


def noisy(level: float) -> Change:
    """One grey with sensor noise: black tape, or a bag."""
    rng = np.random.default_rng(3)
    plain = np.clip(level + rng.normal(0, 1.0, (HIGH, WIDE)), 0, 255).astype(np.uint8)
    return lambda p: plain


def half_hidden(share: float) -> Change:
    """A plain thing close before the lens, over this share of the picture from the left."""

    def change(picture: Picture) -> Picture:
        seen = view(picture).copy()
        seen[:, : round(share * WIDE)] = 60
        return seen

    return change


def web(threads: int, opacity: float) -> Change:
    """A spider's web: bright threads out of focus from one corner, with rings between them."""
    rng = np.random.default_rng(5)
    mask = np.zeros((HIGH, WIDE), np.float32)
    corner, ends = np.array([WIDE * 0.9, HIGH * 0.1]), []
    for angle in rng.uniform(1.6, 3.2, threads):
        ends.append(corner + 280 * np.array([np.cos(angle), np.sin(angle)]))
        cv2.line(mask, tuple(map(int, corner)), tuple(map(int, ends[-1])), 1.0, 2, cv2.LINE_AA)
    for ring in np.linspace(0.1, 0.9, threads):
        points = np.array([corner + ring * (e - corner) for e in sorted(ends, key=lambda e: e[0])])
        cv2.polylines(mask, [points.astype(np.int32)], False, 1.0, 2, cv2.LINE_AA)
    mask = np.minimum(cv2.GaussianBlur(mask, (0, 0), 1.5) * 2, 1.0) * opacity
    return lambda p: (view(p) * (1 - mask) + 210 * mask).astype(np.uint8)


def drops(count: int) -> Change:
    """Drops or dirt on the lens: discs in which the picture is blurred."""
    rng = np.random.default_rng(6)
    mask = np.zeros((HIGH, WIDE), np.float32)
    for _ in range(count):
        at = (int(rng.integers(WIDE)), int(rng.integers(HIGH)))
        cv2.circle(mask, at, int(rng.integers(8, 20)), 1.0, -1)
    mask = cv2.GaussianBlur(mask, (0, 0), 2)

    def change(picture: Picture) -> Picture:
        soft = view(cv2.GaussianBlur(picture, (0, 0), 6))
        return (view(picture) * (1 - mask) + soft * mask).astype(np.uint8)

    return change


def snow(depth: float) -> Change:
    """Snow on the ground, seen from a slope of light: the lower three quarters go to white."""
    rows = np.linspace(0, 1, HIGH)[:, None]
    cover = depth * np.clip((rows - 0.2) / 0.1, 0, 1)

    def change(picture: Picture) -> Picture:
        seen = view(picture).astype(np.float32)
        white = 0.4 * seen + 0.6 * min(235.0, float(seen.max()))
        return (seen * (1 - cover) + white * cover).astype(np.uint8)

    return change


def exposed(gain: float, gamma: float) -> Change:
    """Another exposure."""
    return lambda p: np.clip(255 * gain * (view(p) / 255.0) ** gamma, 0, 255).astype(np.uint8)


def as_ever(picture: Picture) -> Picture:
    """Nothing was done to it."""
    return view(picture)


NORMAL: dict[str, Change] = {
    "another day": as_ever,
    "exposure, brighter": exposed(1.5, 0.8),
    "exposure, darker": exposed(0.6, 1.2),
    "snow, thin": snow(0.5),
    "snow, deep": snow(0.9),
    "wind: 1 px": lambda p: view(p, x=1, y=1),
}
CHANGED: dict[str, Change] = {
    **{f"shift {100 * s:.0f} % of the width": shifted(s) for s in (0.02, 0.05, 0.1, 0.2)},
    "shift 5 % of the height": shifted(0.05, down=True),
    "shift 12 % of the height": shifted(0.12, down=True),
    **{f"turned {d:g}°": turned(d) for d in (2, 5, 10)},
    **{f"zoomed to {z:.0%}": turned(0, z) for z in (1.05, 1.1, 1.3)},
    "covered, black": noisy(4),
    "covered, white": noisy(215),
    "hidden, 30 %": half_hidden(0.3),
    "hidden, 60 %": half_hidden(0.6),
    **{f"out of focus, {s / WIDE:.1%} of the width": blurred(s) for s in (2, 4, 8)},
    "spider's web, faint": web(6, 0.3),
    "spider's web, dense": web(12, 0.7),
    "dirt: 10 spots": drops(10),
    "dirt: 40 spots": drops(40),
}


@cache
def medians(seed: int, kind: str, day: int) -> dict[int, Picture]:
    """The whole rendered background of each slot."""
    seen = seen_day(seed, kind, day)
    return {part: median(seen.grey[seen.parts == part]) for part in range(PARTS)}


@cache
def background(seed: int, kind: str, day: int, change: Change) -> Background:
    """A day's backgrounds, after a change."""
    slots = {s: shrunk(change(p)) for s, p in medians(seed, kind, day).items()}
    return Background(FIRST + timedelta(days=day), WIDE, slots)


def usual(seed: int, before: int) -> list[Background]:
    """The days before this one."""
    return [background(seed, "usual", d, as_ever) for d in range(before - REFERENCES, before)]


def lamps_out(seed: int, day: int) -> Background:
    """A day on which the street lamps stayed dark."""
    scene = replace(make_scene(seed, width_px=WIDTH_PX, height_px=HEIGHT_PX), lamps=())
    renderer = StreetRenderer(scene)
    grey: dict[int, list[Picture]] = {slot: [] for slot in range(PARTS)}
    for index, time_s in enumerate(moments(seed, day)):
        image = renderer.render(float(time_s))[0]
        grey[index * PARTS // FRAMES].append(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))
    slots = {s: shrunk(view(median(found))) for s, found in grey.items()}
    return Background(FIRST + timedelta(days=day), WIDE, slots)


def view_rows() -> Iterator[Row]:
    """A row for each thing that can happen to a day, with what was said of it."""
    days = range(REFERENCES, USUAL_DAYS)
    few = range(REFERENCES, USUAL_DAYS, 3)
    for name, change in NORMAL.items():
        which = _all(days if change is as_ever else few)
        yield _row(name, True, ((s, background(s, "usual", d, change), d) for s, d in which))
    for kind in KINDS:
        if kind != "usual":
            found = ((s, background(s, kind, d, as_ever), USUAL_DAYS) for s in STREETS
                     for d in day_numbers(kind))  # fmt: skip
            yield _row(f"traffic or season: {kind}", True, found)
    dark = ((s, lamps_out(s, d), d) for s in (22, 32) for d in (9, 15))
    yield _row("lamps out all night", True, dark)
    for name, change in CHANGED.items():
        found = ((s, background(s, "usual", d, change), d) for s, d in _all(few))
        yield _row(name, False, found)


def _all(days: range) -> Iterator[tuple[int, int]]:
    return ((seed, day) for seed in STREETS for day in days)


def _row(name: str, normal: bool, found: Iterator[tuple[int, Background, int]]) -> Row:
    days: Counter[str] = Counter()
    slots: Counter[str] = Counter()
    agreements, lost = [], []
    for seed, today, before in found:
        verdict = compare(usual(seed, before), today)
        days[verdict.state] += 1
        slots.update(s.state for s in verdict.slots)
        agreements += [s.agreement for s in verdict.slots]
        lost += [s.lost for s in verdict.slots]
    row: Row = {"what": name, "normal": normal, "days": sum(days.values())}
    row |= {state: days[state] for state in ("same", "moved", "covered", "unsure")}
    row |= {f"slots {state}": slots[state] for state in ("same", "moved", "covered", "unknown")}
    spread: NDArray[Any] = np.array(agreements)
    row["agreement, lowest"] = float(spread.min())
    row["agreement, median"] = float(np.median(spread))
    row["lost, highest"] = float(max(lost))
    print(row, flush=True)
    return row


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    list(view_rows())


if __name__ == "__main__":
    main()
