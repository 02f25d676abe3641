"""The synthetic street: the same second always looks the same, and its boxes are true."""

from __future__ import annotations

import numpy as np
import pytest

from streams.base import SourceUrlError
from streams.sampler import Sampler
from streams.synthetic.source import SyntheticCamera
from streams.synthetic.street.light import light_at
from streams.synthetic.street.render import StreetRenderer
from streams.synthetic.street.scene import make_scene
from streams.synthetic.street.traffic import actors_at, busyness

URL = "synthetic://street?seed=7&hours=24"


def camera(url: str = URL) -> SyntheticCamera:
    return SyntheticCamera.from_url(url, camera="test")


def test_any_second_can_be_rendered_without_those_before_it() -> None:
    late = 17 * 3600.0
    warm = StreetRenderer(make_scene(7))
    for t in range(5):
        warm.render(late - 5 + t)
    cold = StreetRenderer(make_scene(7))
    image, truth = cold.render(late)
    again, same = warm.render(late)
    assert np.array_equal(image, again)
    assert np.array_equal(truth.boxes_xyxy, same.boxes_xyxy)


def test_seeds_differ_and_days_differ() -> None:
    assert not np.array_equal(make_scene(7).background, make_scene(8).background)
    renderer = StreetRenderer(make_scene(7))
    noon = 12 * 3600.0
    assert not np.array_equal(renderer.render(noon)[0], renderer.render(noon + 86_400)[0])


def test_people_walk_and_are_not_drawn_anew_each_second() -> None:
    scene = make_scene(7)
    start = 8 * 3600.0
    now = {a.colour: (a.x_m, a.z_m) for a in actors_at(scene, start) if a.kind == "person"}
    soon = {a.colour: (a.x_m, a.z_m) for a in actors_at(scene, start + 1) if a.kind == "person"}
    both = now.keys() & soon.keys()
    assert len(both) >= 3
    for who in both:
        assert 0.3 < np.hypot(*np.subtract(now[who], soon[who])) < 3.5


def test_far_people_are_smaller() -> None:
    scene = make_scene(7)
    assert scene.px_per_m(30) < scene.px_per_m(10) / 2.9
    assert scene.horizon_px < scene.row(30) < scene.row(10)


def test_night_is_darker_than_day() -> None:
    scene = make_scene(7)
    renderer = StreetRenderer(scene)
    day, night = (renderer.render(h * 3600)[0].mean() for h in (12.5, 2.5))
    assert night < 0.6 * day
    assert (light_at(scene, 2.5 * 3600).day, light_at(scene, 12.5 * 3600).day) == (0.0, 1.0)


def test_traffic_follows_the_hours() -> None:
    for kind in ("person", "car", "bicycle"):
        assert busyness(kind, 17.5) > 4 * busyness(kind, 3.0)
    rush, night = (
        np.mean([len(actors_at(make_scene(7), h * 3600 + 30 * k)) for k in range(60)])
        for h in (17, 3)
    )
    assert rush > 3 * night


def test_a_box_holds_its_object() -> None:
    """Where there is a box, the picture differs from the same street with nobody in it."""
    renderer = StreetRenderer(make_scene(7))
    moments = [8 * 3600.0 + 13 * k for k in range(20)]
    background = np.median([renderer.render(t)[0] for t in moments], axis=0)
    inside, outside = [], []
    for t in moments:
        image, truth = renderer.render(t)
        change = np.abs(image - background).max(axis=2)
        mask = np.zeros(change.shape, bool)
        for x1, y1, x2, y2 in truth.boxes_xyxy.astype(int):
            mask[y1:y2, x1:x2] = True
        inside.append(change[mask])
        outside.append(change[~mask])
    assert np.concatenate(inside).mean() > 2 * np.concatenate(outside).mean()


def test_boxes_lie_in_the_frame_and_have_a_class() -> None:
    renderer = StreetRenderer(make_scene(11, width_px=200, height_px=120))
    seen = 0
    for hour in range(24):
        image, truth = renderer.render(hour * 3600 + 100)
        assert image.shape == (120, 200, 3)
        seen += len(truth.labels)
        if len(truth.labels):
            assert truth.boxes_xyxy.min() >= 0
            assert (truth.boxes_xyxy.max(axis=0) <= [200, 120, 200, 120]).all()
            assert set(truth.labels.tolist()) <= {0, 1, 2}
    assert seen > 10


def test_the_sampler_is_asked_before_anything_is_rendered() -> None:
    source = camera("synthetic://street?seed=7&hours=1&fps=10")
    times = [frame.time_s for frame in source.frames(Sampler(60.0))]
    assert times == [60.0 * k for k in range(60)]


def test_truth_belongs_to_the_frame() -> None:
    source = camera("synthetic://street?seed=7&hours=0.01&start=8&day=2")
    frame = next(source.frames())
    expected = StreetRenderer(make_scene(7)).render((2 * 24 + 8) * 3600)
    assert np.array_equal(frame.image, expected[0])
    assert np.array_equal(source.truth(0.0).boxes_xyxy, expected[1].boxes_xyxy)


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("synthetic://beach?seed=1", r"no synthetic scene called 'beach'"),
        ("synthetic://street?sead=1", r"unknown option 'sead'.*allowed: seed"),
        ("synthetic://street?hours=0", r"hours=0 .* must be 0.001…"),
        ("synthetic://street?seed=x", r"seed=x .* must be 0…"),
        ("synthetic://street?width=", r"width= .* must be 64…"),
    ],
)
def test_a_bad_address_is_refused(url: str, what: str) -> None:
    with pytest.raises(SourceUrlError, match=what):
        camera(url)
