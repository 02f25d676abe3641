"""The teacher's labels of a night."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from culling_pipeline.day.frame_files import load_images
from culling_pipeline.records.day import StoredFrame
from culling_pipeline.run.progress import Advance
from culling_pipeline.run.workers import PooledModel, batched_images
from culling_pipeline.tasks.answers import Answer, TeacherAnswer, Truth
from culling_pipeline.tasks.base import Task

BATCH = 4


def answers_of(
    pool: PooledModel, frames: Sequence[StoredFrame], folder: Path, advance: Advance
) -> dict[int, Answer]:
    """The answers of the pool's model to the stored frames, by frame id."""
    found: list[Answer] = []
    for batch in pool.predict(batched_images(load_images(folder, frames), BATCH)):
        found += batch
        advance(len(batch))
    return {frame.id: answer for frame, answer in zip(frames, found, strict=True)}


def truths_of(
    said: Mapping[int, TeacherAnswer],
    task: Task,
    teacher_names: Sequence[str],
    *,
    height_px: int,
    width_px: int,
) -> dict[int, Truth]:
    """The truth of each frame from the teacher's answer (`Task.truth`), by frame id."""
    return {
        i: task.truth(answer, teacher_names, height_px=height_px, width_px=width_px)
        for i, answer in said.items()
    }
