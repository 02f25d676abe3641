"""What the teacher finds in a few of the camera's own frames, so that its owner sees at once
whether teacher and classes fit."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from culling_pipeline.run.progress import Advance
from culling_pipeline.tasks.boxes.drawing import painted
from jobs.cameras.detectors import configured_detector
from jobs.cameras.sources import open_camera
from jobs.config.settings import CameraConfig
from jobs.config.weights import SYNTHETIC_TEACHER, SYNTHETIC_WORLD
from jobs.setup.snapshots import write_snapshot
from models.boxes.classes import ClassMap
from models.boxes.detections import Detections
from streams.live.source import LiveSource
from streams.sampler import Sampler

FRAMES = 3
APART_S, LIVE_APART_S = 10.0, 1.0
"""Time between two of a recording's frames, and of a live camera's."""
PATIENCE_S = 20.0
"""So long it waits for them."""

Image = NDArray[np.uint8]


def teachers_look(
    data_dir: Path, camera: CameraConfig, *, device: str, advance: Advance | None = None
) -> str:
    """Ask the teacher about a few frames; what it found, in words. The frame with the most boxes is
    written as a picture with them. A large teacher takes its time: `advance` is told of each of
    `FRAMES` frames."""
    advance = advance or _untold
    images = _few(camera)
    advance(FRAMES - len(images))
    if not images:
        return "its source gives no frame to ask it about"
    detector, classes = configured_detector(camera.teacher, device=device)(), camera.classes
    names = ClassMap.from_config(classes)
    found: list[Detections] = []
    for image in images:
        (answer,) = detector.predict([image])
        seen = names.translate(answer, detector.class_names)
        found.append(seen.above(camera.teacher.min_score))
        advance(1)
    fullest = max(range(len(found)), key=lambda index: len(found[index]))
    picture = painted(images[fullest], found[fullest], names.names)
    path = write_snapshot(data_dir, f"{camera.name}-teacher", picture)
    return f"{_counted(found, names.names)}; its boxes are in {path}"


def _untold(done: int) -> None:
    """Nobody watches."""


def _counted(found: Sequence[Detections], names: Sequence[str]) -> str:
    counts = np.bincount(np.concatenate([d.labels for d in found]), minlength=len(names))
    frames = f"{len(found)} frames" if len(found) > 1 else "1 frame"
    if not counts.any():
        return f"it finds nothing in {frames}: look whether there is anything to find"
    said = ", ".join(f"{count or 'no'} {name}" for count, name in zip(counts, names, strict=True))
    return f"in {frames} it finds {said}"


def _few(camera: CameraConfig) -> list[Image]:
    """A few frames, with the camera's mask blackened; a live camera may fall silent meanwhile."""
    with open_camera(camera, live=camera.live.to_options(must_answer=True)) as source:
        inner = getattr(source, "source", source)
        apart_s = LIVE_APART_S if isinstance(inner, LiveSource) else APART_S
        limit = threading.Timer(PATIENCE_S, source.close)
        limit.start()
        try:
            return [frame.image for frame in islice(source.frames(Sampler(apart_s)), FRAMES)]
        finally:
            limit.cancel()


def unfit_for(camera: CameraConfig) -> str | None:
    """Why the teacher is none for this camera's footage: it has seen drawn streets only."""
    if camera.teacher.weights != SYNTHETIC_TEACHER or camera.source.startswith(SYNTHETIC_WORLD):
        return None
    return (
        f"WARNING: {SYNTHETIC_TEACHER} has only ever seen drawn streets and would label real "
        "footage wrongly: name a teacher that knows the world, such as teacher: {weights: "
        "pretrained:r101-mmdet-3x}"
    )
