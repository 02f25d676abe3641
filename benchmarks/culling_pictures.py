"""The two pictures of docs/guide/what-is-kept.md: when kept frames were taken, what they show.

    python -m benchmarks.culling_pictures

Draws docs/pictures/kept-times.svg and kept-frames.jpg from the culling benchmark's cache.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
import torch
from markupsafe import Markup
from numpy.typing import NDArray

from benchmarks.culling import TRAIN_FRAMES, choose
from benchmarks.fleet import CACHE, FLEET, Camera, Day, images, seen_day
from culling_pipeline import svg
from jobs.config.weights import StudentSettings
from models.boxes.detections import match

CAMERA = "street-21"
KEEP = 64
MIN_SCORE = StudentSettings().min_score
ROWS = ("strata", "coverage", "random", "paper")
FOLDER = Path(__file__).parents[1] / "docs" / "pictures"
STYLE = """
svg { font: 11px sans-serif; background: #fff; fill: #333 }
.grid { stroke: #e4e4e4 } .axis { stroke: #888 } .unit { fill: #666 }
.frame { fill: #b8c4d0 } .kept { stroke: #c2410c; stroke-width: 1.2 } .band { fill: #f3f4f6 }
"""
FOUND, MISSED, INVENTED = (60, 200, 90), (255, 70, 50), (90, 140, 255)


def kept_times(day: Day) -> Markup:
    """L_conf of every third frame and, below it, when each strategy took its frames."""
    hours, losses = day.times_s / 3600, day.losses
    panel = svg.Panel(44, 30, svg.WIDTH - 64, 120, x=(0, 24), y=(0, float(losses.max())))
    parts = [Markup("<style>{}</style>").format(Markup(STYLE))]
    parts.append(panel.rows(lambda v: f"{v:.0f}", unit="confidence loss of the day's frames"))
    for hour, loss in zip(hours[::3], losses[::3], strict=True):
        parts.append(svg.dot(panel.at(float(hour), float(loss)), "frame", radius=1.1))
    top = panel.bottom + 16
    for name in ROWS:
        parts.append(svg.text(panel.left, top + 10, f"kept by {name}", class_="unit"))
        parts.append(svg.rect((panel.left, top + 15), (panel.width, 18), "band"))
        for row in choose(day, name, KEEP, 0).kept:
            x = panel.at(float(hours[row]), 0)[0]
            parts.append(svg.line((x, top + 15), (x, top + 33), "kept"))
        top += 40
    axis = svg.Panel(panel.left, top - 8, panel.width, 0, x=(0, 24), y=(0, 1))
    parts.append(axis.columns([(h, f"{h:02d}:00") for h in range(0, 25, 4)], unit="time of day"))
    label = "When the frames were taken that each strategy keeps, under the day's confidence loss"
    drawing = svg.chart(label, top + 40, parts)
    return Markup(str(drawing).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1))


def kept_frames(camera: Camera, day: Day, *, columns: int = 6) -> NDArray[np.uint8]:
    """A row of random frames above two rows of kept ones, with what the student got wrong."""
    rng = np.random.default_rng(3)
    random, kept = (choose(day, n, KEEP, 0).kept for n in ("random", "strata"))
    picks = [
        *sorted(rng.permutation(random)[:columns].tolist()),
        *sorted(rng.permutation(kept)[: 2 * columns].tolist()),
    ]
    pictures = images(camera, day.times_s[np.array(picks)])
    tiles = [_marked(day, row, p) for row, p in zip(picks, pictures, strict=True)]
    lines = [np.hstack(tiles[i : i + columns]) for i in range(0, len(tiles), columns)]
    gap = np.full((14, lines[0].shape[1], 3), 255, np.uint8)
    return np.vstack([lines[0], gap, *lines[1:]])


def _marked(day: Day, row: int, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The teacher's boxes, green where the student found them and red where it missed them, and
    in blue what the student invented."""
    image = picture.copy()
    student, teacher = day.student[row].above(MIN_SCORE), day.teacher[row]
    taken = match(student, teacher)
    for index, box in enumerate(teacher.boxes_xyxy):
        _box(image, box, FOUND if index in taken else MISSED)
    for box in student.boxes_xyxy[taken < 0]:
        _box(image, box, INVENTED)
    image = cv2.resize(image, None, fx=0.75, fy=0.75, interpolation=cv2.INTER_AREA)
    clock = f"{int(day.times_s[row] // 3600):02d}:{int(day.times_s[row] // 60 % 60):02d}"
    cv2.putText(image, clock, (5, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (255, 255, 255), 1)
    return np.asarray(image, np.uint8)


def _box(image: NDArray[np.uint8], box: NDArray[np.float32], colour: tuple[int, ...]) -> None:
    x1, y1, x2, y2 = (round(float(v)) for v in box)
    cv2.rectangle(image, (x1, y1), (x2, y2), colour, 1)


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    torch.set_num_threads(1)
    camera = next(c for c in FLEET if c.name == CAMERA)
    day = seen_day(camera, day=0, count=TRAIN_FRAMES, cache=CACHE)
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "kept-times.svg").write_text(kept_times(day) + "\n")
    sheet = kept_frames(camera, day)
    cv2.imwrite(str(FOLDER / "kept-frames.jpg"), sheet[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])


if __name__ == "__main__":
    main()
