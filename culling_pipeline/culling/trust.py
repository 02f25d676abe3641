"""Whether a student's unsureness means something on this camera, asked before labels are spent.

The control slice is labelled first. It says how good the student is here, and how well L_conf ranks
its true errors. A student that knows nothing of the scene is unsure of the wrong things: on a
building site's first night L_conf's frames taught less than a random draw, although it ranked the
errors well there (docs/log/2026-11.md, real days). So both must hold.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from culling_pipeline.records.labels import Disagreement, TrustRecord
from culling_pipeline.records.scores import Score

LEAST_FRAMES = 30
"""A control slice with fewer frames says nothing of the order."""
LEAST_RANK = 0.2
"""Least rank correlation between L_conf and the number of errors."""


def trust(
    score: Score,
    losses: Sequence[float],
    errors: Sequence[Disagreement],
    *,
    trusted_from: float | None,
) -> TrustRecord:
    """The verdict from the control slice: the student's `score` there, and for each of its frames
    L_conf and what the student got wrong, in the same order. A student is believed from the score
    `trusted_from` on (None: any is)."""
    wrong = np.array([d.missed + d.invented for d in errors], np.float64)
    rank = rank_correlation(np.array(losses, np.float64), wrong)
    why = _why_not(score, trusted_from, rank, frames=len(wrong))
    return TrustRecord(
        score=score, rank=rank, frames=len(wrong), trusted=not why, reason=why or _why(rank)
    )


def rank_correlation(one: NDArray[np.float64], other: NDArray[np.float64]) -> float | None:
    """Spearman's correlation (−1…1) of two figures of N frames, float64; None where there are too
    few frames or all are alike."""
    if len(one) < LEAST_FRAMES or np.ptp(one) == 0 or np.ptp(other) == 0:
        return None
    return float(np.corrcoef(_ranks(one), _ranks(other))[0, 1])


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks from 0, N float64; equal values share the mean of theirs."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts + 1) / 2)[which]


def _why_not(score: Score, least: float | None, rank: float | None, *, frames: int) -> str:
    """Why unsureness says too little here; empty where it does not."""
    if least is not None and not score.reaches(least):
        return (
            f"the student does not know this scene yet ({score.metric} {score.value:.2f} on the "
            f"control slice, {least:g} needed), so it is unsure of the wrong things"
        )
    if rank is not None and rank < LEAST_RANK:
        return (
            f"on {frames} frames of the control slice L_conf hardly ranks the student's errors "
            f"(rank correlation {rank:.2f}, {LEAST_RANK:g} needed)"
        )
    return ""


def _why(rank: float | None) -> str:
    if rank is None:
        return "the control slice says nothing against it"
    return f"L_conf ranks the student's errors on the control slice (rank correlation {rank:.2f})"
