"""The synthetic court: the same second always looks the same, its boxes are true, large, people."""

from __future__ import annotations

import numpy as np
import pytest

from streams.base import SourceUrlError
from streams.synthetic.court.players import GAME_S, ROUND_S, Player, players_at, round_at
from streams.synthetic.court.render import CourtRenderer, lamp_colour
from streams.synthetic.court.scene import Court, make_court
from streams.synthetic.source import SyntheticCamera
from streams.synthetic.truth import CLASS_NAMES

AFTERNOON = 15 * 3600.0
SEEDS = (3, 5, 9)


def game_start(court: Court) -> float:
    """When the first game after `AFTERNOON` begins, seconds since midnight of day 0."""
    return AFTERNOON + ROUND_S - round_at(court, AFTERNOON)[1]


def shirts(players: list[Player]) -> set[tuple[float, ...]]:
    return {p.shirt for p in players}


def test_any_second_can_be_rendered_without_those_before_it() -> None:
    warm = CourtRenderer(make_court(3))
    for t in range(5):
        warm.render(AFTERNOON - 5 + t)
    image, truth = CourtRenderer(make_court(3)).render(AFTERNOON)
    again, same = warm.render(AFTERNOON)
    assert np.array_equal(image, again)
    assert np.array_equal(truth.boxes_xyxy, same.boxes_xyxy)


def test_seeds_differ_and_days_differ() -> None:
    assert not np.array_equal(make_court(3).background, make_court(5).background)
    court = make_court(3)
    start = game_start(court)
    today, tomorrow = (players_at(court, t + 60) for t in (start, start + 86_400))
    assert shirts(today) != shirts(tomorrow)


def test_the_lamps_have_another_colour_on_another_day() -> None:
    court = make_court(9)
    today, tomorrow = lamp_colour(court, 0), lamp_colour(court, 1)
    assert 0.003 < np.abs(today - tomorrow).max() < 0.25
    assert np.array_equal(today, lamp_colour(court, 0))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_game_has_players_and_a_break_hardly_anybody(seed: int) -> None:
    court = make_court(seed)
    start = game_start(court)
    game = [len(players_at(court, start + t)) for t in range(30, 700, 30)]
    idle = [len(players_at(court, start + t)) for t in range(round(GAME_S) + 1, round(ROUND_S), 10)]
    assert 5 <= min(game) <= max(game) <= 10
    assert max(idle) <= 2


@pytest.mark.parametrize("seed", SEEDS)
def test_nobody_jumps_from_place_to_place(seed: int) -> None:
    court = make_court(seed)
    start = game_start(court)
    for t in np.arange(start, start + ROUND_S, 7.0):
        here = players_at(court, t)
        later = players_at(court, t + 0.1)
        for one in later if len(here) == len(later) else []:
            assert min(np.hypot(one.x_m - p.x_m, one.z_m - p.z_m) for p in here) <= 0.6  # 6 m/s


@pytest.mark.parametrize("seed", SEEDS)
def test_those_who_come_and_go_do_so_outside_the_picture(seed: int) -> None:
    court = make_court(seed)
    moments = np.arange(AFTERNOON, AFTERNOON + ROUND_S, 0.5)
    counts = [len(players_at(court, t)) for t in moments]
    changes = [t for t, a, b in zip(moments, counts, counts[1:], strict=False) if a != b]
    assert changes
    for t in changes:
        by_count = sorted((players_at(court, t), players_at(court, t + 0.5)), key=len)
        stay = shirts(by_count[0])
        new = [p for p in by_count[1] if p.shirt not in stay or abs(p.x_m) > 7]
        assert any(not 0 < court.column(p.x_m, p.z_m) < court.width_px for p in new)


@pytest.mark.parametrize("seed", SEEDS)
def test_boxes_lie_in_the_frame_and_are_of_large_people(seed: int) -> None:
    renderer = CourtRenderer(make_court(seed))
    heights = []
    for t in AFTERNOON + 60.0 * np.arange(60):
        image, truth = renderer.render(t)
        assert image.shape == (192, 320, 3)
        assert set(truth.labels.tolist()) <= {CLASS_NAMES.index("person")}
        if len(truth.labels):
            assert truth.boxes_xyxy.min() >= 0
            assert (truth.boxes_xyxy.max(axis=0) <= [320, 192, 320, 192]).all()
            heights += (truth.boxes_xyxy[:, 3] - truth.boxes_xyxy[:, 1]).tolist()
    assert len(heights) > 120
    assert np.median(heights) > 0.25 * 192
    assert np.percentile(heights, 90) > 0.3 * 192


def test_a_box_holds_its_player() -> None:
    """Where there is a box, the picture differs from the same court with nobody in it."""
    renderer = CourtRenderer(make_court(3))
    moments = game_start(make_court(3)) + 31.0 * np.arange(1, 16)
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
    assert np.concatenate(inside).mean() > 3 * np.concatenate(outside).mean()


def test_the_same_court_at_another_size() -> None:
    small, large = make_court(3, width_px=160, height_px=96), make_court(3)
    assert (small.near_m, small.sport) == (large.near_m, large.sport)
    assert small.row(9.0) == pytest.approx(large.row(9.0) / 2)


def test_truth_belongs_to_the_frame() -> None:
    source = SyntheticCamera.from_url(
        "synthetic://court?seed=3&hours=0.01&start=15&day=2", camera="hall"
    )
    assert source.info.kind == "synthetic court"
    frame = next(source.frames())
    image, truth = CourtRenderer(make_court(3)).render((2 * 24 + 15) * 3600)
    assert np.array_equal(frame.image, image)
    assert np.array_equal(source.truth(0.0).boxes_xyxy, truth.boxes_xyxy)


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("synthetic://pitch?seed=1", r"called 'pitch'.*synthetic://street.*synthetic://court"),
        ("synthetic://court?sead=1", r"unknown option 'sead'.*allowed: seed"),
        ("synthetic://court?hours=0", r"hours=0 .* must be 0.001…"),
        ("synthetic://court?seed=x", r"seed=x .* must be 0…"),
        ("synthetic://court?world=1", r"unknown option 'world'.*allowed: seed"),
    ],
)
def test_a_bad_address_is_refused(url: str, what: str) -> None:
    with pytest.raises(SourceUrlError, match=what):
        SyntheticCamera.from_url(url, camera="test")
