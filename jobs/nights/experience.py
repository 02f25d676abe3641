"""What a camera's earlier nights say of choosing frames there: does it pay, or is a lottery better?

Every night that compares tells on its own control slice how the student trained on chosen frames
did beside one trained on random frames at the same total cost. Where chance has been better for
several nights, frames are drawn at random, and the comparison is made again after a week.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from culling_pipeline.culling.strategies import STRATEGIES
from culling_pipeline.records.night import NightRecord
from culling_pipeline.tasks.metric import Metric
from jobs.cameras.task import task_of
from jobs.config.settings import CameraConfig
from jobs.database.nights import Night

LAST = 14
"""How many nights back experience counts."""
LEAST = 3
"""Fewer nights that compared say nothing."""
AGAIN = 7
"""After so many nights without a comparison it is made again: a scene changes."""
_STUDENT_T = (6.31, 2.92, 2.35, 2.13, 2.02, 1.94, 1.89, 1.86, 1.83, 1.81, 1.80, 1.78, 1.77)
"""Student's t, one-sided 95 %, for 1, 2, … degrees of freedom."""


def why_drawn(camera: CameraConfig, last: NightRecord | None, nights: Sequence[Night]) -> str:
    """Why tonight's frames are drawn at random from the beginning; empty where they are chosen.

    `last` is the camera's latest record, `nights` its latest done nights, the newest first.
    """
    if not STRATEGIES[camera.culling.strategy].needs_trust or camera.trusted_from is None:
        return ""
    if last is not None and not _knows_its_scene(camera.trusted_from, last):
        return (
            "on the last night's control slice the student in use did not know this scene well "
            "enough for its unsureness to mean something"
        )
    metric = task_of(camera).metric
    gains = _gains(metric, nights[:LAST])
    compared = [gain for gain in gains if gain is not None]
    if len(compared) < LEAST or _is_time_again(gains):
        return ""
    most = _upper_bound(compared)
    if most >= 0:
        return ""
    return (
        f"on the last {len(compared)} nights that compared, random frames at the same total cost "
        f"did better, by {-metric.points * float(np.mean(compared)):.1f} {metric.unit_of_gain} "
        "on average"
    )


def _knows_its_scene(least: float, last: NightRecord) -> bool:
    """Whether the student in use since the last night reached this score on its control slice."""
    judge = last.judge
    return (judge.after if judge.promoted else judge.before).score.reaches(least)


def _gains(metric: Metric, nights: Sequence[Night]) -> list[float | None]:
    """How much better chosen frames did than random ones, by night; None where not compared."""
    gains = list[float | None]()
    for night in nights:
        figures = night.figures
        if figures is None:
            continue
        random = figures.score_random
        gains.append(None if random is None else metric.gain(random, figures.score_after))
    return gains


def _is_time_again(gains: Sequence[float | None]) -> bool:
    return all(gain is None for gain in gains[:AGAIN])


def _upper_bound(gains: Sequence[float]) -> float:
    """The one-sided 95 % bound of the mean."""
    spread = float(np.std(gains, ddof=1)) / math.sqrt(len(gains))
    return float(np.mean(gains)) + _STUDENT_T[len(gains) - 2] * spread
