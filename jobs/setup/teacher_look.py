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
from culling_pipeline.tasks.answers import Truth
from culling_pipeline.tasks.base import Task
from jobs.cameras.nets import nets_of
from jobs.cameras.sources import open_camera
from jobs.cameras.task import task_of
from jobs.config.settings import CameraConfig
from jobs.config.weights import BUILT_IN, SYNTHETIC_TEACHER, SYNTHETIC_WORLD
from jobs.setup.snapshots import write_snapshot
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
    """Ask the teacher about a few frames; what it found, in words. The frame with the most objects
    is written as a picture with them. A large teacher takes its time: `advance` is told of each of
    `FRAMES` frames."""
    advance = advance or _untold
    images = _few(camera)
    advance(FRAMES - len(images))
    if not images:
        return "its source gives no frame to ask it about"
    height_px, width_px = images[0].shape[:2]
    nets = nets_of(camera)
    opener = nets.open_teacher((height_px, width_px), device=device)
    task, truths = task_of(camera), list[Truth]()
    teacher = task.teacher_opener(opener)()
    for image in images:
        (said,) = teacher.predict([image])
        truth = task.truth(said, teacher.class_names, height_px=height_px, width_px=width_px)
        truths.append(truth)
        advance(1)
    fullest = max(range(len(truths)), key=lambda index: task.objects(truths[index]))
    picture = task.painted(images[fullest], truths[fullest], task.class_names)
    path = write_snapshot(data_dir, f"{camera.name}-teacher", picture)
    return f"{_counted(task, truths)}; its {nets.drawn} are in {path}"


def _untold(done: int) -> None:
    """Nobody watches."""


def _counted(task: Task, truths: Sequence[Truth]) -> str:
    counts = sum(np.array(task.counts(truth)) for truth in truths)
    frames = f"{len(truths)} frames" if len(truths) > 1 else "1 frame"
    if not np.any(counts):
        return f"it finds nothing in {frames}: look whether there is anything to find"
    pairs = zip(np.atleast_1d(counts).tolist(), task.class_names, strict=True)
    said = ", ".join(f"{count or 'no'} {name}" for count, name in pairs)
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
    weights = nets_of(camera).teacher_weights
    if not weights.startswith(BUILT_IN) or camera.source.startswith(SYNTHETIC_WORLD):
        return None
    seen = "streets" if weights == SYNTHETIC_TEACHER else "squares"
    return (
        f"WARNING: {weights} has only ever seen drawn {seen} and would label real "
        "footage wrongly: name a teacher that knows the world, such as teacher: {weights: "
        "pretrained:r101-mmdet-3x}"
    )
