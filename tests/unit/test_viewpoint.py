"""Backgrounds of a day, and whether the camera still looks where it did."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from culling_pipeline.day.frame_files import write_image
from culling_pipeline.monitoring.background import (
    MIN_FRAMES,
    Background,
    agreement,
    background_of,
    best_shift,
    edges_of,
    median,
    shrunk,
)
from culling_pipeline.monitoring.reference_views import ReferenceViews, load_day, save_day
from culling_pipeline.monitoring.viewpoint import PastDay, compare, references, watch_view
from culling_pipeline.records.day import StoredFrame
from culling_pipeline.records.monitoring import ViewRecord
from streams.synthetic.street.render import StreetRenderer
from streams.synthetic.street.scene import make_scene

Picture = NDArray[np.uint8]
MONDAY = date(2026, 1, 5)
SEED = 22
WIDE, HIGH = 320, 192
SLOTS = (1, 4, 6, 9)
"""Night, morning, noon and evening."""


@cache
def whole(day: int, slot: int) -> Picture:
    """The background of two hours of a synthetic street, from three moments, wider than what the
    camera sees of it."""
    renderer = StreetRenderer(make_scene(SEED, width_px=WIDE, height_px=HIGH))
    times = [day * 86_400 + (slot + (n + 0.5) / 3) * 7200 for n in range(3)]
    return median(cv2.cvtColor(renderer.render(t)[0], cv2.COLOR_RGB2GRAY) for t in times)


def seen(picture: Picture, x: int = 0, y: int = 0) -> Picture:
    """What the camera sees of it, turned by so many pixels."""
    return picture[16 + y : 176 + y, 10 + x : 266 + x]


def day(number: int, change: Callable[[Picture], Picture] = seen, slots: tuple[int, ...] = SLOTS,
        changed: tuple[int, ...] = SLOTS) -> Background:  # fmt: skip
    """A day's backgrounds, those of the slots `changed` after a change."""
    pictures = {
        slot: shrunk((change if slot in changed else seen)(whole(number % 4, slot)))
        for slot in slots
    }
    return Background(MONDAY + timedelta(days=number), 256, pictures)


def verdict(today: Background) -> ViewRecord:
    return compare([day(n) for n in range(3)], today)


# -- days as ever ----------------------------------------------------------------------------------


def test_another_day_with_other_weather_and_cars_is_the_same() -> None:
    record = verdict(day(3))
    assert record.state == "same"
    assert record.fit_to_train
    assert len(record.slots) == len(SLOTS)
    assert min(s.agreement for s in record.slots) > 0.7


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda p: np.clip(seen(p) * 1.4 + 12, 0, 255).astype(np.uint8), id="brighter"),
        pytest.param(lambda p: (seen(p) * 0.5).astype(np.uint8), id="darker"),
        pytest.param(lambda p: 255 - seen(p), id="inverted"),  # what is lit at night is dark by day
        pytest.param(lambda p: seen(p, x=1), id="wind"),
        pytest.param(lambda p: (seen(p) * 0.6 + 76).astype(np.uint8), id="fog"),
    ],
)
def test_other_light_is_the_same_view(change: Callable[[Picture], Picture]) -> None:
    assert verdict(day(3, change)).state == "same"


def test_an_evening_compared_with_evenings_only() -> None:
    """The first two hours of the day have no reference: nothing is said of them."""
    early = [day(n, slots=SLOTS[1:]) for n in range(3)]
    record = compare(early, day(3))
    assert [s.slot for s in record.slots] == list(SLOTS[1:])


# -- moved -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("x", "y"), [(5, 0), (-9, 4), (26, 0), (0, -8), (51, 0)])
def test_a_camera_turned_aside_is_moved_by_so_many_pixels(x: int, y: int) -> None:
    record = verdict(day(3, lambda p: seen(p, x=x, y=y)))
    assert record.state == "moved"
    assert not record.fit_to_train
    for slot in record.slots:
        assert slot.x_px == pytest.approx(-x, abs=1.6)  # what is seen moves the other way
        assert slot.y_px == pytest.approx(-y, abs=1.6)
    assert f"{abs(record.slots[-1].x_px or 0):.0f} px" in record.reason


@pytest.mark.parametrize(("deg", "zoom"), [(4.0, 1.0), (-10.0, 1.0), (0.0, 1.15), (0.0, 1.3)])
def test_a_camera_turned_or_zoomed_is_moved(deg: float, zoom: float) -> None:
    matrix = cv2.getRotationMatrix2D((138, 96), deg, zoom)
    record = verdict(day(3, lambda p: seen(cv2.warpAffine(p, matrix, (WIDE, HIGH)))))
    assert record.state == "moved"
    assert np.median([s.turn_deg for s in record.slots]) == pytest.approx(deg, abs=1.5)
    assert np.median([s.zoom for s in record.slots]) == pytest.approx(zoom, abs=0.06)
    assert ("turned by about" if deg else "zoomed to about") in record.reason


def test_a_camera_moved_in_mid_day_is_dated() -> None:
    record = verdict(day(3, lambda p: seen(p, x=20), changed=SLOTS[1:]))
    assert record.state == "moved"
    assert record.since_hour == 2 * SLOTS[1]
    assert ViewRecord.model_validate_json(record.model_dump_json()) == record


def test_two_hours_alone_move_nothing() -> None:
    record = verdict(day(3, lambda p: seen(p, x=20), changed=SLOTS[-2:]))
    assert record.state == "same"
    assert "as usual, except at 12:00, 18:00" in record.reason


def test_another_place_is_moved_but_nobody_knows_how_far() -> None:
    record = verdict(day(3, lambda p: np.ascontiguousarray(seen(p)[::-1, ::-1])))
    assert record.state == "moved"
    assert record.slots[-1].x_px is None
    assert record.reason.startswith("the picture is different")


# -- covered ---------------------------------------------------------------------------------------


def tape(picture: Picture) -> Picture:
    noise = np.random.default_rng(0).normal(6, 1, seen(picture).shape)
    return np.clip(noise, 0, 255).astype(np.uint8)


def bag(picture: Picture) -> Picture:
    held = seen(picture).copy()
    held[:, 128:] = 90
    return held


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (tape, "100% of the picture is hidden"),
        (lambda p: np.full_like(seen(p), 230), "blurred or empty"),
        (lambda p: seen(cv2.GaussianBlur(p, (0, 0), 8)), "blurred or empty"),
        (bag, "of the picture is hidden"),
    ],
    ids=["tape", "paper", "out of focus", "bag"],
)
def test_a_covered_lens(change: Callable[[Picture], Picture], why: str) -> None:
    record = verdict(day(3, change))
    assert record.state == "covered"
    assert why in record.reason
    assert not record.fit_to_train


# -- nothing to compare with -----------------------------------------------------------------------


def test_the_first_days_are_learned_from() -> None:
    first = watch_view([], day(0))
    second = watch_view([PastDay(day(0), first.state)], day(1))
    third = watch_view([PastDay(day(0), "learning"), PastDay(day(1), "learning")], day(2))
    assert [first.state, second.state, third.state] == ["learning", "learning", "same"]


def test_a_camera_that_sees_nothing_at_night_is_not_called_covered() -> None:
    black = [day(n, tape) for n in range(3)]
    record = compare(black, day(3, tape))
    assert {s.state for s in record.slots} == {"unknown"}
    assert record.state == "learning"


def test_a_picture_of_another_shape_is_not_compared() -> None:
    other = Background(MONDAY, 256, {s: shrunk(whole(3, s)[:100]) for s in SLOTS})
    assert verdict(other).slots == ()


# -- from day to day -------------------------------------------------------------------------------


def test_a_new_view_that_stays_becomes_the_usual_one() -> None:
    past: list[PastDay] = []
    states = []
    for number in range(9):
        today = day(number, (lambda p: seen(p, x=20)) if number >= 3 else seen)
        record = watch_view(past, today)
        states.append(record.state)
        past.append(PastDay(today, record.state))
    assert states[:3] == ["learning", "learning", "same"]
    # On the first day it may have moved at any hour; then three whole days in the new place.
    assert states[3:] == ["moved", "moved", "moved", "settled", "same", "same"]


def test_a_covered_lens_never_becomes_usual() -> None:
    past = [PastDay(day(n), "same") for n in range(3)]
    for number in range(3, 8):
        record = watch_view(past, day(number, tape))
        assert record.state == "covered"
        past.append(PastDay(day(number, tape), record.state))
    assert watch_view(past, day(8)).state == "same"


def test_references_leave_out_what_was_not_the_usual_view() -> None:
    past = [PastDay(day(0), "same"), PastDay(day(1), "covered"), PastDay(day(2), "moved")]
    usual, moved = references(past)
    assert [b.date for b in usual] == [MONDAY]
    assert [b.date for b in moved] == [MONDAY + timedelta(days=2)]
    many = [PastDay(day(0), "same")] * 20
    assert len(references(many)[0]) == 7


# -- backgrounds -----------------------------------------------------------------------------------


def stored(folder: Path, hour: int, count: int, first: int) -> list[StoredFrame]:
    """Frames of a plain grey wall, a white thing passing through each at another place."""
    frames = []
    for n in range(count):
        image = np.full((96, 320, 3), 80, np.uint8)
        image[:, 40 * n : 40 * n + 30] = 255
        name = f"{first + n:06d}.jpg"
        write_image(folder, name, image)
        at = datetime(2026, 1, 5, hour, 5 * n).astimezone().astimezone(UTC)
        frames.append(
            StoredFrame(
                id=first + n, path=name, time_s=0.0, wall_time=at, part=0, confidence_loss=0.0
            )
        )
    return frames


def test_what_passes_by_is_not_in_the_background(tmp_path: Path) -> None:
    frames = stored(tmp_path, 12, MIN_FRAMES, 0) + stored(tmp_path, 15, MIN_FRAMES - 1, 50)
    background = background_of(tmp_path, frames, day=MONDAY)
    assert list(background.slots) == [6]  # of the other slot there are too few
    assert background.full_width_px == 320
    picture = background.slots[6]
    assert picture.shape == (48, 160)
    assert picture.dtype == np.uint8
    assert np.abs(picture.astype(int) - 80).max() <= 6  # JPEG


def test_a_missing_frame_is_named(tmp_path: Path) -> None:
    frames = stored(tmp_path, 12, MIN_FRAMES, 0)
    (tmp_path / frames[2].path).unlink()
    with pytest.raises(FileNotFoundError, match=r"000002\.jpg"):
        background_of(tmp_path, frames, day=MONDAY)


def test_a_background_comes_back_from_disk(tmp_path: Path) -> None:
    today = day(0)
    save_day(PastDay(today, "moved"), tmp_path / "view.npz")
    again, state = load_day(tmp_path / "view.npz")
    assert state == "moved"
    assert (again.date, again.full_width_px) == (today.date, today.full_width_px)
    assert all((again.slots[s] == today.slots[s]).all() for s in today.slots)
    assert [p.name for p in tmp_path.iterdir()] == ["view.npz"]
    assert (tmp_path / "view.npz").stat().st_size < 120_000


def test_half_a_file_is_no_background(tmp_path: Path) -> None:
    path = tmp_path / "view.npz"
    save_day(PastDay(day(0), "same"), path)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(ValueError, match=r"view\.npz: not a background"):
        load_day(path)


def test_a_state_that_is_none_is_no_background(tmp_path: Path) -> None:
    save_day(PastDay(day(0), "odd"), tmp_path / "view.npz")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"view\.npz: not a background"):
        load_day(tmp_path / "view.npz")


# -- days on disk ----------------------------------------------------------------------------------


def black(picture: Picture) -> Picture:
    return np.full_like(seen(picture), 3)


def judged(folder: Path, *changes: Callable[[Picture], Picture], first: int = 0) -> list[str]:
    """The states said of days in a row; asked again of the last, it says the same."""
    said = []
    for number, change in enumerate(changes, start=first):
        today = day(number, change, slots=SLOTS[1:])
        verdict = ReferenceViews(folder).judge(today)
        said.append(verdict.state)
    assert ReferenceViews(folder).judge(today) == verdict
    return said


def dates(*numbers: int) -> list[str]:
    return [str(MONDAY + timedelta(days=number)) for number in numbers]


def turned(picture: Picture) -> Picture:
    return seen(picture, x=9)


def test_a_moved_camera_settles_and_a_covered_one_never_does(tmp_path: Path) -> None:
    usual = judged(tmp_path, *[seen] * 3)
    assert usual == ["learning", "learning", "same"]
    assert judged(tmp_path, *[black] * 5, first=3) == ["covered"] * 5
    moved = judged(tmp_path, *[turned] * 5, first=8)
    assert moved == ["moved", "moved", "moved", "settled", "same"]
    assert judged(tmp_path, seen, first=13) == ["moved"]


def test_only_days_that_count_stay_on_disk(tmp_path: Path) -> None:
    for n in range(10):
        save_day(PastDay(day(n, slots=SLOTS[1:]), "same"), tmp_path / f"{dates(n)[0]}.npz")
    assert judged(tmp_path, black, first=10) == ["covered"]
    names = [path.stem for path in sorted(tmp_path.iterdir())]
    assert names == dates(*range(3, 10))
    assert judged(tmp_path, *[turned] * 5, first=11)[-2:] == ["settled", "same"]
    names = [path.stem for path in sorted(tmp_path.iterdir())]
    assert names == dates(12, 13, 14, 15)


def test_a_later_day_does_not_change_what_is_said_of_an_earlier_one(tmp_path: Path) -> None:
    assert judged(tmp_path, seen, seen, first=1)[-1] == "learning"
    assert judged(tmp_path, turned, first=0) == ["learning"]


def test_a_damaged_day_is_told_of_and_dropped(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    judged(tmp_path, *[seen] * 3)
    broken = tmp_path / f"{MONDAY}.npz"
    broken.write_bytes(b"PK")
    assert judged(tmp_path, seen, first=3) == ["same"]
    assert "not a background, or damaged: delete it; it is deleted" in caplog.text
    assert not broken.exists()


def test_what_is_wrong_in_words() -> None:
    record = verdict(day(3, black, changed=(6, 9), slots=(1, 4, 6, 9)))
    assert record.fit_to_train  # two slots prove nothing
    record = verdict(day(3, black, changed=(4, 6, 9)))
    assert record.in_words.startswith("the lens was covered, since 08:00: the picture is blurred")
    assert verdict(day(3, black)).in_words.startswith("the lens was covered, the whole day: ")


def test_edges_agree_with_themselves_inverted_and_with_nothing_flat() -> None:
    picture = day(0).slots[6]
    edges, inverted = edges_of(picture), edges_of(255 - picture)
    assert agreement(edges.direction, edges.direction) == pytest.approx(1.0, abs=1e-4)
    assert agreement(edges.direction, inverted.direction) == pytest.approx(1.0, abs=1e-3)
    flat = edges_of(np.full((96, 160), 100, np.uint8))
    assert agreement(edges.direction, flat.direction) == 0.0


@pytest.mark.parametrize(("x", "y"), [(0, 0), (3, -2), (-40, 20)])
def test_the_best_shift_is_found(x: int, y: int) -> None:
    rng = np.random.default_rng(0)
    big = cv2.GaussianBlur(rng.uniform(0, 255, (200, 320)).astype(np.float32), (0, 0), 2)
    scaled = ((big - big.min()) / (big.max() - big.min()) * 255).astype(np.uint8)
    a = edges_of(scaled[50:146, 80:240]).direction
    b = edges_of(scaled[50 - y : 146 - y, 80 - x : 240 - x]).direction
    shift = best_shift(a, b)
    assert (shift.x_px, shift.y_px) == (x, y)
    assert shift.agreement > 0.9
