"""Resolution: the smallest image size that is still good enough on the kept set (Dataset Culling,
sec. 2.2)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cache

import numpy as np

from culling_pipeline.culling.resolution import Search, opt_resolution
from culling_pipeline.day.frame_files import load_images
from culling_pipeline.night.at_work import Night, Spent
from culling_pipeline.records.costs import Cost
from culling_pipeline.records.day import IngestRecord, StoredFrame
from culling_pipeline.records.labels import CullRecord
from culling_pipeline.records.training import ResolutionRecord
from culling_pipeline.run.workers import batched_images
from culling_pipeline.stage_names import RESOLUTION
from models.base import Model, backend_of, device_of
from models.images import scaled

BATCH = 8


def find_resolution(night: Night, day: IngestRecord, cull: CullRecord) -> ResolutionRecord:
    """The scale that the size of the objects allows and, where a threshold is set, L_conf."""
    plan, costs = night.plan, tuple[Cost, ...]()
    search, allowed = Search(1.0, (), 0), None
    if plan.find_resolution:
        truths = night.task.load(night.truths)
        allowed = night.task.smallest_scale(
            [truths[i] for i in cull.kept], shrink=plan.full_size[0] / day.height_px
        )
        search, costs = _search(night, day.frames_of(cull.kept), max(plan.min_scale, allowed))
    return ResolutionRecord(
        scale=search.scale,
        height_px=plan.full_size[0],
        width_px=plan.full_size[1],
        threshold=plan.resolution_threshold,
        points=search.points,
        student_passes=search.student_passes,
        costs=costs,
        objects_allow=allowed,
    )


def _search(
    night: Night, frames: Sequence[StoredFrame], min_scale: float
) -> tuple[Search, tuple[Cost, ...]]:
    """The scale that L_conf allows, and the cost of measuring it; None if it is not used."""
    plan, began = night.plan, time.perf_counter()

    @cache
    def student_at(scale: float) -> Model:
        """One size at a time: the sizes share their weights."""
        size = scaled(*plan.full_size, scale)
        return night.task.student_opener(night.incumbent, device=plan.device, size=size)()

    with night.parts.progress.stage(RESOLUTION.words, None) as advance:

        def losses_at(scale: float, positions: Sequence[int]) -> np.ndarray:
            images = load_images(night.parts.frames, [frames[p] for p in positions])
            batches = batched_images(images, BATCH)
            found = [a for batch in batches for a in student_at(scale).predict(batch)]
            advance(len(found))
            return np.array([night.task.unsureness(answer) for answer in found])

        search = opt_resolution(
            losses_at, len(frames), threshold=plan.resolution_threshold, min_scale=min_scale
        )
    if not search.student_passes:
        return search, ()
    student, seconds = student_at(1.0), time.perf_counter() - began
    spent = Spent(search.student_passes, seconds, device_of(student), backend_of(student))
    return search, (spent.cost(RESOLUTION.words, "look", "own"),)
