"""Days of synthetic streets for benchmarks/drift.py: what the student says, and grey pictures.

    python -m benchmarks.drift_days

Usual days, and days after something has changed: twice the traffic, another mix of road users, the
short days of winter. 96 moments a day, rendered, through JPEG as in a night, scored by the built-in
student. Kept in build/drift-days, for it takes minutes.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.fleet import HEIGHT_PX, STUDENT, WIDTH_PX
from culling_pipeline.day.frame_files import JPEG_QUALITY
from culling_pipeline.tasks.boxes.answer_files import load_detections, save_detections
from models.boxes.detections import Detections
from models.boxes.student import load_detector
from streams.synthetic.street.render import StreetRenderer
from streams.synthetic.street.scene import Scene, make_scene

CACHE = Path("build/drift-days")
STREETS = (21, 22, 31, 32)
FRAMES = 96
PARTS = 12
USUAL_DAYS = 18
CHANGED_DAYS = 5
FIRST_CHANGED = 40
"""Day number of the first changed day."""


@dataclass(frozen=True)
class SeenDay:
    """A day of one street: detections of each moment, N×H×W uint8 grey pictures, and the part of
    the day each fell into."""

    found: list[Detections]
    grey: NDArray[np.uint8]
    parts: NDArray[np.int64]


def usual(scene: Scene) -> Scene:
    """The street as it is."""
    return scene


def doubled(scene: Scene) -> Scene:
    """Twice the traffic of every kind."""
    return replace(scene, tracks=tuple(replace(t, per_hour=2 * t.per_hour) for t in scene.tracks))


def mixed(scene: Scene) -> Scene:
    """Cars give way: 40 % of the cars, three times the bicycles, people as before."""
    share = {"car": 0.4, "bicycle": 3.0, "person": 1.0}
    tracks = tuple(replace(t, per_hour=share[t.kind] * t.per_hour) for t in scene.tracks)
    return replace(scene, tracks=tracks)


def winter(scene: Scene) -> Scene:
    """Sunrise an hour and a half later, sunset two hours earlier."""
    return replace(scene, sunrise_h=scene.sunrise_h + 1.5, sunset_h=scene.sunset_h - 2.0)


KINDS = {"usual": usual, "doubled": doubled, "mixed": mixed, "winter": winter}


def day_numbers(kind: str) -> range:
    """Which days of a street there are of this kind."""
    if kind == "usual":
        return range(USUAL_DAYS)
    return range(FIRST_CHANGED, FIRST_CHANGED + CHANGED_DAYS)


def moments(seed: int, day: int) -> NDArray[np.float64]:
    """One moment in each of `FRAMES` equal stretches of the day, seconds since day 0."""
    rng = np.random.default_rng([seed, 71, day])
    return day * 86_400 + (np.arange(FRAMES) + rng.random(FRAMES)) * 86_400 / FRAMES


def seen_day(seed: int, kind: str, day: int) -> SeenDay:
    """One day, rendered and scored if it is not kept yet."""
    name = CACHE / f"street-{seed}-{kind}-{day}"
    pictures, found = Path(f"{name}.npy"), Path(f"{name}.npz")
    if not found.exists():
        _render(seed, kind, day, pictures, found)
    stored = load_detections(found)
    parts = np.arange(FRAMES) * PARTS // FRAMES
    return SeenDay([stored[i] for i in range(FRAMES)], np.load(pictures, mmap_mode="r"), parts)


def _render(seed: int, kind: str, day: int, pictures: Path, found: Path) -> None:
    CACHE.mkdir(parents=True, exist_ok=True)
    detector = load_detector(STUDENT)
    grey, seen = [], {}
    for index, image in enumerate(_images(seed, kind, day)):
        seen[index] = detector.predict([image])[0]
        grey.append(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))
    aside = pictures.with_suffix(".tmp.npy")
    np.save(aside, np.stack(grey))
    os.replace(aside, pictures)
    save_detections(found, seen)


def _images(seed: int, kind: str, day: int) -> Iterator[NDArray[np.uint8]]:
    renderer = StreetRenderer(KINDS[kind](make_scene(seed, width_px=WIDTH_PX, height_px=HEIGHT_PX)))
    for time_s in moments(seed, day):
        bgr = renderer.render(float(time_s))[0][..., ::-1]
        _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        yield np.ascontiguousarray(cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1])


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    torch.set_num_threads(1)
    order = [(d, kind, s) for kind in KINDS for d in day_numbers(kind) for s in STREETS]
    for number, (day, kind, seed) in enumerate(order, start=1):
        seen_day(seed, kind, day)
        print(f"{number} of {len(order)}: street {seed}, {kind} day {day}", flush=True)


if __name__ == "__main__":
    main()
