"""The verdict, the price of a night, and the files detections are kept in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from culling_pipeline.judging.cost_ratio import price
from culling_pipeline.judging.verdict import judge, verdict
from culling_pipeline.records.costs import Activity, Cost, Purpose
from culling_pipeline.records.judging import JudgeRecord
from culling_pipeline.records.scores import Accuracy
from culling_pipeline.tasks.boxes.answer_files import load_detections, save_detections
from culling_pipeline.tasks.boxes.task import MAP50
from culling_pipeline.tasks.metric import Comparison
from models.boxes.detections import Detections
from tests.unit.plans import box_task, judge_plan


def boxes(count: int, *, shift: float = 0.0, score: float = 0.9) -> Detections:
    corners = np.array([[20 * k + shift, 10, 20 * k + 15 + shift, 40] for k in range(count)])
    return Detections(
        corners.astype(np.float32).reshape(-1, 4),
        np.full(count, score, np.float32),
        np.zeros(count, np.int64),
    )


def judged(before: Detections, after: Detections, frames: int = 40) -> JudgeRecord:
    return judge(
        task=box_task(),
        truths=[boxes(3)] * frames,
        before=[before] * frames,
        after=[after] * frames,
        random=None,
        blocks=[k // 5 for k in range(frames)],
        plan=judge_plan(),
        costs=(),
    )


def test_a_clearly_better_student_is_promoted() -> None:
    record = judged(boxes(1), boxes(3))
    assert record.promoted
    assert record.after.score.value == pytest.approx(1.0)
    assert record.difference_low > 0
    assert "points of mAP50" in record.reason


def test_an_equal_or_worse_student_is_not() -> None:
    assert not judged(boxes(3), boxes(3)).promoted
    worse = judged(boxes(3), boxes(1))
    assert not worse.promoted
    assert "no better" in worse.reason


def test_a_gain_that_could_be_luck_is_not_enough() -> None:
    old, new = (
        Accuracy(score=MAP50.score(v), per_class={"person": v}, frames=9, objects=9)
        for v in (0.5, 0.6)
    )
    promoted, reason = verdict(
        old, new, Comparison(0.5, 0.6, 0.1, -0.02, 0.2), metric=MAP50, min_gain=0.0
    )
    assert not promoted
    assert reason == "the gain could be luck: +10.0 points of mAP50, 95 % interval −2.0 to +20.0"
    assert verdict(old, new, Comparison(0.5, 0.6, 0.1, 0.04, 0.2), metric=MAP50, min_gain=0.0)[0]
    assert not verdict(old, new, Comparison(0.5, 0.6, 0.1, 0.04, 0.2), metric=MAP50, min_gain=0.05)[
        0
    ]


def test_nothing_to_measure_on_promotes_nobody() -> None:
    record = judge(
        task=box_task(),
        truths=[Detections.empty()] * 3,
        before=[boxes(1)] * 3,
        after=[Detections.empty()] * 3,
        random=None,
        blocks=[0] * 3,
        plan=judge_plan(),
        costs=(),
    )
    assert not record.promoted
    assert "found nothing" in record.reason


def line(activity: Activity, purpose: Purpose, images: int, seconds: float) -> Cost:
    """A line of the ledger whose name says nothing: figures go by the rest."""
    fields = {"activity": activity, "purpose": purpose, "images": images, "seconds": seconds}
    return Cost.model_validate({"stage": "random", "device": "cpu", "backend": "", **fields})


def test_the_price_by_hand() -> None:
    costs = [
        line("look", "own", 1000, 20.0),
        line("label", "own", 60, 3.0),  # 0.05 s an image
        line("label", "control", 40, 2.0),
        line("label", "comparison", 10, 0.5),
        line("train", "own", 100, 8.0),  # 0.08 s an image
        line("train", "comparison", 100, 8.0),
        line("measure", "control", 40, 1.0),
    ]
    found = price(costs, frames_seen=1000, shown=10.0)
    assert found.night_s == pytest.approx(34.0)  # without the comparison with random frames
    # every frame labelled, every frame trained on ten times, and the same measuring
    assert found.full_s == pytest.approx(1000 * 0.05 + 1000 * 10 * 0.08 + 2.0 + 1.0)
    assert found.ratio == pytest.approx(853 / 34)


def test_detections_come_back_as_they_were_saved(tmp_path: Path) -> None:
    found = {7: boxes(2), 3: Detections.empty(), 12: boxes(1, shift=4, score=0.25)}
    save_detections(tmp_path / "d.npz", found)
    back = load_detections(tmp_path / "d.npz")
    assert sorted(back) == [3, 7, 12]
    for i, detections in found.items():
        assert np.array_equal(back[i].boxes_xyxy, detections.boxes_xyxy)
        assert np.array_equal(back[i].scores, detections.scores)
        assert np.array_equal(back[i].labels, detections.labels)
    assert [p.name for p in tmp_path.iterdir()] == ["d.npz"]


def test_no_detections_at_all_can_be_saved(tmp_path: Path) -> None:
    save_detections(tmp_path / "d.npz", {})
    assert load_detections(tmp_path / "d.npz") == {}
