"""The teacher's labels of a night, and the file they are kept in."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from culling_pipeline.day.frame_files import load_images
from culling_pipeline.records import StoredFrame
from culling_pipeline.run.progress import Advance
from culling_pipeline.run.workers import PooledDetector, batched_images
from culling_pipeline.tasks.boxes.disagreement import clean_labels
from models.boxes.classes import ClassMap
from models.boxes.detections import Detections

BATCH = 4


def detect(
    pool: PooledDetector, frames: Sequence[StoredFrame], folder: Path, advance: Advance
) -> dict[int, Detections]:
    """What the pool's detector says of each stored frame, by frame id."""
    found: list[Detections] = []
    for batch in pool.predict(batched_images(load_images(folder, frames), BATCH)):
        found += batch
        advance(len(batch))
    return {frame.id: d for frame, d in zip(frames, found, strict=True)}


def as_labels(
    found: Mapping[int, Detections],
    classes: ClassMap,
    teacher_names: Sequence[str],
    *,
    height_px: int,
    width_px: int,
    min_score: float,
    min_side: float,
) -> dict[int, Detections]:
    """The teacher's detections in the camera's classes, without those too unsure or too small to
    learn from (design: teacher labels)."""
    return {
        i: clean_labels(
            classes.translate(detections, teacher_names),
            height_px=height_px,
            width_px=width_px,
            min_score=min_score,
            min_side=min_side,
        )
        for i, detections in found.items()
    }


def save_detections(path: Path, found: Mapping[int, Detections]) -> None:
    """Write detections by frame id to one .npz, complete or not at all."""
    ids = sorted(found)
    parts = [found[i] for i in ids]
    aside = path.with_suffix(".tmp")
    with aside.open("wb") as file:
        np.savez(
            file,
            ids=np.array(ids, np.int64),
            counts=np.array([len(p) for p in parts], np.int64),
            boxes=_joined([p.boxes_xyxy for p in parts], (0, 4), np.float32),
            scores=_joined([p.scores for p in parts], (0,), np.float32),
            labels=_joined([p.labels for p in parts], (0,), np.int64),
        )
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)


def load_detections(path: Path) -> dict[int, Detections]:
    """Read what `save_detections` wrote."""
    with np.load(path, allow_pickle=False) as stored:
        ends = np.cumsum(stored["counts"])
        cuts = ends[:-1]
        columns = [np.split(stored[name], cuts) for name in ("boxes", "scores", "labels")]
        ids = stored["ids"].tolist()
    if not ids:
        return {}
    return {i: Detections(b, s, n) for i, b, s, n in zip(ids, *columns, strict=True)}


def _joined(arrays: Iterable[np.ndarray], empty: tuple[int, ...], dtype: type) -> np.ndarray:
    listed = list(arrays)
    return np.concatenate(listed) if listed else np.zeros(empty, dtype)
