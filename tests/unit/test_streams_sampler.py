"""The sampling grid and the repair of time stamps, by hand-worked cases and by property."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streams.sampler import MAX_LEAP_S, TICK_S, Sampler, TimeRepair


def picked(times_s: list[float], interval_s: float = 1.0) -> list[float]:
    sampler = Sampler(interval_s)
    return [t for t in times_s if sampler.wants(t)]


@pytest.mark.parametrize("interval_s", [0.0, -1.0, math.nan, math.inf])
def test_an_interval_that_is_not_positive_is_refused(interval_s: float) -> None:
    with pytest.raises(ValueError, match=r"sampling interval: got .* must be a finite number > 0"):
        Sampler(interval_s)


@pytest.mark.parametrize("time_s", [math.nan, math.inf, -math.inf])
def test_a_time_that_is_no_number_is_refused(time_s: float) -> None:
    with pytest.raises(ValueError, match="must be finite; repair times first"):
        Sampler(1.0).wants(time_s)


def test_the_first_frame_is_always_wanted_and_anchors_the_grid() -> None:
    assert picked([0.3, 1.0, 1.2, 1.3, 2.2, 2.4, 3.3]) == [0.3, 1.3, 2.4, 3.3]


@pytest.mark.parametrize("rate_fps", [1, 7, 10, 12.5, 24, 25, 29.97, 30, 60])
def test_one_frame_a_second_whatever_the_rate(rate_fps: float) -> None:
    times_s = [n / rate_fps for n in range(round(rate_fps * 100))]
    got = picked(times_s)
    assert len(got) == 100
    assert got == [next(t for t in times_s if t >= second - 0.5e-6) for second in range(100)]


def test_the_grid_does_not_drift_over_a_day() -> None:
    # At 0.7 fps frames are 1.43 s apart: picking "1 s after the last pick" would lose none, but
    # at 1.5 s between frames and a 2 s grid it would drift to one frame every 3 s.
    got = picked([n * 1.5 for n in range(57_600)], interval_s=2.0)
    assert len(got) == 43_200
    assert all(n * 2 <= t < n * 2 + 1.5 for n, t in enumerate(got))


def test_a_gap_gives_one_frame_and_keeps_the_grid() -> None:
    assert picked([0.0, 0.5, 7.4, 7.6, 7.8, 8.0, 8.2]) == [0.0, 7.4, 8.0]


def test_a_rounded_time_just_before_the_grid_counts_as_on_it() -> None:
    assert picked([0.0, 0.9999996, 1.04, 1.9999994, 2.04]) == [0.0, 0.9999996, 2.04]


def test_a_tenth_of_a_second_is_not_hurt_by_binary_fractions() -> None:
    times_s = [n / 10 for n in range(10_000)]
    assert picked(times_s, interval_s=0.1) == times_s


def test_an_interval_below_the_tolerance_still_refuses_duplicates() -> None:
    assert picked([0.0, 0.0, 1e-7, 1e-7, 2e-7], interval_s=1e-7) == [0.0, 1e-7, 2e-7]


def test_duplicates_and_small_steps_back_are_refused() -> None:
    assert picked([0.0, 0.0, 1.0, 1.0, 0.9, 1.0, 1.1, 2.0]) == [0.0, 1.0, 2.0]


def test_going_back_by_more_than_the_interval_starts_a_new_grid() -> None:
    assert picked([0.0, 5.0, 3.9, 4.5, 4.9, 5.9]) == [0.0, 5.0, 3.9, 4.9, 5.9]
    assert picked([0.0, 5.0, 4.0, 4.5, 5.5, 6.0]) == [0.0, 5.0, 6.0]


def test_next_due_is_the_next_grid_point() -> None:
    sampler = Sampler(2.0)
    assert sampler.next_due_s is None
    dues: list[float | None] = []
    for time_s in (0.5, 1.0, 2.6, 9.0):
        sampler.wants(time_s)
        dues.append(sampler.next_due_s)
    assert dues == [2.5, 2.5, 4.5, 10.5]


increasing = st.lists(st.floats(1e-3, 20.0), min_size=1, max_size=60).map(
    lambda steps: [sum(steps[:n]) for n in range(len(steps))]
)


@given(increasing, st.floats(0.05, 5.0))
def test_each_grid_cell_gives_its_first_frame_and_no_other(
    times_s: list[float], interval_s: float
) -> None:
    cells: dict[int, float] = {}
    for time_s in times_s:
        cells.setdefault(math.floor((time_s + 0.5e-6) / interval_s), time_s)
    assert picked(times_s, interval_s) == list(cells.values())


@given(increasing, st.floats(0.05, 5.0))
def test_jumping_to_what_is_due_picks_the_same_frames(
    times_s: list[float], interval_s: float
) -> None:
    sampler = Sampler(interval_s)
    jumped = []
    for time_s in times_s:
        due_s = sampler.next_due_s
        if (due_s is None or time_s >= due_s - 0.5e-6) and sampler.wants(time_s):
            jumped.append(time_s)
    assert jumped == picked(times_s, interval_s)


@given(st.lists(st.floats(-1e6, 1e6), max_size=60), st.floats(0.05, 5.0))
@example([0.5, 1.0, -0.5], 1.0)
def test_a_wanted_time_is_later_than_the_last_or_a_restart(
    times_s: list[float], interval_s: float
) -> None:
    sampler = Sampler(interval_s)
    last_s = latest_s = -math.inf
    for number, time_s in enumerate(times_s):
        restarts = time_s < latest_s - interval_s
        latest_s = time_s if restarts else max(latest_s, time_s)
        if sampler.wants(time_s):
            assert time_s > last_s or restarts
            last_s = time_s
        else:
            assert number
            assert not restarts


def repaired(raw_s: list[float | None], nominal_s: float = 0.04) -> list[float]:
    repair = TimeRepair(nominal_s)
    return [repair.repair(t) for t in raw_s]


@pytest.mark.parametrize("nominal_s", [0.0, -0.04, 1e-6, math.nan, math.inf])
def test_a_nominal_interval_of_nothing_is_refused(nominal_s: float) -> None:
    with pytest.raises(ValueError, match=r"nominal interval: got .* must be at least"):
        TimeRepair(nominal_s)


@pytest.mark.parametrize("missing", [None, math.nan, math.inf, -math.inf])
def test_a_missing_time_is_one_nominal_interval_on(missing: float | None) -> None:
    assert repaired([0.0, missing, 0.08]) == [0.0, 0.04, 0.08]
    assert repaired([missing, missing, 0.5]) == [0.0, 0.04, 0.5]


def test_a_file_without_any_times_plays_at_the_nominal_rate() -> None:
    assert repaired([None] * 4, 0.5) == [0.0, 0.5, 1.0, 1.5]


@pytest.mark.parametrize("first_s", [-0.08, -95_443.0, MAX_LEAP_S + 1, 1e12])
def test_an_absurd_first_time_becomes_the_zero(first_s: float) -> None:
    assert repaired([first_s, first_s + 0.5, first_s + 1]) == pytest.approx([0.0, 0.5, 1.0])


def test_a_believable_first_time_is_kept() -> None:
    assert repaired([1.5, 1.54]) == [1.5, 1.54]


def test_a_repeated_time_does_not_shift_what_follows() -> None:
    assert repaired([1.0, 1.0, 1.04]) == [1.0, 1.0 + TICK_S, 1.04]


def test_repeated_times_all_through_a_file_do_not_shift_it() -> None:
    got = repaired([float(n // 2) for n in range(40)])
    assert got == pytest.approx([n // 2 + n % 2 * TICK_S for n in range(40)])


def test_a_clock_that_stands_still_is_not_believed_for_long() -> None:
    got = repaired([0.0] * 30, 0.5)
    assert got[5] == pytest.approx(5 * TICK_S)
    assert [b - a for a, b in pairwise(got[5:])] == pytest.approx([0.5] * 24)


def test_swapped_frames_do_not_shift_what_follows() -> None:
    assert repaired([0.0, 0.08, 0.04, 0.12]) == [0.0, 0.08, 0.08 + TICK_S, 0.12]


def test_a_restart_at_zero_is_carried_on() -> None:
    got = repaired([0.0, 5.0, 10.0, 0.0, 0.5, 1.0])
    assert got == pytest.approx([0.0, 5.0, 10.0, 10.04, 10.54, 11.04])


def test_two_restarts_are_both_carried_on() -> None:
    got = repaired([0.0, 9.0, 0.0, 9.0, 0.0, 9.0], 1.0)
    assert got == pytest.approx([0.0, 9.0, 10.0, 19.0, 20.0, 29.0])


@pytest.mark.parametrize("wrap_s", [2**33 / 90_000, -(2**33) / 90_000])
def test_a_clock_wrap_is_carried_on(wrap_s: float) -> None:
    raw = [100.0, 100.04, 100.08 + wrap_s, 100.12 + wrap_s]
    assert repaired(list(raw)) == pytest.approx([100.0, 100.04, 100.08, 100.12])


@pytest.mark.parametrize("stray_s", [0.0, 95_553.0, -4000.0])
def test_a_single_stray_time_is_forgotten(stray_s: float) -> None:
    got = repaired([100.0, 100.04, stray_s, 100.12, 100.16])
    assert got == pytest.approx([100.0, 100.04, 100.08, 100.12, 100.16])


def test_a_long_gap_is_a_gap_and_kept() -> None:
    assert repaired([0.0, MAX_LEAP_S, MAX_LEAP_S + 1]) == [0.0, MAX_LEAP_S, MAX_LEAP_S + 1]
    assert repaired([0.0, MAX_LEAP_S + 1]) == [0.0, 0.04]


stamps = st.one_of(
    st.none(),
    st.floats(allow_nan=True, allow_infinity=True),
    st.floats(-10, 200_000),
    st.floats(0, 2),
)


@given(st.lists(stamps, max_size=100), st.floats(1e-3, 2.0))
def test_the_repaired_axis_is_finite_and_strictly_increasing(
    raw_s: list[float | None], nominal_s: float
) -> None:
    got = repaired(raw_s, nominal_s)
    assert all(math.isfinite(t) and t >= 0 for t in got)
    assert all(b > a for a, b in pairwise(got))


@given(increasing, st.floats(0, MAX_LEAP_S), st.floats(1e-3, 2.0))
def test_a_clean_axis_is_left_as_it_is(
    steps_s: list[float], start_s: float, nominal_s: float
) -> None:
    clean: list[float | None] = [start_s + t for t in steps_s]
    assert repaired(clean, nominal_s) == clean
