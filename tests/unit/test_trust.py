"""Whether a student's unsureness is believed, and what it does not see at all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from scipy.stats import spearmanr

from culling_pipeline.culling.trust import LEAST_FRAMES, rank_correlation, trust
from culling_pipeline.judging.blindness import blindness
from culling_pipeline.records.day import StoredFrame
from culling_pipeline.records.labels import Disagreement
from culling_pipeline.tasks.metric import Metric

MAP50 = Metric("mAP50", points=100.0)


def wrong(frame: int, missed: int = 0, found: int = 0) -> Disagreement:
    return Disagreement(
        frame_id=frame, teacher_objects=missed + found, missed=missed, invented=0,
        average_precision=0.0, missed_labels=(0,) * missed, found_labels=(1,) * found,
    )  # fmt: skip


def errors(counts: list[int]) -> list[Disagreement]:
    return [wrong(i, missed) for i, missed in enumerate(counts)]


def test_the_rank_correlation_is_spearman_s_with_ties() -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        one = rng.integers(6, size=50).astype(float)
        other = one + rng.integers(5, size=50)
        assert rank_correlation(one, other) == pytest.approx(spearmanr(one, other).statistic)


def test_little_says_nothing() -> None:
    few = np.arange(LEAST_FRAMES - 1.0)
    assert rank_correlation(few, few) is None
    assert rank_correlation(np.zeros(100), np.arange(100.0)) is None
    assert trust(MAP50.score(0.7), few.tolist(), errors([1] * len(few)), trusted_from=0.3).trusted


def test_a_student_that_knows_nothing_is_not_believed_however_well_it_ranks() -> None:
    losses = [float(i) for i in range(50)]
    verdict = trust(MAP50.score(0.014), losses, errors(list(range(50))), trusted_from=0.3)
    assert verdict.rank == pytest.approx(1.0)
    assert not verdict.trusted
    assert "does not know this scene yet (mAP50 0.01" in verdict.reason
    assert trust(MAP50.score(0.6), losses, errors(list(range(50))), trusted_from=0.3).trusted
    assert trust(MAP50.score(0.01), losses, errors(list(range(50))), trusted_from=None).trusted


def test_a_student_whose_unsureness_ranks_nothing_is_not_believed() -> None:
    losses = [float(i) for i in range(50)]
    verdict = trust(MAP50.score(0.8), losses, errors(list(range(50, 0, -1))), trusted_from=0.3)
    assert not verdict.trusted
    assert "hardly ranks" in verdict.reason


def test_less_may_be_better() -> None:
    error = Metric("MAE", higher_is_better=False)
    rising, wrongs = [float(i) for i in range(50)], errors(list(range(50)))
    assert trust(error.score(1.5), rising, wrongs, trusted_from=2.0).trusted
    assert not trust(error.score(2.5), rising, wrongs, trusted_from=2.0).trusted


def frame(number: int, hour: int) -> StoredFrame:
    local = datetime(2026, 3, 10, hour, 30).astimezone(UTC)
    return StoredFrame(
        id=number, path="", time_s=0.0, wall_time=local + timedelta(seconds=number), part=0,
        confidence_loss=0.0,
    )  # fmt: skip


def test_blindness_counts_by_class_and_hour() -> None:
    frames = [frame(0, 9), frame(1, 10), frame(2, 22)]
    found = [wrong(0, missed=1, found=3), wrong(1, missed=0, found=2), wrong(2, missed=4)]
    spots = blindness(
        frames, found, blocks=[0, 0, 1], class_names=["person", "car"],
        rng=np.random.default_rng(0),
    )  # fmt: skip
    counted = {(s.label, s.hours): (s.objects, s.missed) for s in spots}
    assert counted == {
        ("", None): (10, 5), ("person", None): (5, 5), ("car", None): (5, 0),
        ("", (8, 12)): (6, 1), ("", (20, 24)): (4, 4),
    }  # fmt: skip
    assert [s.label for s in spots[:3]] == ["", "person", "car"]  # all first
    for spot in spots:
        assert spot.low <= spot.missed / spot.objects <= spot.high


def test_the_interval_draws_whole_stretches_of_time() -> None:
    """A hundred frames of one stretch say no more than one: between two stretches of which one is
    all missed and one all seen, anything is possible."""
    frames = [frame(i, 9) for i in range(200)]
    found = [wrong(i, missed=i // 100, found=1 - i // 100) for i in range(200)]
    blocks = [i // 100 for i in range(200)]
    whole = blindness(
        frames, found, blocks=blocks, class_names=["a", "b"], rng=np.random.default_rng(0)
    )[0]
    assert (whole.low, whole.high) == (0.0, 1.0)
    each = blindness(
        frames, found, blocks=range(200), class_names=["a", "b"], rng=np.random.default_rng(0)
    )[0]
    assert 0.4 < each.low < 0.5 < each.high < 0.6


def test_a_task_without_classes_is_not_blind() -> None:
    plain = [Disagreement(frame_id=0, teacher_objects=1, missed=3, invented=0, average_precision=0)]
    assert blindness(
        [frame(0, 9)], plain, blocks=[0], class_names=["x"], rng=np.random.default_rng(0)
    ) == ()  # fmt: skip
