"""Start: the student this night begins with, and whether its teacher can teach it."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

from culling_pipeline.culling.strategies import Uniform
from culling_pipeline.night.inputs import NightParts, NightPlan
from culling_pipeline.records.day import StartRecord
from culling_pipeline.stage_names import LABEL, START
from models.errors import ModelError

logger = logging.getLogger(__name__)


def check_teacher(plan: NightPlan, parts: NightParts) -> None:
    """Open the teacher once before the day is watched. It is used only when the day is over, too
    late to find that its weights are damaged or that it does not know a class."""
    if parts.journal.load(LABEL.key) is not None:
        return
    names = parts.open_teacher().class_names
    try:
        plan.task.check_teacher(names)
    except ModelError as error:
        message = f"camera {plan.camera!r}: teacher {plan.teacher_weights}: {error}"
        raise ModelError(message) from error


def start(plan: NightPlan, parts: NightParts) -> Path:
    """The folder of the version this night begins with. A resumed night must not continue from
    another one: it may have promoted its own candidate in between."""
    stored = parts.journal.load(START.key)
    if stored is not None:
        version = StartRecord.model_validate(stored).incumbent
        parts.registry.bring(plan.camera, version)
    else:
        version = parts.start()
        parts.journal.save(START.key, StartRecord(incumbent=version).model_dump())
    return parts.registry.path(plan.camera, version)


def for_untrained(plan: NightPlan, untrained: str | None) -> NightPlan:
    """The plan as it is for a student that is `untrained` (why, in words): its L_conf means
    nothing, so frames are taken evenly in time, at full size. What a day keeps on disk stays the
    configured strategy's: a live camera's day was drawn by that."""
    if untrained is None:
        return plan
    note = (
        "Frames were taken evenly in time and at full size, because how unsure a student is says "
        f"nothing before it is trained: {untrained}."
    )
    logger.warning("camera %s: %s", plan.camera, note)
    return replace(
        plan,
        strategy_name="uniform",
        strategy=Uniform(at_most=plan.budget.own.keep),
        ingest=replace(plan.ingest, looks=_few(plan)),
        find_resolution=False,
        notes=(*plan.notes, note),
    )


def _few(plan: NightPlan) -> int | None:
    """Looks of a student whose unsureness means nothing: enough for the day's course."""
    looks = plan.ingest.looks
    return None if looks is None else min(looks, plan.ingest.control.frames)
