"""The synthetic square: the same second always looks the same, and its people are where it says."""

from __future__ import annotations

import numpy as np
import pytest

from streams.synthetic.plaza.people import MOST, how_many, people_at
from streams.synthetic.plaza.render import PlazaRenderer
from streams.synthetic.plaza.scene import WIDE_M, make_plaza
from streams.synthetic.source import SyntheticCamera
from streams.synthetic.truth import CLASS_NAMES

EVENING = 19.5 * 3600.0
SEEDS = (3, 5, 9)


def test_any_second_can_be_rendered_without_those_before_it() -> None:
    warm = PlazaRenderer(make_plaza(3))
    for t in range(3):
        warm.render(EVENING - 3 + t)
    image, truth = PlazaRenderer(make_plaza(3)).render(EVENING)
    again, same = warm.render(EVENING)
    assert np.array_equal(image, again)
    assert np.array_equal(truth.points, same.points)


def test_seeds_differ_and_days_differ() -> None:
    assert not np.array_equal(make_plaza(3).background, make_plaza(5).background)
    plaza = make_plaza(3)
    today, tomorrow = (people_at(plaza, EVENING + d * 86_400) for d in (0, 1))
    assert not np.array_equal(today.coat[:20], tomorrow.coat[:20])


@pytest.mark.parametrize("seed", SEEDS)
def test_from_nobody_to_hundreds_through_the_day(seed: int) -> None:
    plaza = make_plaza(seed)
    counts = [how_many(plaza, hour * 3600) for hour in np.arange(0, 24, 0.25)]
    assert min(counts) == 0
    assert 180 < max(counts) <= MOST
    assert np.argmax(counts) > 60  # in the evening


@pytest.mark.parametrize("seed", SEEDS)
def test_everybody_is_in_the_picture_and_nobody_jumps(seed: int) -> None:
    plaza = make_plaza(seed)
    for t in EVENING + 977.0 * np.arange(4):
        now, soon = people_at(plaza, t), people_at(plaza, t + 0.5)
        assert 0 <= now.x_m.min() <= now.x_m.max() <= WIDE_M
        assert 0 <= now.y_m.min() <= now.y_m.max() <= plaza.deep_m
        both = min(len(now), len(soon))
        step = np.hypot(now.x_m[:both] - soon.x_m[:both], now.y_m[:both] - soon.y_m[:both])
        assert step.max() < 0.8


def test_a_point_holds_a_person() -> None:
    """At the points, and hardly elsewhere, the picture differs from the empty square."""
    plaza = make_plaza(3)
    image, truth = PlazaRenderer(plaza).render(EVENING)
    empty = np.median([PlazaRenderer(plaza).render(EVENING + 60 * k)[0] for k in range(9)], axis=0)
    change = np.abs(image - empty).max(axis=2)
    inside = truth.points[(truth.points < [319, 191]).all(axis=1)].astype(int)
    assert len(inside) > 150
    assert change[inside[:, 1], inside[:, 0]].mean() > 2 * change.mean()


def test_the_same_square_at_another_size() -> None:
    small, large = make_plaza(3, width_px=160, height_px=96), make_plaza(3)
    assert small.deep_m == pytest.approx(large.deep_m)
    assert small.gathering == large.gathering
    points = [PlazaRenderer(p).render(EVENING)[1].points for p in (small, large)]
    assert np.allclose(2 * points[0], points[1], atol=1e-3)


def test_truth_belongs_to_the_frame() -> None:
    url = "synthetic://plaza?seed=3&hours=0.01&start=19.5&day=2"
    source = SyntheticCamera.from_url(url, camera="square")
    assert source.info.kind == "synthetic plaza"
    image, truth = PlazaRenderer(make_plaza(3)).render((2 * 24 + 19.5) * 3600)
    assert np.array_equal(next(source.frames()).image, image)
    assert np.array_equal(source.truth(0.0).points, truth.points)
    assert set(truth.labels.tolist()) == {CLASS_NAMES.index("person")}
