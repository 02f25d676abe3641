"""Cull: student against teacher on the survivors (Dataset Culling, sec. 2.1)."""

from __future__ import annotations

import numpy as np

from culling_pipeline.culling.candidates import Candidates
from culling_pipeline.night.at_work import Night, frames_of
from culling_pipeline.records import CullRecord, IngestRecord


def cull(night: Night, day: IngestRecord) -> CullRecord:
    """The kept set, chosen by the strategy from the differences between student and teacher."""
    plan, task = night.plan, night.task
    answers, truths = task.load(night.answers), task.load(night.truths)
    disagreements = [task.disagreement(i, answers[i], truths[i]) for i in day.survivors]
    candidates = Candidates.from_frames(frames_of(day, day.survivors), n_parts=plan.ingest.parts)
    rng = np.random.default_rng([plan.ingest.seed, 41])
    return CullRecord(
        strategy=plan.strategy_name,
        kept=plan.strategy.kept_set(candidates, disagreements, plan.keep, rng),
        survivors=tuple(disagreements),
        teacher_calls=len(day.survivors),
    )
