"""The verdict on a group's student: one word for all its cameras."""

from __future__ import annotations

import math
from collections.abc import Mapping

from culling_pipeline.judging.verdict import signed
from culling_pipeline.records.judging import JudgeRecord
from culling_pipeline.tasks.metric import Metric


def judge_together(
    group: str, verdicts: Mapping[str, JudgeRecord], metric: Metric, *, min_gain: float
) -> dict[str, JudgeRecord]:
    """Each camera's verdict with the group's decision: promoted if the mean gain of the cameras is
    above `min_gain` with 95 % certainty and no camera is worse with as much certainty.

    The cameras are independent of each other: the width of the mean's interval is that of the mean
    of their variances. Cameras on which nothing could be measured have no say.
    """
    measured = {c: v for c, v in verdicts.items() if v.after.objects}
    promoted, why = _decision(measured, metric, min_gain=min_gain)
    return {
        camera: verdict.changed(promoted=promoted, reason=f"group {group!r}: {why}")
        for camera, verdict in verdicts.items()
    }


def _decision(
    verdicts: Mapping[str, JudgeRecord], metric: Metric, *, min_gain: float
) -> tuple[bool, str]:
    if not verdicts:
        return False, "the teacher found nothing on any control slice, so nothing was measured"
    gains = [metric.gain(v.before.score.value, v.after.score.value) for v in verdicts.values()]
    mean = sum(gains) / len(gains)
    half = math.hypot(*((v.difference_high - v.difference_low) / 2 for v in verdicts.values()))
    low, high = mean - half / len(gains), mean + half / len(gains)
    cameras = "1 camera" if len(gains) == 1 else f"{len(gains)} cameras"
    said = (
        f"{signed(metric.points * mean)} {metric.unit_of_gain} on average over {cameras}, "
        f"95 % interval {signed(metric.points * low)} to {signed(metric.points * high)}"
    )
    worse = [camera for camera, v in verdicts.items() if v.difference_high < 0]
    if worse:
        return False, f"it is clearly worse for {', '.join(worse)} ({said})"
    if low > min_gain:
        return True, f"it measured {said}"
    if mean > min_gain:
        return False, f"the gain could be luck: {said}"
    return False, f"it measured no better: {said}"
