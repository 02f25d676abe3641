"""The budget of a night: what it pays for, what is fixed by hand, the lottery of the same cost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from culling_pipeline.culling.budget import (
    EPOCHS,
    LEAST_EPOCHS,
    LEAST_KEPT,
    MOST_EPOCHS,
    Wishes,
    cost_s,
    divide,
)
from culling_pipeline.records.costs import Portions, SecondsPerImage
from jobs.config.settings import CameraConfig
from jobs.nights.budget import BY_HAND, budget_of, full_seconds

SECONDS = SecondsPerImage(look=0.02, label=0.04, train=0.05)
DAY = Wishes(frames=86_400, most=10_000, labels_per_kept=1.0)


def shown(keep: int, epochs: int) -> int:
    return keep * epochs


def portions(budget_s: float, **wishes: object) -> Portions:
    return divide(budget_s, SECONDS, Wishes(**{**plain(DAY), **wishes}), shown)


def plain(wishes: Wishes) -> dict[str, object]:
    return {name: getattr(wishes, name) for name in Wishes.__slots__}


def camera(**culling: object) -> CameraConfig:
    training = culling.pop("training", {})
    judging = culling.pop("judging", {})
    return CameraConfig.model_validate(
        {
            "name": "yard", "source": "synthetic://street?seed=1", "classes": ["person"],
            "culling": {"seconds": SECONDS.model_dump(), **culling},
            "training": training, "judging": judging,
        }
    )  # fmt: skip


def test_by_hand() -> None:
    """Each frame costs 0.04 + 8 · 0.05 + 4 · 0.02 = 0.52 s, so 52 s pay for a hundred."""
    assert portions(52.0) == Portions(looks=400, labels=100, keep=100, epochs=8, images=800)


@given(
    budget_s=st.floats(20.0, 5000.0),
    frames=st.integers(20, 90_000),
    ratio=st.sampled_from([1.0, 6.0]),
    looks=st.sampled_from([None, 0, 500]),
)
def test_no_more_is_spent_than_there_is(
    budget_s: float, frames: int, ratio: float, looks: int | None
) -> None:
    found = portions(budget_s, frames=frames, labels_per_kept=ratio, looks=looks)
    assert (
        cost_s(found, SECONDS) <= budget_s
        or found.epochs == LEAST_EPOCHS
        or found.keep <= LEAST_KEPT
    )
    assert found.keep <= found.labels <= frames
    assert found.looks <= frames


@given(budget_s=st.floats(50.0, 2000.0))
def test_all_is_spent_while_there_are_frames(budget_s: float) -> None:
    left = budget_s - cost_s(portions(budget_s), SECONDS)
    assert left < 2 * 0.52  # one more frame would not fit, but for rounding of its looks


def test_what_few_frames_do_not_cost_goes_into_epochs() -> None:
    few = portions(920.0, frames=50)
    assert (few.keep, few.looks) == (50, 50)
    assert EPOCHS < few.epochs <= MOST_EPOCHS
    assert portions(1e6, frames=50).epochs == MOST_EPOCHS


def test_looks_take_no_more_than_a_quarter() -> None:
    dear = SECONDS.changed(look=0.5)
    found = divide(100.0, dear, DAY, shown)
    assert found.looks * 0.5 == pytest.approx(25.0, abs=0.5)
    assert cost_s(found, dear) == pytest.approx(100.0, abs=0.5)
    by_hand = divide(100.0, dear, Wishes(**{**plain(DAY), "looks": 100}), shown)
    assert by_hand.looks == 100


def test_what_is_fixed_stays_fixed() -> None:
    fixed = portions(10.0, keep=200, epochs=40, looks=7)
    assert fixed == Portions(looks=7, labels=200, keep=200, epochs=40, images=8000)
    kept = portions(92.0, keep=50)
    assert (kept.keep, kept.epochs) == (50, 34)  # 50 · 34 · 0.05 + 50 · 0.12 = 91 s


def test_a_camera_s_budget_is_a_share_of_a_whole_day() -> None:
    """Also of one that gives fewer frames: a budget does not depend on `fps`."""
    yard = camera(budget=0.01)
    full_s = full_seconds(yard.training, SECONDS)
    assert full_s == pytest.approx(86_400 * 0.04 + 754_794 * 0.05)
    for given_ in (yard, yard.changed(fps=0.1)):
        found = budget_of(given_, SECONDS, BY_HAND, frames=None, looks_free=False)
        assert found.total_s == pytest.approx(full_s / 100)
        assert cost_s(found.own, SECONDS) == pytest.approx(found.total_s, rel=0.01)


def test_a_budget_can_be_a_time() -> None:
    for text, seconds in (("90 s", 90.0), ("15 min", 900.0), ("1.5h", 5400.0)):
        found = budget_of(camera(budget=text), SECONDS, BY_HAND, frames=None, looks_free=False)
        assert (found.total_s, found.share) == (seconds, None)


def test_the_lottery_costs_the_same_in_all_and_looks_at_nothing() -> None:
    found = budget_of(camera(), SECONDS, BY_HAND, frames=None, looks_free=False)
    assert found.lottery is not None
    assert found.lottery.looks == 0
    assert found.lottery.labels > found.own.labels
    assert found.lottery.images > found.own.images
    assert cost_s(found.lottery, SECONDS) == pytest.approx(cost_s(found.own, SECONDS), rel=0.01)
    alone = camera(judging={"compare_random": False})
    assert budget_of(alone, SECONDS, BY_HAND, frames=None, looks_free=False).lottery is None


def test_looks_that_something_else_pays_for_give_the_lottery_nothing() -> None:
    found = budget_of(camera(), SECONDS, BY_HAND, frames=None, looks_free=True)
    assert found.lottery is not None
    assert found.own.keep == found.lottery.keep == 666 or found.own.keep == found.lottery.keep
    assert found.looks is None


def test_what_frames_and_epochs_leave_goes_into_looks() -> None:
    fixed = camera(keep=16, training={"epochs": 2}, budget="100 s")
    found = budget_of(fixed, SECONDS, BY_HAND, frames=None, looks_free=False)
    assert found.own.looks > 4800
    assert cost_s(found.own, SECONDS) == pytest.approx(100, abs=0.03)
    everything = budget_of(fixed, SECONDS, BY_HAND, frames=600, looks_free=False)
    assert everything.own.looks == 600


def test_where_frames_are_drawn_the_looks_are_saved() -> None:
    yard = camera()
    drawn = budget_of(
        yard, SECONDS, BY_HAND, frames=None, looks_free=False, drawn="it never pays here"
    )
    assert (drawn.own.looks, drawn.lottery, drawn.drawn) == (240, None, "it never pays here")
    usual = budget_of(yard, SECONDS, BY_HAND, frames=None, looks_free=False)
    assert drawn.own.labels > usual.own.labels


def test_looks_by_hand() -> None:
    for looks, expected in (("all", 86_400), (1234, 1234)):
        given_ = camera(looks=looks)
        found = budget_of(given_, SECONDS, BY_HAND, frames=None, looks_free=False)
        assert found.own.looks == expected
    lottery = budget_of(camera(strategy="random"), SECONDS, BY_HAND, frames=None, looks_free=False)
    assert (lottery.own.looks, lottery.lottery) == (0, None)
