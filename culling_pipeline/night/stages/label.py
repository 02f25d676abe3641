"""Label: the teacher on the control slice first, then on what survived and the random frames.

The control slice says whether the student's unsureness means something on this camera
(`culling/trust.py`). Where it does not, the frames to train on are a random draw.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from culling_pipeline.culling.trust import trust
from culling_pipeline.judging.blindness import blindness
from culling_pipeline.labels.checks import agreement
from culling_pipeline.labels.teacher_labels import answers_of, truths_of
from culling_pipeline.night.at_work import Night, Spent
from culling_pipeline.records.costs import Cost, Purpose
from culling_pipeline.records.day import IngestRecord
from culling_pipeline.records.labels import BlindSpot, Disagreement, LabelRecord, TrustRecord
from culling_pipeline.run.progress import Advance
from culling_pipeline.run.workers import PooledModel
from culling_pipeline.stage_names import CONTROL_SLICE, LABEL, RANDOM_FRAMES, SURVIVORS
from culling_pipeline.tasks.answers import Truth

logger = logging.getLogger(__name__)


def ask_the_teacher(night: Night, day: IngestRecord) -> LabelRecord:
    """The teacher's labels, each frame once; where a person has corrected one, theirs."""
    pool = night.workers.model(night.task.teacher_opener(night.parts.open_teacher))
    most = len({*day.survivors, *day.control, *night.random_frames(day)})
    with night.parts.progress.stage(LABEL.words, most) as advance:
        at_work = _Teacher(night, day, pool, advance)
        at_work.label(CONTROL_SLICE, "control", day.control)
        verdict, blind = _of_control(night, day, at_work.truths)
        asked = day.survivors
        if not verdict.trusted and night.plan.strategy.needs_trust:
            asked = day.random[: night.plan.budget.own.keep]
            logger.info("camera %s: random frames: %s", night.plan.camera, verdict.reason)
        at_work.label(SURVIVORS, "own", asked)
        if night.compares(day, asked):
            at_work.label(RANDOM_FRAMES, "comparison", night.random_frames(day))
    truths = at_work.truths
    corrections = night.parts.corrections
    corrected = corrections.truths_of(day.frames_of(list(truths)), night.task)
    truths |= corrected
    night.task.save(night.truths, truths)
    return LabelRecord(
        labelled=len(truths),
        objects=sum(night.task.objects(truth) for truth in truths.values()),
        corrected=len(corrected),
        costs=tuple(at_work.costs),
        trust=verdict,
        blind=blind,
        asked=asked,
        agreement=agreement(corrections.checks, night.plan.teacher_name),
    )


class _Teacher:
    """The teacher at work: labels frame by frame, each once, and what that cost."""

    def __init__(
        self, night: Night, day: IngestRecord, pool: PooledModel, advance: Advance
    ) -> None:
        self._night, self._day, self._pool, self._advance = night, day, pool, advance
        self.truths: dict[int, Truth] = {}
        self.costs: list[Cost] = []

    def label(self, part: str, purpose: Purpose, ids: Sequence[int]) -> None:
        """Label these frames of the day, as far as they have no label yet."""
        night, day, pool = self._night, self._day, self._pool
        todo = [i for i in ids if i not in self.truths]
        before = Spent.by(pool)
        said = answers_of(pool, day.frames_of(todo), night.parts.frames, self._advance)
        self.truths |= truths_of(
            said, night.task, pool.class_names, height_px=day.height_px, width_px=day.width_px
        )
        self.costs.append(Spent.by(pool, since=before).cost(LABEL.of(part), "label", purpose))


def _of_control(
    night: Night, day: IngestRecord, truths: dict[int, Truth]
) -> tuple[TrustRecord, tuple[BlindSpot, ...]]:
    """Whether to go by the student's unsureness, and what it does not see."""
    task, frames, answers = night.task, day.frames_of(day.control), night.task.load(night.answers)
    errors: list[Disagreement] = [task.disagreement(i, answers[i], truths[i]) for i in day.control]
    score = task.score([answers[i] for i in day.control], [truths[i] for i in day.control]).score
    verdict = trust(
        score,
        [frame.confidence_loss for frame in frames],
        errors,
        trusted_from=night.plan.trusted_from,
    )
    blind = blindness(
        frames,
        errors,
        blocks=day.control_blocks,
        class_names=task.class_names,
        rng=np.random.default_rng([night.plan.ingest.seed, 43]),
        zone=night.plan.zone,
    )
    return verdict, blind
