"""L_conf against values worked by hand, and what must hold for any scores."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from culling_pipeline.tasks.boxes import confidence
from models.boxes.detections import Detections
from tests.unit.plans import confidence_plan

PLAN = confidence_plan()
confidence_loss = partial(confidence.confidence_loss, q=PLAN.q, b=PLAN.b)
frame_loss = partial(
    confidence.frame_loss, min_score=PLAN.min_score, reduce=PLAN.reduce, q=PLAN.q, b=PLAN.b
)
standardised_losses = partial(
    confidence.standardised_losses, min_score=PLAN.min_score, q=PLAN.q, b=PLAN.b
)

# f(x) = −x·ln x·3 + (1 − x)·σ(x) + 0.5 with σ(x) = 1/(1 + e⁻ˣ):
#  x     −x·ln x                       ·3         σ(x)       (1−x)·σ(x)   f
#  0     0 (limit)                     0          0.5        0.5          1.0
#  0.2   0.2·1.6094379  = 0.3218876    0.9656627  0.5498340  0.4398672    1.9055299
#  0.37  0.37·0.9942523 = 0.3678733    1.1036200  0.5914590  0.3726192    1.9762392
#  0.5   0.5·0.6931472  = 0.3465736    1.0397208  0.6224593  0.3112297    1.8509504
#  0.9   0.9·0.1053605  = 0.0948245    0.2844734  0.7109495  0.0710950    0.8555684
#  1     0                             0          0.7310586  0            0.5
BY_HAND = {
    0.0: 1.0,
    0.2: 1.9055299,
    0.37: 1.9762392,
    0.5: 1.8509504,
    0.9: 0.8555684,
    1.0: 0.5,
}


def detections(scores: list[float], labels: list[int] | None = None) -> Detections:
    boxes = np.tile(np.array([[0, 0, 10, 10]], np.float32), (len(scores), 1)).reshape(-1, 4)
    return Detections(
        boxes,
        np.array(scores, np.float32),
        np.array([0] * len(scores) if labels is None else labels, np.int64),
    )


@pytest.mark.parametrize(("score", "loss"), BY_HAND.items())
def test_values_worked_by_hand(score: float, loss: float) -> None:
    assert confidence_loss(np.array([score])) == pytest.approx([loss], abs=2e-7)


def test_q_and_b_enter_as_printed() -> None:
    # x = 0.5: 0.3465736·4 + 0.3112297 − 0.5 = 1.1975241
    assert confidence_loss(np.array([0.5]), q=4, b=-0.5) == pytest.approx([1.1975241], abs=2e-7)
    # b = −0.5 is what "sets the intercept to zero"
    assert confidence_loss(np.array([0.0]), b=-0.5) == pytest.approx([0.0])


@given(st.lists(st.floats(0, 1), max_size=20))
def test_bounds_and_shape(scores: list[float]) -> None:
    losses = confidence_loss(np.array(scores, np.float64))
    assert losses.shape == (len(scores),)
    assert np.isfinite(losses).all()
    assert ((losses >= 0.5) & (losses <= 1.9882)).all()


def test_single_equals_batched() -> None:
    scores = np.linspace(0, 1, 101, dtype=np.float32)
    singles = [confidence_loss(np.array([s]))[0] for s in scores]
    np.testing.assert_allclose(confidence_loss(scores), singles)


@pytest.mark.parametrize("bad", [-0.01, 1.01, np.nan, np.inf])
def test_scores_outside_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match=r"scores must lie in 0…1, got"):
        confidence_loss(np.array([0.5, bad]))


@pytest.mark.parametrize("reduce", ["sum", "mean", "max"])
def test_a_frame_without_detections_is_not_difficult(reduce: str) -> None:
    assert frame_loss(Detections.empty(), reduce=reduce) == 0.0  # type: ignore[arg-type]
    assert frame_loss(detections([0.1, 0.19]), reduce=reduce) == 0.0  # type: ignore[arg-type]


def test_reductions_worked_by_hand() -> None:
    # 0.19 is below the threshold, 0.2 is not: 1.9055299, 1.8509504 and 0.8555684 remain
    frame = detections([0.9, 0.5, 0.2, 0.19])
    assert frame_loss(frame) == pytest.approx(4.6120487, abs=1e-6)
    assert frame_loss(frame, reduce="mean") == pytest.approx(4.6120487 / 3, abs=1e-6)
    assert frame_loss(frame, reduce="max") == pytest.approx(1.9055299, abs=1e-6)
    assert frame_loss(frame, min_score=0.6) == pytest.approx(0.8555684, abs=1e-6)
    assert frame_loss(frame, min_score=0.6, q=0, b=0) == pytest.approx(0.0710950, abs=1e-6)


def test_unknown_reduction_is_refused() -> None:
    with pytest.raises(ValueError, match="reduce: got 'median', must be"):
        frame_loss(detections([0.5]), reduce="median")  # type: ignore[arg-type]


@given(st.permutations([0.9, 0.5, 0.37, 0.2, 0.0]))
def test_the_order_of_detections_does_not_matter(scores: list[float]) -> None:
    assert frame_loss(detections(scores)) == pytest.approx(
        frame_loss(detections(sorted(scores))), abs=1e-9
    )


def test_standardised_losses_worked_by_hand() -> None:
    # Class 0 is certain (loss 0.5 each): 0, 1, 2 boxes → 0, 0.5, 1: z = −√1.5, 0, √1.5.
    # Class 1, same loss, 3, 0, 0 boxes → 1.5, 0, 0: mean 0.5, deviation √0.5: z = √2, −√.5, −√.5.
    # Class 2 never appears and adds nothing.
    day = [
        detections([1.0] * 3, [1, 1, 1]),
        detections([1.0], [0]),
        detections([1.0, 1.0], [0, 0]),
    ]
    expected = [-(1.5**0.5) + 2**0.5, -(0.5**0.5), 1.5**0.5 - 0.5**0.5]
    np.testing.assert_allclose(standardised_losses(day, 3), expected, atol=1e-9)


def test_standardised_losses_of_odd_days() -> None:
    assert standardised_losses([], 2).shape == (0,)
    assert standardised_losses([Detections.empty()], 2).tolist() == [0.0]
    same = [detections([0.37, 0.81], [0, 0])] * 7
    assert standardised_losses(same, 2).tolist() == [0.0] * 7
    with pytest.raises(ValueError, match="labels: got 2, must be below n_classes = 2"):
        standardised_losses([detections([0.5], [2])], 2)


def test_standardised_losses_follow_the_frames() -> None:
    rng = np.random.default_rng(1)
    day = [
        detections(rng.random(n).tolist(), rng.integers(0, 3, n).tolist())
        for n in rng.integers(0, 9, 40)
    ]
    order = rng.permutation(40)
    shuffled = standardised_losses([day[i] for i in order], 3)
    np.testing.assert_allclose(shuffled, standardised_losses(day, 3)[order], atol=1e-9)
