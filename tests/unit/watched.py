"""Watched days without pictures: a daybook as `culling ingest` writes it, for tests of what reads
one."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from culling_pipeline.day.daybook import DAYBOOK, DayClock, as_line
from culling_pipeline.day.loss_series import Seen
from culling_pipeline.tasks.boxes.answer_files import as_json
from models.boxes.detections import Detections


def write_day(
    folder: Path, day: date, *, people: int, hours: float = 24, loss: float = 1.0
) -> None:
    """A frame a minute from midnight on, each with so many people and this L_conf."""
    clock = DayClock.on(day)
    boxes = np.array([[8.0 * n, 4.0, 8.0 * n + 6, 20.0] for n in range(people)], np.float32)
    scores, labels = np.full(people, 0.9, np.float32), np.zeros(people, np.int64)
    found = Detections(boxes.reshape(-1, 4), scores, labels)
    lines = []
    for minute in range(int(60 * hours)):
        moment = clock.midnight + timedelta(minutes=minute)
        seen = Seen(
            time_s=60.0 * minute, wall_time=moment, shape=(48, 64), loss=loss, scored=True,
            model="start",
        )  # fmt: skip
        lines.append(json.dumps({**as_line(seen, as_json(found)), "s": 0.01}) + "\n")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / DAYBOOK).write_text("".join(lines))
