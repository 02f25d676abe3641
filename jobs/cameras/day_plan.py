"""Turns a camera's settings into the plan of what is taken from its day; needs no detector."""

from __future__ import annotations

from culling_pipeline.day.day import IngestPlan
from culling_pipeline.records.costs import BudgetRecord
from jobs.cameras.task import task_of
from jobs.config.settings import CameraDefaults


def ingest_plan(camera: CameraDefaults, budget: BudgetRecord | None = None) -> IngestPlan:
    """What is taken from a day of this camera; while it is watched no night's budget is known."""
    culling = camera.culling
    survivors = random = held = culling.held
    if budget is not None:
        survivors, random = budget.own.labels, (budget.lottery or budget.own).labels
        if not budget.looks_free:  # a watched day holds what it holds
            held = max(held, survivors, random)
    return IngestPlan(
        interval_s=1 / camera.fps,
        survivors=survivors,
        random=random,
        held=held,
        parts=culling.parts,
        control=culling.control.to_plan(),
        task=task_of(camera),
        gate=culling.gate.to_plan(),
        seed=camera.training.seed,
        looks=None if budget is None else budget.looks,
    )
