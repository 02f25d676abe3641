"""The verdict of a night: is the new student better where neither of them ever trained?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from culling_pipeline.ranges import Flag, SignedShare, WholeFromZero, check
from culling_pipeline.records import Accuracy, Cost, JudgeRecord
from culling_pipeline.tasks.boxes.average_precision import Difference, coco_map, paired_bootstrap
from models.boxes.detections import Detections


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
    truths: Sequence[Detections],
    before: Sequence[Detections],
    after: Sequence[Detections],
    random: Sequence[Detections] | None,
    blocks: Sequence[int],
    class_names: Sequence[str],
    plan: JudgePlan,
    costs: tuple[Cost, ...],
) -> JudgeRecord:
    """Compare old and new on the control slice, frame by frame in the same order; the teacher's
    labels are the truth. `blocks` names the stretch of time each frame comes from."""
    difference = paired_bootstrap(
        before,
        after,
        truths,
        blocks,
        n_classes=len(class_names),
        rng=np.random.default_rng([plan.seed, 51]),
    )
    old, new = (coco_map(found, truths, class_names) for found in (before, after))
    promoted, reason = verdict(old, new, difference, min_gain=plan.min_gain)
    return JudgeRecord(
        before=old,
        after=new,
        random=None if random is None else coco_map(random, truths, class_names),
        difference_low=difference.low,
        difference_high=difference.high,
        promoted=promoted,
        reason=reason,
        costs=costs,
    )


def verdict(
    old: Accuracy, new: Accuracy, difference: Difference, *, min_gain: float
) -> tuple[bool, str]:
    """Whether to promote, and why, in words for the operator."""
    if new.objects == 0:
        return False, "the teacher saw nothing on the control slice, so nothing could be measured"
    gain = 100 * (new.map50 - old.map50)
    interval = (
        f"95 % certain to lie between {100 * difference.low:+.1f} and {100 * difference.high:+.1f}"
    )
    if difference.low > min_gain:
        return True, f"it measured {gain:+.1f} points of mAP50, {interval}"
    if new.map50 > old.map50 + min_gain:
        return False, f"its {gain:+.1f} points of mAP50 could be luck: {interval}"
    return False, f"it measured no better: {gain:+.1f} points of mAP50, {interval}"
