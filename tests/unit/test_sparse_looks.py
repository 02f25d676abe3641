"""Sparse looks: how many, where, and what a short visit's chance is to be looked at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from culling_pipeline.gate.sparse import SparseLooks, SparsePlan
from tests.unit.brightness import Brightness

EMPTY = np.full((48, 80, 3), 90, np.uint8)


@dataclass
class Scene:
    """A day of noise, and a square that stands somewhere new in the frames of `visits`."""

    visits: NDArray[np.bool_]

    def frame(self, number: int) -> NDArray[np.uint8]:
        image = EMPTY + np.random.default_rng(number).integers(0, 3, EMPTY.shape, np.uint8)
        if self.visits[number]:
            left = 7 * number % 60
            image[16:32, left : left + 16] = 250
        return image


def looked_at(scene: Scene, looks: int, seed: int = 0) -> NDArray[np.bool_]:
    frames = len(scene.visits)
    sparse = SparseLooks(
        SparsePlan(frames=frames, looks=looks), Brightness(), np.random.default_rng(seed)
    )
    return np.array([sparse.decide(scene.frame(i)).score for i in range(frames)])


@given(frames=st.integers(10, 3000), looks=st.integers(1, 300), seed=st.integers(0, 9))
@settings(max_examples=30, deadline=None)
def test_never_more_than_allowed(frames: int, looks: int, seed: int) -> None:
    looks = min(looks, frames)
    sparse = SparseLooks(
        SparsePlan(frames=frames, looks=looks), Brightness(), np.random.default_rng(seed)
    )
    decided = [sparse.decide(EMPTY).score for _ in range(frames)]
    assert sum(decided) <= looks
    assert sparse.record.scored == sum(decided)
    assert sparse.record.passed_over == frames - sum(decided)


def test_no_hour_goes_by_unseen() -> None:
    seen = looked_at(Scene(np.zeros(2400, np.bool_)), looks=96)
    by_hour = seen.reshape(24, 100).sum(axis=1)
    assert by_hour.min() >= 1
    assert looked_at(Scene(np.zeros(2400, np.bool_)), looks=96, seed=1).tolist() != seen.tolist()


def test_led_looks_go_where_something_changes() -> None:
    visits = np.zeros(4000, np.bool_)
    visits[1000:1400] = visits[3000:3400] = True
    seen = looked_at(Scene(visits), looks=200)
    busy, quiet = seen[visits].mean(), seen[~visits].mean()
    assert busy > 3 * quiet


def test_led_looks_last_until_the_end_of_the_day() -> None:
    seen = looked_at(Scene(np.ones(4000, np.bool_)), looks=200)
    assert seen.sum() > 170
    assert seen[3000:].sum() > 25  # a quarter of the day, an eighth of the looks at the least


def test_a_short_visit_is_looked_at_as_often_as_its_share_says() -> None:
    """Blind looks alone: 3,000 looks of 86,400 frames leave 28.8 s a look, of which one half is
    blind, so half a minute is looked at in one of two days."""
    hits = 0
    for seed in range(200):
        sparse = SparseLooks(
            SparsePlan(frames=600, looks=20), Brightness(), np.random.default_rng(seed)
        )
        sparse._every = 10_000  # the picture is never measured: only blind looks
        seen = [sparse.decide(EMPTY).score for _ in range(600)]
        hits += any(seen[300:330])
    assert hits / 200 == pytest.approx(0.5, abs=0.1)


def test_spared_frames_are_not_looked_at_and_cost_nothing() -> None:
    sparse = SparseLooks(
        SparsePlan(frames=500, looks=50), Brightness(), np.random.default_rng(0),
        spared=lambda at_s: at_s >= 500,
    )  # fmt: skip
    seen = [sparse.decide(EMPTY, float(i)).score for i in range(1000)]
    assert not any(seen[500:])
    assert sparse.record.scored + sparse.record.passed_over == 1000


def test_a_recording_longer_than_its_header_says_is_still_looked_at() -> None:
    sparse = SparseLooks(SparsePlan(frames=100, looks=20), Brightness(), np.random.default_rng(0))
    seen = [sparse.decide(EMPTY).score for _ in range(400)]
    assert any(seen[300:])
