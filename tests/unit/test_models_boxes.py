"""Detections' validation, IoU and greedy matching, by hand and by property."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.boxes.detections import Detections, iou_matrix, match
from models.errors import ModelError


def boxes(*rows: tuple[float, float, float, float]) -> NDArray[np.float32]:
    return np.array(rows, np.float32).reshape(-1, 4)


def found(
    xyxy: NDArray[np.float32], scores: list[float] | None = None, labels: list[int] | None = None
) -> Detections:
    return Detections(
        xyxy,
        np.array(scores if scores is not None else [1.0] * len(xyxy), np.float32),
        np.array(labels if labels is not None else [0] * len(xyxy), np.int64),
    )


GOOD = boxes((0, 0, 2, 2), (1, 1, 3, 3))


def test_detections_keep_what_they_are_given() -> None:
    detections = found(GOOD, [0.9, 0.4], [1, 0])
    assert len(detections) == 2
    assert detections.above(0.4).labels.tolist() == [1, 0]
    assert detections.above(0.5).labels.tolist() == [1]
    assert detections.where(np.array([False, True])).boxes_xyxy.tolist() == [[1, 1, 3, 3]]


def test_empty_detections() -> None:
    assert len(Detections.empty()) == 0
    assert len(Detections.empty().above(0.5)) == 0


@pytest.mark.parametrize(
    ("xyxy", "scores", "labels", "message"),
    [
        (np.zeros((2, 5), np.float32), [1, 1], [0, 0], r"N×4, got shape \(2, 5\)"),
        (np.zeros(4, np.float32), [1], [0], "N×4"),
        (GOOD, [1.0], [0, 0], "2 boxes need as many scores and labels"),
        (GOOD, [1.0, 1.0], [0], "2 boxes need as many scores and labels"),
        (GOOD.astype(np.float64), [1, 1], [0, 0], "float32 and labels int64, got float64"),
        (boxes((0, 0, 2, 2), (3, 1, 3, 3)), [1, 1], [0, 0], "box 1 is degenerate"),
        (boxes((0, 5, 2, 2)), [1], [0], "box 0 is degenerate"),
        (boxes((0, 0, np.inf, 2)), [1], [0], "box 0 is degenerate"),
        (boxes((0, 0, np.nan, 2)), [1], [0], "box 0 is degenerate"),
        (GOOD, [1.1, 0.5], [0, 0], "scores must lie in 0…1"),
        (GOOD, [-0.1, 0.5], [0, 0], "scores must lie in 0…1"),
        (GOOD, [np.nan, 0.5], [0, 0], "scores must lie in 0…1"),
        (GOOD, [1, 1], [0, -1], "labels must be 0 or more, got -1"),
    ],
)
def test_wrong_detections_are_refused(
    xyxy: NDArray[np.float32], scores: list[float], labels: list[int], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        Detections(xyxy, np.array(scores, np.float32), np.array(labels, np.int64))


def test_wrong_label_type_is_refused() -> None:
    with pytest.raises(ModelError, match="labels int64, got float32, float32 and int32"):
        Detections(GOOD, np.ones(2, np.float32), np.zeros(2, np.int32))  # type: ignore[arg-type]


def test_iou_by_hand() -> None:
    # 2×2 and 2×2 share 1×1: 1 / (4 + 4 − 1); the same: 1; touching at an edge and far off: 0;
    # 1×1 within 2×2: 1/4.
    others = boxes((1, 1, 3, 3), (0, 0, 2, 2), (2, 0, 4, 2), (9, 9, 10, 10), (0, 1, 1, 2))
    iou = iou_matrix(boxes((0, 0, 2, 2)), others)
    np.testing.assert_allclose(iou, [[1 / 7, 1, 0, 0, 0.25]], rtol=1e-6)
    assert iou.dtype == np.float32


def test_iou_of_nothing_has_the_right_shape() -> None:
    none = boxes()
    assert iou_matrix(none, GOOD).shape == (0, 2)
    assert iou_matrix(GOOD, none).shape == (2, 0)
    assert iou_matrix(none, none).shape == (0, 0)


def test_match_best_score_takes_first_and_no_true_box_is_taken_twice() -> None:
    # Given one true box and two found ones of which the worse lies better,
    truth = found(boxes((0, 0, 10, 10)))
    two = found(boxes((0, 0, 10, 10), (0, 0, 10, 9)), [0.6, 0.9])
    # Then the one with the better score takes it and the other is false.
    assert match(two, truth).tolist() == [-1, 0]


def test_match_takes_the_box_that_overlaps_most() -> None:
    truth = found(boxes((0, 0, 10, 6), (0, 0, 10, 9)))
    assert match(found(boxes((0, 0, 10, 10))), truth).tolist() == [1]


def test_match_a_second_choice_is_taken_when_the_first_is_gone() -> None:
    truth = found(boxes((0, 0, 10, 10), (0, 0, 10, 7)))
    two = found(boxes((0, 0, 10, 10), (0, 0, 10, 9)), [0.9, 0.8])
    assert match(two, truth).tolist() == [0, 1]


def test_match_respects_class_and_threshold() -> None:
    truth = found(boxes((0, 0, 10, 10)), labels=[1])
    box = boxes((0, 0, 10, 5))  # IoU 0.5 exactly
    assert match(found(box, labels=[1]), truth).tolist() == [0]
    assert match(found(box, labels=[0]), truth).tolist() == [-1]
    assert match(found(box, labels=[1]), truth, min_iou=0.51).tolist() == [-1]


def test_match_with_nothing() -> None:
    assert match(Detections.empty(), found(GOOD)).tolist() == []
    assert match(found(GOOD), Detections.empty()).tolist() == [-1, -1]


_SIDE = st.floats(0.5, 500, width=32)
_BOX = st.tuples(st.floats(0, 900, width=32), st.floats(0, 900, width=32), _SIDE, _SIDE).map(
    lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])
)
_BOXES = st.lists(_BOX, max_size=6)


@given(_BOXES, _BOXES)
def test_iou_is_symmetric_and_within_0_and_1(
    some: list[tuple[float, float, float, float]], others: list[tuple[float, float, float, float]]
) -> None:
    a, b = boxes(*some), boxes(*others)
    iou = iou_matrix(a, b)
    np.testing.assert_allclose(iou, iou_matrix(b, a).T, rtol=1e-5, atol=1e-7)
    assert ((iou >= 0) & (iou <= 1 + 1e-5)).all()
    np.testing.assert_allclose(np.diag(iou_matrix(a, a)), 1, rtol=1e-5)


@given(_BOXES, _BOXES)
def test_match_takes_no_true_box_twice(
    some: list[tuple[float, float, float, float]], others: list[tuple[float, float, float, float]]
) -> None:
    taken = match(found(boxes(*some)), found(boxes(*others)), min_iou=0.1)
    hits = taken[taken >= 0]
    assert len(set(hits.tolist())) == len(hits)
