"""Disagreement and clean labels on hand-made boxes, with the answers worked out beside them."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from culling_pipeline.tasks.boxes import disagreement as precision
from models.boxes.detections import Detections

disagreement = partial(precision.disagreement, student_min_score=0.5)
clean_labels = partial(precision.clean_labels, min_score=0.5, min_side=20 / 720)

A, B, C, FAR = [0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10], [80, 80, 90, 90]


def found(*rows: tuple[list[int], float, int]) -> Detections:
    """Detections from (box, score, label) rows."""
    return Detections(
        np.array([r[0] for r in rows], np.float32).reshape(-1, 4),
        np.array([r[1] for r in rows], np.float32),
        np.array([r[2] for r in rows], np.int64),
    )


NOTHING = Detections.empty()


def test_worked_by_hand() -> None:
    # Teacher: A and B of class 0, C of class 1.
    # Student, class 0: A .9 right, FAR .8 wrong, B .3 right but below the threshold 0.5;
    #          class 1: C .6 right.
    # Missed: B. Invented: FAR.
    # AP class 0, best first: right 1/1, wrong 1/2, right 2/3; envelope at the two hits 1 and 2/3:
    #   (1 + 2/3) / 2 = 5/6. AP class 1: 1. Mean: 11/12.
    teacher = found((A, 0.9, 0), (B, 0.8, 0), (C, 0.7, 1))
    student = found((A, 0.9, 0), (FAR, 0.8, 0), (C, 0.6, 1), (B, 0.3, 0))
    record = disagreement(7, student, teacher, n_classes=2)
    assert (record.frame_id, record.teacher_objects) == (7, 3)
    assert (record.missed, record.invented) == (1, 1)
    assert sorted(record.found_labels) == [0, 1]
    assert (record.missed_labels, record.invented_labels) == ((0,), (0,))
    assert record.average_precision == pytest.approx(11 / 12)


def test_envelope_looks_to_the_right() -> None:
    # Best first: wrong 0, right 1/2, right 2/3: the envelope at both hits is 2/3: (2/3 + 2/3) / 2.
    teacher = found((A, 0.9, 0), (B, 0.9, 0))
    student = found((FAR, 0.9, 0), (A, 0.8, 0), (B, 0.7, 0))
    assert disagreement(0, student, teacher, n_classes=1).average_precision == pytest.approx(2 / 3)


def test_the_wrong_class_is_missed_and_invented() -> None:
    record = disagreement(0, found((A, 0.9, 1)), found((A, 0.9, 0)), n_classes=2)
    assert (record.missed, record.invented, record.average_precision) == (1, 1, 0.0)


def test_a_double_is_invented_once() -> None:
    record = disagreement(0, found((A, 0.9, 0), (A, 0.8, 0)), found((A, 0.9, 0)), n_classes=1)
    assert (record.missed, record.invented) == (0, 1)


def test_the_overlap_decides() -> None:
    # [0,0,10,10] and [0,0,10,5] overlap by 50/100 = 0.5; [0,0,10,4] by 0.4.
    half, less = found(([0, 0, 10, 5], 0.9, 0)), found(([0, 0, 10, 4], 0.9, 0))
    assert disagreement(0, half, found((A, 0.9, 0)), n_classes=1).missed == 0
    assert disagreement(0, less, found((A, 0.9, 0)), n_classes=1).missed == 1
    assert disagreement(0, less, found((A, 0.9, 0)), n_classes=1, min_iou=0.4).missed == 0


@pytest.mark.parametrize(
    ("student", "teacher", "expected"),
    [
        (NOTHING, NOTHING, (0, 0, 1.0)),
        (found((A, 0.9, 0)), NOTHING, (0, 1, 0.0)),
        (found((A, 0.4, 0)), NOTHING, (0, 0, 1.0)),  # below the working threshold: silent
        (NOTHING, found((A, 0.9, 0)), (1, 0, 0.0)),
        (found((A, 0.04, 0)), found((A, 0.9, 0)), (1, 0, 0.0)),  # below the floor of AP
        (found((A, 0.5, 0)), found((A, 0.9, 0)), (0, 0, 1.0)),  # "or more"
    ],
)
def test_empty_cases(
    student: Detections, teacher: Detections, expected: tuple[int, int, float]
) -> None:
    record = disagreement(0, student, teacher, n_classes=1)
    assert (record.missed, record.invented, record.average_precision) == expected


def test_the_order_of_boxes_does_not_matter() -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        boxes = np.array([A, B, C, FAR], np.float32)
        teacher = Detections(boxes, np.ones(4, np.float32), rng.integers(0, 2, 4))
        jitter = (boxes + rng.uniform(-3, 3, (4, 4))).astype(np.float32)
        student = Detections(jitter, rng.random(4).astype(np.float32), rng.integers(0, 2, 4))
        order = rng.permutation(4)
        shuffled = Detections(
            student.boxes_xyxy[order], student.scores[order], student.labels[order]
        )
        assert disagreement(1, shuffled, teacher, n_classes=2) == disagreement(
            1, student, teacher, n_classes=2
        )


def test_unknown_labels_are_refused() -> None:
    with pytest.raises(ValueError, match="frame 3: teacher label 5 must be below n_classes = 2"):
        disagreement(3, NOTHING, found((A, 0.9, 5)), n_classes=2)


def test_clean_labels_worked_by_hand() -> None:
    # A frame of 200×100: the shorter side is 100, so a side of 0.1 is 10 px.
    teacher = found(
        ([0, 0, 10, 10], 0.9, 0),  # exactly 10 px: kept
        ([50, 50, 59, 80], 0.9, 0),  # 9 px wide: too narrow
        ([50, 50, 80, 59], 0.9, 0),  # 9 px high: too low
        ([50, 20, 80, 60], 0.49, 1),  # not sure enough
        ([190, 80, 230, 140], 0.5, 2),  # sticks out: cut to 10×20, kept
        ([195, 80, 230, 140], 0.8, 0),  # cut to 5×20: too narrow
        ([300, 10, 330, 40], 0.8, 0),  # outside altogether
    )
    kept = clean_labels(teacher, height_px=100, width_px=200, min_side=0.1)
    assert kept.boxes_xyxy.tolist() == [[0, 0, 10, 10], [190, 80, 200, 100]]
    assert kept.labels.tolist() == [0, 2]


def test_clean_labels_mean_the_same_at_every_resolution() -> None:
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 200, (50, 2))
    boxes = np.concatenate([low, low + rng.uniform(1, 30, (50, 2))], axis=1).astype(np.float32)
    scores, labels = rng.random(50).astype(np.float32), np.zeros(50, np.int64)
    small = clean_labels(Detections(boxes, scores, labels), height_px=240, width_px=240)
    large = clean_labels(Detections(boxes * 3, scores, labels), height_px=720, width_px=720)
    assert 0 < len(small) < 50
    np.testing.assert_array_equal(small.scores, large.scores)


def test_clean_labels_of_nothing_is_nothing() -> None:
    assert len(clean_labels(NOTHING, height_px=100, width_px=100)) == 0
    outside = found(([300, 10, 330, 40], 0.8, 0))
    assert len(clean_labels(outside, height_px=100, width_px=100, min_side=0)) == 0


def test_a_side_in_pixels_is_refused() -> None:
    with pytest.raises(ValueError, match="min_side: got 20, must lie in 0…1"):
        clean_labels(NOTHING, height_px=100, width_px=100, min_side=20)
