"""The day's bounded store and the control slice."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from culling_pipeline.day.control_slice import ControlSlice
from culling_pipeline.day.reservoir import Hardest, RandomDraw, Reservoir
from tests.unit.plans import control_plan


def test_hardest_keeps_the_highest_and_of_equals_the_earliest() -> None:
    held = Hardest(2)
    assert [held.offer(i, loss) for i, loss in enumerate([1.0, 3.0, 2.0, 3.0, 2.0])] == [
        None,
        None,
        0,
        2,
        4,
    ]
    assert held.ids == {1, 3}


def test_every_frame_is_drawn_equally_often() -> None:
    counts = np.zeros(20)
    for seed in range(2000):
        drawn = RandomDraw(5, np.random.default_rng(seed))
        for i in range(20):
            drawn.offer(i)
        counts[drawn.ids] += 1
    assert counts.sum() == 10_000
    assert abs(counts - 500).max() < 100  # four and a half deviations of a fair draw


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0, 9)), max_size=120), st.integers(0, 9))
def test_what_is_stored_is_exactly_what_is_held(
    frames: list[tuple[int, float]], survivors: int
) -> None:
    reservoir = Reservoir(survivors=survivors, parts=4, drawn=3, rng=np.random.default_rng(0))
    on_disk: set[int] = set()
    for frame_id, (part, loss) in enumerate(frames):
        stored, freed = reservoir.offer(frame_id, part, loss)
        assert set(freed) <= on_disk
        on_disk -= set(freed)
        if stored:
            on_disk.add(frame_id)
        assert on_disk == reservoir.hard | set(reservoir.drawn)
        assert len(on_disk) <= 3 * survivors + 4 + 3
    order = sorted(range(len(frames)), key=lambda i: (-frames[i][1], i))
    assert set(order[:survivors]) <= reservoir.hard  # the day's hardest are there to be chosen


def test_control_blocks_cover_the_day_and_come_whole() -> None:
    plan = control_plan(share=0.2, block_s=300)
    control = ControlSlice(plan, duration_s=86_400, seed=3)
    held = np.array([control.holds(t) for t in range(0, 86_400, 60)])
    assert abs(held.mean() - 0.2) < 0.02
    blocks = held.reshape(-1, 5)
    assert set(blocks.sum(axis=1).tolist()) <= {0, 5}  # never half a block
    by_hour = held.reshape(24, 60).mean(axis=1)
    assert by_hour.min() > 0


def test_control_of_a_short_recording_is_its_end() -> None:
    control = ControlSlice(control_plan(share=0.25), duration_s=100.0, seed=0)
    assert [control.holds(t) for t in (0.0, 74.9, 75.0, 99.0)] == [False, False, True, True]
    assert "last 25%" in control.description
    assert [control.group_of(t) for t in (75.0, 87.5, 99.9)] == [0, 12, 23]


def test_blocks_can_be_asked_for_on_a_short_recording() -> None:
    control = ControlSlice(control_plan(placement="blocks", block_s=5), duration_s=100.0, seed=0)
    assert 10 <= sum(control.holds(t) for t in range(100)) <= 30


def test_the_end_needs_to_be_known() -> None:
    control = ControlSlice(control_plan(placement="end"), duration_s=None, seed=0)
    assert "random blocks" in control.description
    assert any(control.holds(t) for t in range(0, 3600, 60))


def test_what_a_stretch_holds_is_bounded_by_the_slice() -> None:
    day = ControlSlice(control_plan(frames=240), duration_s=86_400, seed=0)
    groups = {day.group_of(t) for t in range(0, 86_400, 60)}
    assert 240 <= day.frames_per_group * len(groups) <= 3 * 240
    end = ControlSlice(control_plan(frames=120), duration_s=60.0, seed=0)
    assert end.frames_per_group == 10
