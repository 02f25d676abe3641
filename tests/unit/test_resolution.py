"""optResolution on a stub whose curve is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from culling_pipeline.culling.resolution import opt_resolution, relative_mse
from culling_pipeline.tasks.boxes.smallest_size import smallest_scale_for
from models.boxes.detections import Detections


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


def test_it_finds_the_last_scale_before_the_change_is_too_much() -> None:
    # relative MSE at scale s is (4(1−s))²/4: 0.04 at 0.9, 0.1444 at 0.81, 0.2938 at 0.729
    stub = Stub(4.0)
    search = opt_resolution(stub, 5, threshold=0.2, min_scale=0.3)
    assert search.scale == pytest.approx(0.81)
    # twelve scales down to 0.3138: halving asks for the 7th, the 4th, the 2nd and the 3rd
    assert stub.asked == pytest.approx([1.0, 0.9**6, 0.9**3, 0.9, 0.81])
    assert [p.scale for p in search.points] == pytest.approx([1.0, 0.9, 0.81, 0.729, 0.9**6])
    assert [p.relative_mse for p in search.points][:3] == pytest.approx([0.0, 0.04, 0.1444])
    assert search.student_passes == 25


@pytest.mark.parametrize("slope", [0.0, 0.5, 1.0, 2.0, 4.0, 40.0])
@pytest.mark.parametrize("min_scale", [0.3, 0.5, 0.9, 1.0])
def test_halving_finds_what_trying_all_would(slope: float, min_scale: float) -> None:
    found = opt_resolution(Stub(slope), 80, threshold=0.05, min_scale=min_scale).scale
    scales = [0.9**k for k in range(12) if 0.9**k >= min_scale - 1e-9]
    assert found == pytest.approx(min(s for s in scales if (slope * (1 - s)) ** 2 / 4 <= 0.05))


@pytest.mark.parametrize("frames", [64, 128, 256])
def test_the_search_takes_a_fifth_of_trying_everything(frames: int) -> None:
    for slope in (0.0, 1.0, 40.0):
        search = opt_resolution(Stub(slope), frames, threshold=0.05, min_scale=0.5)
        assert search.student_passes <= 7 * frames / 5


def test_the_sample_is_spread_over_the_kept_set() -> None:
    asked: list[Sequence[int]] = []

    def losses_at(scale: float, positions: Sequence[int]) -> np.ndarray:  # type: ignore[type-arg]
        asked.append(positions)
        return np.ones(len(positions))

    opt_resolution(losses_at, 256, threshold=0.05, min_scale=0.5)
    assert {tuple(positions) for positions in asked} == {tuple(asked[0])}  # the same at every scale
    assert (asked[0][0], asked[0][-1], len(set(asked[0]))) == (0, 255, 89)


def test_without_a_threshold_the_student_is_not_asked() -> None:
    stub = Stub(40.0)
    search = opt_resolution(stub, 64, threshold=None, min_scale=0.6)
    assert (search.scale, search.points, search.student_passes) == (pytest.approx(0.9**4), (), 0)
    assert not stub.asked


def test_one_scale_is_no_search() -> None:
    stub = Stub(0.0)
    search = opt_resolution(stub, 64, threshold=0.05, min_scale=0.95)
    assert (search.scale, search.student_passes, stub.asked) == (1.0, 0, [])


def squares(*sides_px: float, label: int = 0) -> Detections:
    """Boxes of these sides, one class."""
    boxes = np.array([(3, 5, 3 + side, 5 + side) for side in sides_px], np.float32)
    labels = np.full(len(boxes), label, np.int64)
    return Detections(boxes.reshape(-1, 4), np.ones(len(boxes), np.float32), labels)


def test_objects_may_shrink_to_the_least_side() -> None:
    # a side of 48 px may be halved; 2×18 px has an area of 6²
    assert smallest_scale_for([squares(48.0)], shrink=1.0, min_object_px=24) == pytest.approx(0.5)
    flat = Detections(
        np.array([(0, 0, 18, 2)], np.float32), np.ones(1, np.float32), np.zeros(1, np.int64)
    )
    assert smallest_scale_for([flat], shrink=1.0, min_object_px=3) == pytest.approx(0.5)


def test_objects_are_measured_at_full_size() -> None:
    """On a frame of twice the student's size 48 px are 24."""
    assert smallest_scale_for([squares(48.0)], shrink=0.5, min_object_px=18) == pytest.approx(0.75)


def test_a_tenth_of_the_objects_may_be_too_small() -> None:
    frames = [squares(4.0, *[60.0] * 10), squares(*[60.0] * 10), squares()]
    assert smallest_scale_for(frames, shrink=1.0, min_object_px=24) == pytest.approx(0.4)
    frames = [squares(4.0, *[60.0] * 8)]
    assert smallest_scale_for(frames, shrink=1.0, min_object_px=24) == 1.0


def test_every_class_counts_for_itself() -> None:
    """A few small people beside many large cars."""
    frames = [squares(*[100.0] * 40), squares(30.0, label=1)]
    assert smallest_scale_for(frames, shrink=1.0, min_object_px=24) == pytest.approx(0.8)


@pytest.mark.parametrize("labels", [[], [squares()], [squares(10.0)]])
def test_nothing_labelled_and_nothing_to_spare_are_full_size(labels: list[Detections]) -> None:
    assert smallest_scale_for(labels, shrink=1.0, min_object_px=24) == 1.0


def test_the_first_step_can_be_too_much() -> None:
    assert opt_resolution(Stub(40.0), 5, threshold=0.2, min_scale=0.3).scale == 1.0


def test_it_never_goes_below_the_smallest_scale() -> None:
    search = opt_resolution(Stub(0.0), 5, threshold=0.2, min_scale=0.6)
    assert search.scale == pytest.approx(0.9**4)
    assert [round(p.computation, 4) for p in search.points] == [1.0, 0.6561, 0.5314, 0.4305]


def test_no_frames_no_search() -> None:
    assert opt_resolution(Stub(4.0), 0, threshold=0.2, min_scale=0.5).scale == 1.0
