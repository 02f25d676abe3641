"""Detections by frame id in one `.npz`, and a frame's as keys of a daybook's line."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from models.boxes.detections import Detections


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


def as_json(found: Detections) -> dict[str, Any]:
    """Detections as plain values."""
    return {
        "boxes": found.boxes_xyxy.tolist(),
        "scores": found.scores.tolist(),
        "labels": found.labels.tolist(),
    }


def from_json(line: Mapping[str, Any]) -> Detections:
    """What `as_json` wrote into a line; none where the line notes none."""
    if "boxes" not in line:
        return Detections.empty()
    return Detections(
        np.array(line["boxes"], np.float32).reshape(-1, 4),
        np.array(line["scores"], np.float32),
        np.array(line["labels"], np.int64),
    )
