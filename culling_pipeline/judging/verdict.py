"""The verdict of a night: is the new student better on frames that neither was trained on?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from culling_pipeline.ranges import Flag, SignedShare, WholeFromZero, check
from culling_pipeline.records.costs import Cost
from culling_pipeline.records.day import DayFigures
from culling_pipeline.records.judging import EarlierDays, JudgeRecord
from culling_pipeline.records.scores import Accuracy
from culling_pipeline.tasks.answers import Answer, Truth
from culling_pipeline.tasks.base import Task
from culling_pipeline.tasks.metric import Comparison, Metric


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgePlan:
    """When to promote: when the gain in mAP50 is above `min_gain` with 95 % certainty."""

    compare_random: Flag
    min_gain: SignedShare
    seed: WholeFromZero

    def __post_init__(self) -> None:
        check(self)


def judge(
    *,
    task: Task,
    truths: Sequence[Truth],
    before: Sequence[Answer],
    after: Sequence[Answer],
    random: Sequence[Answer] | None,
    blocks: Sequence[int],
    plan: JudgePlan,
    costs: tuple[Cost, ...],
    figures: DayFigures | None = None,
    earlier: EarlierDays | None = None,
) -> JudgeRecord:
    """Compare old and new on the control slice, frame by frame in the same order; the teacher's
    labels are the truth. `blocks` names the stretch of time each frame comes from."""
    rng = np.random.default_rng([plan.seed, 51])
    comparison = task.compare(before, after, truths, blocks, rng=rng)
    old, new = (task.score(answers, truths) for answers in (before, after))
    promoted, reason = verdict(old, new, comparison, metric=task.metric, min_gain=plan.min_gain)
    return JudgeRecord(
        before=old,
        after=new,
        random=None if random is None else task.score(random, truths),
        difference_low=comparison.low,
        difference_high=comparison.high,
        promoted=promoted,
        reason=reason,
        costs=costs,
        figures=figures,
        earlier=earlier,
    )


def verdict(
    old: Accuracy, new: Accuracy, comparison: Comparison, *, metric: Metric, min_gain: float
) -> tuple[bool, str]:
    """Whether to promote, and why, in words for the operator."""
    if new.objects == 0:
        return False, "the teacher found nothing on the control slice, so nothing could be measured"
    gain = metric.gain(old.score.value, new.score.value)
    low, high = metric.points * comparison.low, metric.points * comparison.high
    measured = (
        f"{signed(metric.points * gain)} {metric.unit_of_gain}, "
        f"95 % interval {signed(low)} to {signed(high)}"
    )
    if comparison.low > min_gain:
        return True, f"it measured {measured}"
    if gain > min_gain:
        return False, f"the gain could be luck: {measured}"
    return False, f"it measured no better: {measured}"


def signed(value: float) -> str:
    """With its sign, a true minus, and one decimal."""
    return f"{value:+.1f}".replace("-", "−")
