"""Cull: what is trained on, of the frames that the teacher has labelled.

Most strategies keep them all. With the paper's second step student and teacher are compared on each
of them, and those stay on which they differ most (Dataset Culling, sec. 2.1).

Frames that were drawn at random have mostly not been looked at. The student answers those of them
that the report shows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from culling_pipeline.culling.candidates import Candidates
from culling_pipeline.culling.strategies import RANDOM
from culling_pipeline.labels.teacher_labels import answers_of
from culling_pipeline.night.at_work import Night, Spent
from culling_pipeline.records.costs import Cost
from culling_pipeline.records.day import IngestRecord, StoredFrame
from culling_pipeline.records.labels import CullRecord, Disagreement, LabelRecord
from culling_pipeline.report.pictures import MAX_PICTURES
from culling_pipeline.stage_names import CULL, PICTURES
from culling_pipeline.tasks.answers import Answer


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
    late, costs = _answers_to_show(night, day.frames_of(kept[:MAX_PICTURES]), answers)
    return CullRecord(
        strategy=plan.strategy_name if asked == day.survivors else RANDOM,
        kept=kept,
        survivors=disagreements,
        teacher_calls=len(asked),
        shown=tuple(task.disagreement(i, late[i], truths[i]) for i in late),
        costs=costs,
    )


def _answers_to_show(
    night: Night, frames: Sequence[StoredFrame], answers: Mapping[int, Answer]
) -> tuple[dict[int, Answer], tuple[Cost, ...]]:
    """The student's answers to the frames that have none yet, in a file of their own, and what they
    cost."""
    late = [frame for frame in frames if frame.id not in answers]
    if not late:
        return {}, ()
    pool = night.student(night.incumbent)
    with night.parts.progress.stage(CULL.of(PICTURES), len(late)) as advance:
        found = answers_of(pool, late, night.parts.frames, advance)
    night.task.save(night.shown, found)
    return found, (Spent.by(pool).cost(CULL.of(PICTURES), "look", "own"),)


def _kept_by_precision(
    night: Night, day: IngestRecord, disagreements: tuple[Disagreement, ...]
) -> tuple[int, ...]:
    plan = night.plan
    candidates = Candidates.from_frames(day.frames_of(day.survivors), n_parts=plan.ingest.parts)
    rng = np.random.default_rng([plan.ingest.seed, 41])
    return plan.strategy.kept_set(candidates, disagreements, plan.budget.own.keep, rng)
