"""optResolution on a stub whose curve is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from culling_pipeline.resolution import opt_resolution, relative_mse


class Stub:
    """L_conf is 2 on every frame and moves by `slope` for each unit of scale lost."""

    def __init__(self, slope: float) -> None:
        self.slope = slope
        self.asked: list[float] = []

    def __call__(self, scale: float, positions: Sequence[int]) -> np.ndarray:  # type: ignore[type-arg]
        self.asked.append(scale)
        return 2.0 + self.slope * (1 - scale) * np.ones(len(positions))


def test_relative_mse_by_hand() -> None:
    # changes 1 and −1, mean square 1; at full size 3² and 1², mean square 5
    assert relative_mse(np.array([3.0, 1.0]), np.array([2.0, 2.0])) == pytest.approx(0.2)


def test_relative_mse_of_nothing() -> None:
    assert relative_mse(np.zeros(3), np.zeros(3)) == 0.0
    assert relative_mse(np.zeros(3), np.ones(3)) == float("inf")


def test_it_stops_before_the_scale_that_changes_too_much() -> None:
    # relative MSE at scale s is (4(1−s))²/4: 0.04 at 0.9, 0.1444 at 0.81, 0.2938 at 0.729
    stub = Stub(4.0)
    search = opt_resolution(stub, 5, threshold=0.2, min_scale=0.3)
    assert search.scale == pytest.approx(0.81)
    assert [p.relative_mse for p in search.points] == pytest.approx([0.0, 0.04, 0.1444, 0.293764])
    assert stub.asked == pytest.approx([1.0, 0.9, 0.81, 0.729])  # and nothing below
    assert search.student_passes == 20


def test_the_first_step_can_be_too_much() -> None:
    assert opt_resolution(Stub(40.0), 5, threshold=0.2, min_scale=0.3).scale == 1.0


def test_it_never_goes_below_the_smallest_scale() -> None:
    search = opt_resolution(Stub(0.0), 5, threshold=0.2, min_scale=0.6)
    assert search.scale == pytest.approx(0.9**4)
    assert [round(p.computation, 4) for p in search.points] == [1.0, 0.81, 0.6561, 0.5314, 0.4305]


def test_no_frames_no_search() -> None:
    assert opt_resolution(Stub(4.0), 0, threshold=0.2, min_scale=0.5).scale == 1.0
