"""Cull: what is trained on, of the frames that the teacher has labelled.

Most strategies keep them all. With the paper's second step student and teacher are compared on each
of them, and those stay on which they differ most (Dataset Culling, sec. 2.1).
"""

from __future__ import annotations

import numpy as np

from culling_pipeline.culling.candidates import Candidates
from culling_pipeline.culling.strategies import RANDOM
from culling_pipeline.night.at_work import Night, frames_of
from culling_pipeline.records import CullRecord, Disagreement, IngestRecord, LabelRecord


def cull(night: Night, day: IngestRecord, label: LabelRecord) -> CullRecord:
    """The kept set, and how student and teacher differ on each frame the student has looked at."""
    plan, task = night.plan, night.task
    asked = label.asked or day.survivors
    answers, truths = task.load(night.answers), task.load(night.truths)
    disagreements = tuple(
        task.disagreement(i, answers[i], truths[i]) for i in asked if i in answers
    )
    kept = asked[: plan.budget.own.keep]
    if plan.strategy.uses_teacher and asked == day.survivors:
        kept = _kept_by_precision(night, day, disagreements)
    return CullRecord(
        strategy=plan.strategy_name if asked == day.survivors else RANDOM,
        kept=kept,
        survivors=disagreements,
        teacher_calls=len(asked),
    )


def _kept_by_precision(
    night: Night, day: IngestRecord, disagreements: tuple[Disagreement, ...]
) -> tuple[int, ...]:
    plan = night.plan
    candidates = Candidates.from_frames(frames_of(day, day.survivors), n_parts=plan.ingest.parts)
    rng = np.random.default_rng([plan.ingest.seed, 41])
    return plan.strategy.kept_set(candidates, disagreements, plan.budget.own.keep, rng)
