"""Looks at chosen moments: where they lie, how many, and a day that is read no further."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from culling_pipeline.day.control_slice import ControlPlan, ControlSlice
from culling_pipeline.gate.moments import ControlMoments, PlannedLooks, draw_moments
from tests.unit.brightness import Brightness

EMPTY = np.zeros((8, 8, 3), np.uint8)
DAY = [float(s) for s in range(86_400)]


def slice_of(duration_s: float = 86_400.0) -> ControlSlice:
    plan = ControlPlan(frames=240, share=0.1, block_s=60.0, placement="auto")
    return ControlSlice(plan, duration_s=duration_s, seed=0)


def moments_of(there: list[float], reads: int, seed: int = 0) -> tuple[list[float], ControlSlice]:
    slice_ = slice_of()
    control = ControlMoments(slice_.holds, slice_.group_of, slice_.frames_per_group)
    return draw_moments(there, reads, control, np.random.default_rng(seed)), slice_


def test_a_day_is_read_at_as_many_moments_as_there_are_looks() -> None:
    chosen, slice_ = moments_of(DAY, 2880)
    own = [s for s in chosen if not slice_.holds(s)]
    assert chosen == sorted(set(chosen))
    assert len(own) == 2880
    by_hour = Counter(int(s // 3600) for s in own)
    assert set(by_hour) == set(range(24))
    assert min(by_hour.values()) > 100
    assert own != [s for s in moments_of(DAY, 2880, seed=1)[0] if not slice_.holds(s)]


def test_each_stretch_of_the_control_slice_has_its_frames() -> None:
    chosen, slice_ = moments_of(DAY, 100)
    groups = Counter(slice_.group_of(s) for s in chosen if slice_.holds(s))
    assert set(groups) == {slice_.group_of(s) for s in DAY if slice_.holds(s)}
    assert set(groups.values()) == {slice_.frames_per_group}


def test_moments_lie_only_where_something_was_recorded() -> None:
    there = [s for s in DAY if s // 3600 in (6, 7, 20)]
    chosen, _ = moments_of(there, 500)
    assert set(chosen) <= set(there)
    assert len(moments_of(there[:40], 500)[0]) <= 40
    assert moments_of([], 500)[0] == []


@pytest.mark.parametrize(("reads", "looks"), [(100, 100), (100, 30), (100, 1), (100, 0), (7, 20)])
def test_looks_are_spread_evenly_and_never_too_many(reads: int, looks: int) -> None:
    gate = PlannedLooks(
        Brightness(), frames=1000, reads=reads, looks=looks, spared=lambda at_s: at_s < 10
    )
    assert not any(gate.decide(EMPTY, float(s)).score for s in range(10))
    scored = [gate.decide(EMPTY, 10.0 + s).score for s in range(reads)]
    assert sum(scored) == min(looks, reads)
    for part in np.array_split(np.array(scored), 5):
        assert abs(part.sum() - sum(scored) / 5) <= 1
    assert gate.record.scored == sum(scored)
    assert gate.record.passed_over == 1000 - sum(scored)
    assert gate.record.blind == sum(scored)
