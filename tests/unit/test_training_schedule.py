"""The schedules against the papers' computation figures and sizes worked by hand."""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from culling_pipeline.training import Course
from culling_pipeline.training.options import (
    EVERYTHING,
    SCHEDULES,
    ScheduleOptions,
    build_course,
    show,
)
from tests.unit.plans import schedule_options

CIFAR10: dict[str, Any] = {"warm_up": 40, "interval": 10, "keep": 0.9, "pick": (150,)}
CIFAR100: dict[str, Any] = CIFAR10 | {"interval": 20}
IMAGENET: dict[str, Any] = {"warm_up": 10, "interval": 2, "active": 10, "pick": (30, 60, 90)}

# (samples, epochs, options, paper's per cent), Drop-and-Pick, Tables 2, 3 and 7
PAPER = [
    *[
        (50_000, 300, CIFAR10 | {key: value}, percent)
        for key, row in {
            "warm_up": {0: 53, 20: 58, 40: 63, 60: 67, 70: 69, 90: 72},
            "interval": {2: 27, 5: 44, 10: 63, 15: 73, 20: 79, 25: 83},
            "keep": {0.7: 35, 0.75: 39, 0.8: 45, 0.85: 52, 0.9: 63, 0.95: 78},
            "active": {20: 92, 60: 72, None: 63},
            "pick": {(): 45, (150,): 63, (150, 225): 73},
        }.items()
        for value, percent in row.items()
    ],
    *[
        (50_000, 300, CIFAR100 | {key: value}, percent)
        for key, row in {
            "interval": {10: 63, 20: 79, 30: 86},
            "active": {40: 92, 60: 87, None: 79},
        }.items()
        for value, percent in row.items()
    ],
    (1_281_167, 120, IMAGENET | {"keep": 0.9}, 75),
    (1_281_167, 120, IMAGENET | {"keep": 0.95}, 86),
]

# (paper, ours) where the rounded per cents differ: CIFAR-100 with α = 40 (92.67), ImageNet with
# p = 0.9 (73.91)
NEAR_MISSES = [(92, 93), (75, 74)]


def run(schedule: Course, losses_of: np.ndarray, epochs: int) -> list[np.ndarray]:
    """The indices of each epoch, when a sample's loss is always the same."""
    course = []
    for epoch in range(1, epochs + 1):
        course.append(schedule.indices(epoch))
        schedule.record(epoch, losses_of[course[-1]])
    return course


# ------------------------------------------------------------------ the papers' figures


def test_there_are_32_figures() -> None:
    assert len(PAPER) == 32


@pytest.mark.parametrize(("samples", "epochs", "options", "percent"), PAPER)
def test_computation_of_the_paper(
    samples: int, epochs: int, options: dict[str, Any], percent: int
) -> None:
    course = show("dap", samples, epochs, schedule_options(**options))
    computed = 100 * course.computation
    assert computed == pytest.approx(percent, abs=1.1)
    assert (percent, round(computed)) in {(percent, percent), *NEAR_MISSES}


def test_the_two_near_misses() -> None:
    def computed(row: int) -> float:
        samples, epochs, options, _ = PAPER[row]
        return 100 * show("dap", samples, epochs, schedule_options(**options)).computation

    figures = [(percent, round(computed(row))) for row, (*_, percent) in enumerate(PAPER)]
    misses = [figure for figure in figures if figure[0] != figure[1]]
    assert misses == NEAR_MISSES
    assert computed(27) == pytest.approx(92.67, abs=0.01)
    assert computed(30) == pytest.approx(73.91, abs=0.01)


def test_imagenet_is_shown_at_once() -> None:
    begin = time.process_time()
    for name in SCHEDULES:
        show(name, 1_281_167, 120, schedule_options(**IMAGENET))
    assert time.process_time() - begin < 10  # CPU seconds; it takes next to none


# ------------------------------------------------------------------ Drop-and-Pick


def test_drop_and_pick_worked_by_hand() -> None:
    # N 10, W 2, I 2, p 0.75, R {7}, α 5, 14 epochs. Drops after 4 (10·0.75 = 7) and 6 (5; 6 − 2
    # < 5); pick after 7, so drops after 9 (7) and 11 (5); after 13, 13 − 7 = 6 is not below 5.
    options = schedule_options(warm_up=2, interval=2, keep=0.75, pick=(7,), active=5)
    course = show("dap", 10, 14, options)
    assert course.per_epoch == (10, 10, 10, 10, 7, 7, 5, 10, 10, 7, 7, 5, 5, 5)
    assert course.computation == pytest.approx(108 / 140)


def test_active_is_compared_strictly() -> None:
    # W 0, I 2: drops after 2 and 4; with α = 4, not after 4: 4 − 0 < 4 is false.
    def sizes(active: int) -> tuple[int, ...]:
        options = schedule_options(warm_up=0, interval=2, keep=0.5, active=active)
        return show("dap", 16, 6, options).per_epoch

    assert sizes(5) == (16, 16, 8, 8, 4, 4)
    assert sizes(4) == (16, 16, 8, 8, 8, 8)


def test_a_pick_within_the_warm_up_does_not_stop_the_clock() -> None:
    # As printed, T_previous = 3 would make 3 + 2 = 5, inside the warm-up, the only chance.
    options = schedule_options(warm_up=6, interval=2, keep=0.5, pick=(3,))
    assert show("dap", 8, 10, options).per_epoch == (8,) * 8 + (4, 4)


def test_the_hardest_are_kept_and_all_return_at_a_pick() -> None:
    losses = np.random.default_rng(0).random(40)
    options = schedule_options(warm_up=0, interval=1, keep=0.5, pick=(3,))
    course = run(build_course("dap", samples=40, epochs=4, options=options), losses, 4)
    hardest_first = np.argsort(-losses)
    for indices, size in zip(course, [40, 20, 10, 40], strict=True):
        assert set(indices) == set(hardest_first[:size])


def test_the_last_loss_counts_not_an_earlier_one() -> None:
    options = schedule_options(warm_up=1, interval=1, keep=0.5)
    schedule = build_course("dap", samples=4, epochs=3, options=options)
    schedule.record(1, np.array([9.0, 9, 0, 0]))
    schedule.record(2, np.array([0.0, 1, 2, 3]))
    assert schedule.indices(3).tolist() == [2, 3]


def test_equal_losses_keep_the_first() -> None:
    options = schedule_options(warm_up=0, interval=1, keep=0.5)
    schedule = build_course("dap", samples=4, epochs=2, options=options)
    schedule.record(1, np.ones(4))
    assert schedule.indices(2).tolist() == [0, 1]


def test_one_sample_always_remains() -> None:
    options = schedule_options(warm_up=0, interval=1, keep=0.1)
    assert show("dap", 3, 5, options).per_epoch == (3, 1, 1, 1, 1)


def test_whole_samples_are_not_lost_to_binary_fractions() -> None:
    assert 100 * 0.29 < 29
    options = schedule_options(warm_up=0, interval=1, keep=0.29)
    assert show("dap", 100, 2, options).per_epoch == (100, 29)


# ------------------------------------------------------------------ CLIP


def test_curriculum_sizes_worked_by_hand() -> None:
    # N 100, T 8, a 0.5, g₀ 0.2: g(t) = 100·(0.2 + 0.8·min(1, t/4)^p)
    linear = schedule_options(start=0.2, pace_power=1, pace_end=0.5)
    assert show("curriculum", 100, 8, linear).per_epoch == (40, 60, 80, 100, 100, 100, 100, 100)
    # p 2: (t/4)² = 1/16, 1/4, 9/16, 1 → 25, 40, 65, 100
    quadratic = schedule_options(start=0.2, pace_power=2, pace_end=0.5)
    assert show("curriculum", 100, 8, quadratic).per_epoch == (25, 40, 65, *[100] * 5)


def test_clip_sizes_worked_by_hand() -> None:
    # size = g − 0.05·g: 23.75, 38, 61.75, 95, cut to whole samples
    options = schedule_options(start=0.2, pace_power=2, pace_end=0.5, prune_ratio=0.05)
    course = show("clip", 100, 8, options)
    assert course.per_epoch == (23, 38, 61, 95, 95, 95, 95, 95)
    assert course.computation == pytest.approx(597 / 800)


def test_changing_epsilon_worked_by_hand() -> None:
    # N 100, T 4, g = N throughout, ε 0.2. Increasing: ε·√(t/4) = .1, .1414, .1732, .2;
    # decreasing: ε·√(1 − t/4) = .1732, .1414, .1, 0.
    def sizes(mode: Any) -> tuple[int, ...]:
        options = schedule_options(start=1.0, prune_ratio=0.2, epsilon_mode=mode)
        return show("clip", 100, 4, options).per_epoch

    assert sizes("fixed") == (80, 80, 80, 80)
    assert sizes("increasing") == (90, 85, 82, 80)
    assert sizes("decreasing") == (82, 85, 90, 100)


@pytest.mark.parametrize(("prune", "begin"), [("easiest", 2), ("hardest", 0)])
def test_clip_takes_the_right_end(prune: Any, begin: int) -> None:
    order = np.array([4, 6, 2, 5, 3, 7, 9, 0, 8, 1])  # easy to hard
    scores = np.empty(10)
    scores[order] = np.arange(10.0)
    options = schedule_options(start=0.5, pace_power=1, pace_end=1.0, prune_ratio=0.2, prune=prune)
    # T 5: g = 10·(0.5 + 0.5·t/5) = 6, 7, 8, 9, 10; sizes 4 (4.8), 5 (5.6), 6 (6.4), 7 (7.2), 8
    schedule = build_course("clip", samples=10, epochs=5, options=options, scores=scores)
    course = run(schedule, scores, 5)
    assert [len(indices) for indices in course] == [4, 5, 6, 7, 8]
    # easiest: g − size = 2 are left out at the beginning each time; hardest: at the end
    for indices in course:
        assert set(indices) == set(order[begin : begin + len(indices)])


def test_equal_scores_go_by_index() -> None:
    options = schedule_options(start=0.5, pace_end=1.0, pace_power=1)
    by_index = build_course("curriculum", samples=6, epochs=9, options=options)
    tied = build_course("curriculum", samples=6, epochs=9, options=options, scores=np.zeros(6))
    assert by_index.indices(1).tolist() == tied.indices(1).tolist() == [0, 1, 2]


# ------------------------------------------------------------------ CLIP and DaP


def test_clip_dap_worked_by_hand() -> None:
    # N 100, T 12, a 0.25: full at epoch 3 with 100 − 5 = 95; from there I 2, p 0.8: drops after 5
    # (95·0.8 = 76) and 7 (60); pick after 8; drops after 10 (76) and 12.
    # Growth: g = 100·(0.1 + 0.9·t/3) = 40, 70, 100; sizes 38, 66 (66.5), 95.
    options = schedule_options(
        warm_up=7, interval=2, keep=0.8, pick=(8,), start=0.1, pace_power=1, pace_end=0.25
    )
    course = show("clip-dap", 100, 12, options)
    assert course.per_epoch == (38, 66, 95, 95, 95, 76, 76, 60, 95, 95, 76, 76)


def test_clip_dap_drops_the_easy_and_never_sees_the_pruned() -> None:
    losses = np.random.default_rng(1).random(50)
    scores = np.random.default_rng(2).random(50)
    options = schedule_options(
        interval=1, keep=0.5, pick=(5,), start=0.5, pace_end=0.25, prune_ratio=0.2
    )
    schedule = build_course("clip-dap", samples=50, epochs=8, options=options, scores=scores)
    course = run(schedule, losses, 8)
    pruned = set(np.argsort(scores)[:10])
    full = set(range(50)) - pruned
    assert set(course[2]) == full  # full size since epoch 2, first drop after 3
    assert set(course[3]) == set(sorted(full, key=lambda i: -losses[i])[:20])
    assert set(course[5]) == full


# ------------------------------------------------------------------ all of them

OPTIONS = st.builds(
    ScheduleOptions,
    warm_up=st.integers(0, 12),
    interval=st.integers(1, 5),
    keep=st.floats(0.05, 1),
    pick=st.lists(st.integers(1, 20), unique=True, max_size=4).map(lambda p: tuple(sorted(p))),
    active=st.none() | st.integers(1, 12),
    start=st.floats(0.01, 1),
    pace_power=st.sampled_from([1, 2]),
    pace_end=st.floats(0.05, 1),
    prune_ratio=st.floats(0, 0.9),
    epsilon_mode=st.sampled_from(["fixed", "increasing", "decreasing"]),
    prune=st.sampled_from(["easiest", "hardest"]),
)


@given(st.sampled_from(SCHEDULES), st.integers(1, 60), OPTIONS, st.integers(0, 20))
def test_contract(name: str, samples: int, options: ScheduleOptions, stop: int) -> None:
    rng = np.random.default_rng(0)
    losses, scores = rng.integers(0, 5, (20, samples)) * 1.0, rng.random(samples)

    def build() -> Course:
        return build_course(name, samples=samples, epochs=20, options=options, scores=scores)

    schedule, sizes = build(), []
    for epoch in range(1, 21):
        if epoch == stop:  # killed and resumed: the course is the same
            saved = json.loads(json.dumps(schedule.state()))
            schedule = build()
            schedule.restore(saved)
        indices = schedule.indices(epoch)
        assert indices.dtype == np.int64
        assert (np.diff(indices) > 0).all()
        assert 0 <= indices[0] <= indices[-1] < samples
        sizes.append(len(indices))
        schedule.record(epoch, losses[epoch - 1][indices])
    assert tuple(sizes) == show(name, samples, 20, options).per_epoch


@given(st.sampled_from(["dap", "clip-dap"]), OPTIONS, st.integers(1, 20))
def test_restore_gives_the_same_course(name: str, options: ScheduleOptions, stop: int) -> None:
    losses = np.random.default_rng(3).random((20, 30))

    def course(stop: int | None) -> list[list[int]]:
        schedule, seen = build_course(name, samples=30, epochs=20, options=options), []
        for epoch in range(1, 21):
            if epoch == stop:
                saved = json.dumps(schedule.state())
                schedule = build_course(name, samples=30, epochs=20, options=options)
                schedule.restore(json.loads(saved))
            seen.append(schedule.indices(epoch).tolist())
            schedule.record(epoch, losses[epoch - 1][seen[-1]])
        return seen

    assert course(stop) == course(None)


def test_a_restored_schedule_knows_when_its_cycle_began() -> None:
    # Pick after 4, α 5: the drop after 8 is within 5 epochs of the pick, not of the beginning.
    options = schedule_options(warm_up=0, interval=2, keep=0.5, pick=(4,), active=5)
    schedule = build_course("dap", samples=16, epochs=9, options=options)
    run(schedule, np.arange(16.0), 7)
    resumed = build_course("dap", samples=16, epochs=9, options=options)
    resumed.restore(schedule.state())
    assert len(resumed.indices(8)) == 8
    resumed.record(8, np.zeros(8))
    assert len(resumed.indices(9)) == 4


def test_standard_trains_on_everything() -> None:
    course = show("standard", 7, 3, schedule_options(start=0.1, keep=0.1, warm_up=0))
    assert (course.per_epoch, course.computation) == ((7, 7, 7), 1.0)


def test_what_is_handed_out_may_be_shuffled() -> None:
    options = schedule_options(warm_up=0, interval=1, keep=0.5)
    schedule = build_course("dap", samples=8, epochs=3, options=options)
    schedule.record(1, np.arange(8.0))
    np.random.default_rng(0).shuffle(schedule.indices(2))
    assert schedule.indices(2).tolist() == [4, 5, 6, 7]


# ------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("option", "value", "rule"),
    [
        ("warm_up", -1, "0 or more"),
        ("interval", 0, "1 or more"),
        ("interval", 1.5, "a whole number"),
        ("keep", 0.0, "> 0"),
        ("keep", 1.1, "1 or less"),
        ("keep", float("nan"), "a finite number"),
        ("pick", (3, 3), "epochs in rising order, each once"),
        ("active", 0, "1 or more"),
        ("start", 0.0, "> 0"),
        ("pace_power", 3, "2 or less"),
        ("pace_end", 0.0, "> 0"),
        ("prune_ratio", 1.0, "< 1"),
        ("epsilon_mode", "wild", "one of 'fixed', 'increasing' or 'decreasing'"),
        ("prune", "middle", "one of 'easiest' or 'hardest'"),
    ],
)
def test_bad_options_are_named(option: str, value: Any, rule: str) -> None:
    with pytest.raises(ValueError, match=f"^{option}: got .*, must be {rule}$"):
        schedule_options(**{option: value})


@pytest.mark.parametrize(
    ("name", "samples", "epochs", "pick", "message"),
    [
        ("dop", 1, 1, (), "schedule: got 'dop', must be one of standard, curriculum"),
        ("dap", 0, 1, (), "samples: got 0, must be 1 or more"),
        ("dap", 1, 0, (), "epochs: got 0, must be 1 or more"),
        ("dap", 1, 9, (3, 10), "pick: got 10, must be at most the last epoch, 9"),
    ],
)
def test_bad_arguments_are_named(
    name: str, samples: int, epochs: int, pick: tuple[int, ...], message: str
) -> None:
    options = schedule_options(pick=pick)
    with pytest.raises(ValueError, match=message):
        show(name, samples, epochs, options)
    with pytest.raises(ValueError, match=message):
        build_course(name, samples=samples, epochs=epochs, options=options)


def test_bad_scores_are_refused() -> None:
    for scores in (np.zeros(3), np.array([1.0, np.nan])):
        with pytest.raises(ValueError, match="scores: must be 2 finite numbers, got shape"):
            build_course("clip", samples=2, epochs=1, options=EVERYTHING, scores=scores)


def test_epochs_come_in_order_and_losses_fit() -> None:
    schedule = build_course("standard", samples=2, epochs=1, options=EVERYTHING)
    with pytest.raises(ValueError, match="epoch: got 2, must be 1: record each epoch before"):
        schedule.indices(2)
    with pytest.raises(ValueError, match=r"epoch 1 trains on 2 samples, got losses of shape"):
        schedule.record(1, np.zeros(3))
    schedule.record(1, np.zeros(2))
    with pytest.raises(ValueError, match="epoch: got 2, the schedule ends after 1"):
        schedule.indices(2)


def test_a_state_of_another_schedule_is_refused() -> None:
    saved = build_course("dap", samples=3, epochs=9, options=EVERYTHING).state()
    with pytest.raises(ValueError, match=r"the saved state is of .*'samples': 3"):
        build_course("dap", samples=4, epochs=9, options=EVERYTHING).restore(saved)
