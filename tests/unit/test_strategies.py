"""The culling strategies on days small enough to work out by hand, and what holds for all."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from culling_pipeline.culling.candidates import (
    Candidates,
    cull_by_confidence,
    parts_of_day,
)
from culling_pipeline.culling.strategies import STRATEGIES
from culling_pipeline.culling.strategies.coverage import cull_by_coverage
from culling_pipeline.culling.strategies.strata import cull_by_disagreement
from culling_pipeline.records.day import StoredFrame
from culling_pipeline.records.labels import Disagreement


def differs(frame_id: int, errors: int, precision: float = 0.5) -> Disagreement:
    return Disagreement(
        frame_id=frame_id,
        teacher_objects=errors,
        missed=errors - errors // 2,
        invented=errors // 2,
        average_precision=precision,
    )


def day(losses: list[float], parts: list[int], n_parts: int) -> Candidates:
    n = len(losses)
    return Candidates(
        np.arange(n), np.array(losses), np.array(parts, np.int64), np.arange(n) * 1.0, n_parts
    )


def random_day(seed: int, n: int = 200) -> tuple[Candidates, list[Disagreement]]:
    rng = np.random.default_rng(seed)
    times = np.sort(rng.uniform(0, 100, n))
    candidates = Candidates(
        ids=np.arange(n) * 3,
        losses=rng.integers(0, 20, n) / 2,  # many ties
        parts=parts_of_day(times, start_s=0, end_s=100, parts=8),
        times_s=times,
        n_parts=8,
    )
    records = [
        differs(int(i), int(rng.integers(0, 4)), rng.integers(0, 3) / 2) for i in range(0, n * 3, 3)
    ]
    return candidates, records


# ------------------------------------------------------------------ parts


def test_parts_are_equal_and_include_their_beginning() -> None:
    times = np.array([10, 14.9, 15, 19.9, 20, 29.9])
    assert parts_of_day(times, start_s=10, end_s=30, parts=4).tolist() == [0, 0, 1, 1, 2, 3]


def test_times_outside_belong_to_the_nearest_part() -> None:
    assert parts_of_day(np.array([-1.0, 30, 99]), start_s=0, end_s=30, parts=3).tolist() == [
        0,
        2,
        2,
    ]
    assert parts_of_day(np.zeros(0), start_s=0, end_s=30, parts=3).tolist() == []


def test_bad_parts_are_refused() -> None:
    with pytest.raises(ValueError, match="parts: got 0, must be 1 or more"):
        parts_of_day(np.zeros(1), start_s=0, end_s=1, parts=0)
    with pytest.raises(ValueError, match="end_s: got 5, must be after start_s = 5"):
        parts_of_day(np.zeros(1), start_s=5, end_s=5, parts=1)


# ------------------------------------------------------------------ by confidence


def test_each_part_gets_its_share() -> None:
    # Budget 4 in 2 parts: 2 each, although the rush hour (part 0) holds the four hardest.
    losses = np.array([9.0, 8, 7, 6, 3, 2, 1])
    parts = np.array([0, 0, 0, 0, 1, 1, 1])
    assert cull_by_confidence(losses, parts, 4, n_parts=2).tolist() == [0, 1, 4, 5]


def test_an_unused_share_goes_to_the_hardest_of_the_rest() -> None:
    # Budget 6 in 3 parts: part 1 has one frame, part 2 none: their 3 places go to 7, 6 and 5.
    losses = np.array([9.0, 8, 7, 6, 5, 4, 1])
    parts = np.array([0, 0, 0, 0, 0, 0, 1])
    assert cull_by_confidence(losses, parts, 6, n_parts=3).tolist() == [0, 1, 2, 3, 4, 6]


def test_the_remainder_goes_to_the_hardest_of_the_rest() -> None:
    # Budget 5 in 2 parts: 2 each, and the fifth to loss 7.
    losses = np.array([1.0, 2, 3, 7, 8, 9])
    parts = np.array([0, 0, 0, 1, 1, 1])
    assert cull_by_confidence(losses, parts, 5, n_parts=2).tolist() == [5, 4, 3, 2, 1]


def test_ties_go_by_row() -> None:
    assert cull_by_confidence(np.ones(5), np.zeros(5, int), 3, n_parts=1).tolist() == [0, 1, 2]


def test_a_budget_larger_than_the_day_takes_everything() -> None:
    losses = np.array([1.0, 3, 2])
    assert cull_by_confidence(losses, np.array([0, 1, 1]), 99, n_parts=4).tolist() == [1, 2, 0]
    assert cull_by_confidence(np.zeros(0), np.zeros(0, int), 9, n_parts=4).tolist() == []
    assert cull_by_confidence(losses, np.array([0, 1, 1]), 0, n_parts=4).tolist() == []


@pytest.mark.parametrize(
    ("budget", "n_parts", "parts", "message"),
    [
        (-1, 1, [0], "budget: got -1, must be 0 or more"),
        (1, 0, [0], "n_parts: got 0, must be 1 or more"),
        (1, 2, [2], "parts: got 2…2, must lie in 0…1"),
    ],
)
def test_bad_arguments_are_refused(
    budget: int, n_parts: int, parts: list[int], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        cull_by_confidence(np.ones(1), np.array(parts), budget, n_parts=n_parts)


# ------------------------------------------------------------------ by disagreement


def test_errors_within_parts_worked_by_hand() -> None:
    # Budget 4, two parts, 2 places each. Part 0: errors 5, 4, 3; part 1: errors 1, 0.
    # Part 0 gets 0 and 1, part 1 gets 3; its second place, which only a frame without an error
    # could fill, goes to part 0: frame 2. Hardest first: 5, 4, 3, 1.
    records = [differs(i, e) for i, e in enumerate([5, 4, 3, 1, 0])]
    kept = cull_by_disagreement(
        records,
        {0: 0, 1: 0, 2: 0, 3: 1, 4: 1},
        4,
        n_parts=2,
        losses={0: 1.0, 1: 1.0, 2: 1.0, 3: 1.0, 4: 9.0},
    )
    assert kept == (0, 1, 2, 3)


def test_spare_places_go_to_the_part_with_most_errors_left() -> None:
    # Budget 6, three parts, 2 places each; part 2 has no error, so 2 places are spare.
    # Left after the shares: part 0: [3] (sum 3), part 1: [2, 2] (sum 4).
    # First spare: part 1 (4 > 3), frame 5. Then part 0 (3 > 2), frame 2. Not frame 6.
    errors = [9, 9, 3, 8, 8, 2, 2, 0]
    parts = [0, 0, 0, 1, 1, 1, 1, 2]
    kept = cull_by_disagreement(
        [differs(i, e) for i, e in enumerate(errors)],
        dict(enumerate(parts)),
        6,
        n_parts=3,
        losses=dict.fromkeys(range(8), 1.0),
    )
    assert kept == (0, 1, 3, 4, 2, 5)


def test_a_single_spare_place_goes_by_the_sum_not_by_the_hardest_frame() -> None:
    # As above, but part 2 fills one of its places: the one spare place goes to part 1 (2 + 2 > 3),
    # so frame 5 with 2 errors is kept and frame 2 with 3 is not.
    errors = [9, 9, 3, 8, 8, 2, 2, 1]
    parts = [0, 0, 0, 1, 1, 1, 1, 2]
    kept = cull_by_disagreement(
        [differs(i, e) for i, e in enumerate(errors)],
        dict(enumerate(parts)),
        6,
        n_parts=3,
        losses=dict.fromkeys(range(8), 1.0),
    )
    assert kept == (0, 1, 3, 4, 5, 7)


def test_frames_without_an_error_only_fill_up() -> None:
    records = [differs(i, e) for i, e in enumerate([0, 1, 0, 0])]
    parts, losses = dict.fromkeys(range(4), 0), {0: 2.0, 1: 0.1, 2: 3.0, 3: 1.0}
    for budget, expected in [(1, (1,)), (2, (1, 2)), (3, (1, 2, 0)), (9, (1, 2, 0, 3))]:
        kept = cull_by_disagreement(records, parts, budget, n_parts=1, losses=losses)
        assert kept == expected


def test_equal_errors_go_by_loss_and_then_by_id() -> None:
    records = [differs(i, 1) for i in (3, 2, 1, 0)]
    losses = {0: 1.0, 1: 1.0, 2: 2.0, 3: 1.0}
    kept = cull_by_disagreement(records, dict.fromkeys(range(4), 0), 3, n_parts=1, losses=losses)
    assert kept == (2, 0, 1)


# ------------------------------------------------------------------ strategies


# ------------------------------------------------------------------ by coverage


def shows(
    frame_id: int,
    missed: tuple[int, ...] = (),
    invented: tuple[int, ...] = (),
    found: tuple[int, ...] = (),
) -> Disagreement:
    return Disagreement(
        frame_id=frame_id,
        teacher_objects=len(missed) + len(found),
        missed=len(missed),
        invented=len(invented),
        average_precision=0.5,
        missed_labels=missed,
        invented_labels=invented,
        found_labels=found,
    )


def covered(frames: list[Disagreement], parts: list[int], budget: int) -> tuple[int, ...]:
    by_id = {d.frame_id: part for d, part in zip(frames, parts, strict=True)}
    losses = {d.frame_id: 0.0 for d in frames}
    return cull_by_coverage(frames, by_id, budget, losses=losses)


def test_the_second_frame_of_a_kind_is_worth_less() -> None:
    # alone: 2.0, 1.73, 1.0; beside frame 0, frame 1 adds √7 - √4 = 0.65, frame 2 still 1.0
    frames = [shows(0, missed=(0,) * 4), shows(1, missed=(0,) * 3), shows(2, missed=(1,))]
    assert covered(frames, [0, 0, 0], 2) == (0, 2)


def test_another_part_of_the_day_is_another_kind() -> None:
    frames = [shows(0, missed=(0,) * 4), shows(1, missed=(0,) * 3), shows(2, missed=(1,))]
    assert covered(frames, [0, 1, 0], 2) == (0, 1)


def test_missed_and_invented_count_alike_and_found_less() -> None:
    frames = [shows(0, found=(0, 0, 0)), shows(1, invented=(0,)), shows(2, missed=(0, 0))]
    assert covered(frames, [0, 0, 0], 3) == (2, 1, 0)  # 1.41, then 1.0 before 0.95


def test_frames_without_any_box_come_last_by_loss() -> None:
    frames = [shows(0), shows(1), shows(2, found=(0,))]
    order = cull_by_coverage(frames, {0: 0, 1: 0, 2: 0}, 3, losses={0: 1.0, 1: 2.0, 2: 0.0})
    assert order == (2, 1, 0)
    assert covered([], [], 3) == ()


def test_coverage_shows_the_teacher_random_frames_too() -> None:
    candidates, _ = random_day(3)
    rng = np.random.default_rng(0)
    hardest = set(STRATEGIES["strata"].survivors(candidates, 50, rng))
    seen = set(STRATEGIES["coverage"].survivors(candidates, 50, rng))
    assert len(seen) == 50
    assert 25 <= len(seen & hardest) < 45


def test_random_frames_come_from_the_draw_only() -> None:
    losses, rows = np.arange(10) * 1.0, np.arange(10)
    drawn = frozenset({1, 2, 5})
    candidates = Candidates(rows, losses, rows * 0, losses, 1, drawn_ids=drawn)
    rng = np.random.default_rng(0)
    assert set(STRATEGIES["random"].survivors(candidates, 3, rng)) == drawn
    assert set(STRATEGIES["uniform"].survivors(candidates, 3, rng)) == drawn
    # the hardest three are 9, 8, 7; the other half of coverage's survivors is drawn
    assert set(STRATEGIES["coverage"].survivors(candidates, 6, rng)) == {9, 8, 7} | drawn
    assert STRATEGIES["confidence_only"].survivors(candidates, 3, rng) == (9, 8, 7)


def test_strata_and_paper_choose_differently() -> None:
    # Frame 0: its one object missed, AP 0. Frame 1: three of ten missed, AP 0.7.
    candidates = day([1.0, 5.0], [0, 0], 1)
    records = [differs(0, 1, 0.0), differs(1, 3, 0.7)]
    rng = np.random.default_rng(0)
    assert STRATEGIES["paper"].kept_set(candidates, records, 1, rng) == (0,)
    assert STRATEGIES["strata"].kept_set(candidates, records, 1, rng) == (1,)


def test_paper_takes_the_whole_day_at_once() -> None:
    candidates = day([9, 8, 7, 6, 3, 2], [0, 0, 0, 0, 1, 1], 2)
    rng = np.random.default_rng(0)
    assert STRATEGIES["paper"].survivors(candidates, 4, rng) == (0, 1, 2, 3)
    assert STRATEGIES["strata"].survivors(candidates, 4, rng) == (0, 1, 4, 5)
    records = [differs(i, 1, p) for i, p in enumerate([0.5, 0.0, 0.5, 1.0])]
    assert STRATEGIES["paper"].kept_set(candidates, records, 3, rng) == (1, 0, 2)


def test_uniform_is_evenly_spaced_in_time() -> None:
    # 100 frames in the first second, then one a second: equally distant moments over 0…10 s.
    times = np.concatenate([np.linspace(0, 0.99, 100), np.arange(1.0, 11)])
    candidates = Candidates(np.arange(110), np.zeros(110), np.zeros(110, np.int64), times, 1)
    kept = STRATEGIES["uniform"].survivors(candidates, 5, np.random.default_rng(0))
    assert times[list(kept)].tolist() == [1, 3, 5, 7, 9]


def test_uniform_finds_enough_frames_when_all_lie_together() -> None:
    times = np.array([0, 0, 0, 0, 9.0])
    candidates = Candidates(np.arange(5), np.zeros(5), np.zeros(5, np.int64), times, 1)
    rng = np.random.default_rng(0)
    for budget in range(6):
        kept = STRATEGIES["uniform"].survivors(candidates, budget, rng)
        assert len(set(kept)) == budget


def test_random_depends_on_the_generator_only() -> None:
    candidates, records = random_day(0)
    random = STRATEGIES["random"]
    first = random.kept_set(candidates, records, 20, np.random.default_rng(1))
    again = random.kept_set(candidates, records[::-1], 20, np.random.default_rng(1))
    other = random.kept_set(candidates, records, 20, np.random.default_rng(2))
    assert first == again != other


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("budget", [0, 1, 7, 50, 199, 200, 500])
def test_contract(name: str, budget: int) -> None:
    candidates, records = random_day(5)
    strategy = STRATEGIES[name]
    survivors = strategy.survivors(candidates, budget, np.random.default_rng(0))
    assert len(set(survivors)) == len(survivors) == min(budget, 200)
    assert set(survivors) <= set(candidates.ids.tolist())
    assert all(type(i) is int for i in survivors)
    labelled = [r for r in records if r.frame_id in set(survivors)]
    kept = strategy.kept_set(candidates, labelled, budget // 2, np.random.default_rng(0))
    assert len(set(kept)) == len(kept) == min(budget // 2, len(labelled))
    assert set(kept) <= set(survivors)


@pytest.mark.parametrize("name", STRATEGIES)
def test_the_order_of_the_rows_does_not_matter(name: str) -> None:
    candidates, records = random_day(6)
    order = np.random.default_rng(9).permutation(200)
    shuffled = Candidates(
        candidates.ids[order],
        candidates.losses[order],
        candidates.parts[order],
        candidates.times_s[order],
        8,
    )
    strategy = STRATEGIES[name]
    for budget in (10, 60):
        assert strategy.survivors(shuffled, budget, np.random.default_rng(0)) == strategy.survivors(
            candidates, budget, np.random.default_rng(0)
        )
        assert strategy.kept_set(
            shuffled, [records[i] for i in order], budget, np.random.default_rng(0)
        ) == strategy.kept_set(candidates, records, budget, np.random.default_rng(0))


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_negative_budget_is_refused(name: str) -> None:
    candidates, records = random_day(7)
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="budget: got -1"):
        STRATEGIES[name].survivors(candidates, -1, rng)
    with pytest.raises(ValueError, match="budget: got -1"):
        STRATEGIES[name].kept_set(candidates, records, -1, rng)


def test_a_day_of_86400_frames_is_quick() -> None:
    rng = np.random.default_rng(0)
    n = 86_400
    parts = parts_of_day(np.arange(n) * 1.0, start_s=0, end_s=n, parts=24)
    kept = cull_by_confidence(rng.random(n), parts, 1536, n_parts=24)
    assert np.bincount(parts[kept]).tolist() == [64] * 24


def test_what_is_said_of_a_strategy_is_said_of_no_other() -> None:
    said = {name: strategy.words for name, strategy in STRATEGIES.items()}
    assert len(set(said.values())) == len(STRATEGIES)
    assert all(part for words in said.values() for part in words)
    for name, strategy in STRATEGIES.items():  # without the teacher's word all survivors are kept
        assert (said[name].kept == "all of them") == (not strategy.uses_teacher)


def test_candidates_are_checked() -> None:
    with pytest.raises(ValueError, match="must be of one length"):
        Candidates(np.arange(2), np.zeros(3), np.zeros(2, np.int64), np.zeros(2), 1)
    with pytest.raises(ValueError, match="ids must be unique"):
        Candidates(np.array([1, 1]), np.zeros(2), np.zeros(2, np.int64), np.zeros(2), 1)


def test_candidates_from_an_ingest_record() -> None:
    frame = StoredFrame(
        id=7,
        path="7.jpg",
        time_s=1.5,
        wall_time=datetime(2026, 1, 1, tzinfo=UTC),
        part=2,
        confidence_loss=3.25,
    )
    candidates = Candidates.from_frames([frame], n_parts=4)
    assert (candidates.ids.tolist(), candidates.parts.tolist()) == ([7], [2])
    assert (candidates.losses.tolist(), candidates.times_s.tolist()) == ([3.25], [1.5])
    assert Candidates.from_frames([], n_parts=4).ids.tolist() == []
