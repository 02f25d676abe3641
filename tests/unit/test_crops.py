"""Square crops of training pictures: what they show, and that boxes, zones and pasted objects
follow."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from culling_pipeline.tasks.boxes.augment import box_pictures
from culling_pipeline.tasks.boxes.crops import REST, Square, cropped, square_of, zones_in
from culling_pipeline.tasks.samples import Prepared, Sample
from models.boxes.detections import Detections
from models.zones import GRID, Zones
from tests.unit.plans import variation

CROPS = variation(flip=False, crops=1.0)
SIZE = (60, 100)
"""Height and width at which the student trains."""


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def picture(*boxes: tuple[float, float, float, float], shape: tuple[int, int]) -> Prepared:
    """Black; objects are white."""
    image = torch.zeros((3, *shape), dtype=torch.uint8)
    for x1, y1, x2, y2 in boxes:
        image[:, int(y1) : int(y2), int(x1) : int(x2)] = 255
    return image, {
        "boxes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        "labels": torch.arange(1, len(boxes) + 1),
    }


def sample(*boxes: tuple[int, int, int, int], ground: int = 0, colour: int = 255) -> Sample:
    """A frame of 240×400, four times as large as the student's pictures."""
    image = np.full((240, 400, 3), ground, np.uint8)
    for x1, y1, x2, y2 in boxes:
        image[y1:y2, x1:x2] = colour
    found = np.array(boxes, np.float32).reshape(-1, 4)
    count = len(boxes)
    return Sample(image, Detections(found, np.ones(count, np.float32), np.zeros(count, np.int64)))


@st.composite
def pictures(draw: st.DrawFn) -> Prepared:
    height, width = draw(st.integers(8, 90)), draw(st.integers(8, 90))
    boxes = []
    for _ in range(draw(st.integers(0, 4))):
        x1, y1 = draw(st.integers(0, width - 2)), draw(st.integers(0, height - 2))
        x2, y2 = draw(st.integers(x1 + 1, width)), draw(st.integers(y1 + 1, height))
        boxes.append((x1, y1, x2, y2))
    return picture(*boxes, shape=(height, width))


@given(pictures(), st.floats(0, 200), st.integers(0, 1000))
@settings(max_examples=200, deadline=None)
def test_a_square_stays_in_the_picture_and_holds_an_object(
    sample: Prepared, least_px: float, seed: int
) -> None:
    image, target = sample
    _, height, width = image.shape
    square = square_of(sample, rng(seed), least_px=least_px)
    assert 1 <= square.side <= min(height, width)
    assert square.side >= min(int(least_px), height, width)
    assert 0 <= square.x <= width - square.side
    assert 0 <= square.y <= height - square.side
    fit = [box for box in target["boxes"].tolist() if longer_side(box) <= min(height, width)]
    if len(target["boxes"]) and len(fit) == len(target["boxes"]):
        assert any(
            square.x <= x1 and square.y <= y1 and x2 <= square.x + square.side
            and y2 <= square.y + square.side
            for x1, y1, x2, y2 in fit
        )  # fmt: skip


def longer_side(box: list[float]) -> float:
    x1, y1, x2, y2 = box
    return max(x2 - x1, y2 - y1)


@given(pictures(), st.integers(0, 1000))
@settings(max_examples=200, deadline=None)
def test_boxes_lie_on_what_they_are_of(sample: Prepared, seed: int) -> None:
    square = square_of(sample, rng(seed), least_px=6)
    image, target = cropped(sample, square, size=SIZE)
    assert image.shape == (3, *SIZE)
    boxes = target["boxes"]
    assert len(boxes) == len(target["labels"])
    assert bool((boxes >= 0).all())
    assert bool((boxes <= torch.tensor([SIZE[1], SIZE[0]] * 2)).all())
    back = boxes / torch.tensor([SIZE[1] / square.side, SIZE[0] / square.side] * 2)
    back += torch.tensor([square.x, square.y] * 2)
    for box, label in zip(back, target["labels"], strict=True):
        whole = sample[1]["boxes"][label - 1]
        limits = torch.tensor([square.x, square.y] * 2, dtype=torch.float32)
        expected = torch.maximum(torch.minimum(whole, limits + square.side), limits)
        assert torch.allclose(box, expected, atol=1e-3)
        assert area(box) > REST * area(whole) * 0.999


def area(box: torch.Tensor) -> float:
    return float((box[2] - box[0]) * (box[3] - box[1]))


def test_what_is_left_of_a_dropped_object_is_ignored() -> None:
    whole = picture((10, 10, 30, 30), (38, 10, 70, 30), shape=(60, 100))
    _, target = cropped(whole, Square(0, 0, 40), size=(80, 80))
    assert target["boxes"].tolist() == [[20, 20, 60, 60]]
    zones = target["ignored"]
    rows, columns = (int(share * GRID) for share in (0.5, 0.97))
    assert bool(zones[rows, columns]), "the last two columns are of the second object"
    assert float(zones.float().mean()) == pytest.approx(0.05 * 0.5, abs=0.01)
    _, target = cropped(whole, Square(0, 0, 35), size=(80, 80))
    assert "ignored" not in target, "nothing was cut off"


def test_ignore_zones_are_cut_as_the_picture_is() -> None:
    corners = ((0.5, 0.0), (1.0, 0.0), (1.0, 1.0), (0.5, 1.0))
    zones = torch.from_numpy(Zones((corners,)).map())
    found = zones_in(Square(30, 10, 40), zones, (60, 100))
    assert not found[:, : GRID // 2 - 1].any(), "the zone begins at x = 50, the square's middle"
    assert bool(found[:, GRID // 2 + 1 :].all())
    image, target = picture((35, 15, 45, 25), shape=(60, 100))
    _, kept = cropped((image, {**target, "ignored": zones}), Square(30, 10, 40), size=(80, 80))
    assert torch.equal(kept["ignored"], found)


def test_a_crop_is_of_the_frame_as_the_camera_took_it() -> None:
    frame = sample((200, 100, 220, 120))
    frame.image[100:120, 200:220:2] = 128  # stripes of a pixel, gone at a quarter of the size
    show = box_pictures([frame], [], size=SIZE, variation=CROPS)
    assert show.plain[0][0].max() < 210
    image, target = show(0, rng())
    assert image.shape == (3, *SIZE)
    x1, y1, x2, y2 = target["boxes"][0].tolist()
    assert (x2 - x1) / (y2 - y1) == pytest.approx(100 / 60), "as wide as recorders make it"
    assert image.max() > 220, "the stripes are there"


def test_pasted_objects_are_in_the_crops() -> None:
    frames = [sample((10 + 24 * k, 100, 30 + 24 * k, 120), colour=100 + 40 * k) for k in range(4)]
    pasting = variation(flip=False, crops=1.0, paste=1.0)
    show = box_pictures(frames[:2], frames[2:], size=SIZE, variation=pasting)
    assert show.givers == 2
    shown = [show(0, rng(seed)) for seed in range(20)]
    assert max(len(target["boxes"]) for _, target in shown) > 2
    for image, target in shown:
        for box in target["boxes"]:
            x, y = ((box[:2] + box[2:]) / 2).int().tolist()
            assert image[0, y, x] >= 100, "each box has an object in it"


def test_a_frame_without_objects_gives_squares_of_its_ground() -> None:
    show = box_pictures([sample(ground=7)], [], size=SIZE, variation=CROPS)
    image, target = show(0, rng())
    assert image.shape == (3, *SIZE)
    assert bool((image == 7).all())
    assert target["boxes"].shape == (0, 4)


def test_the_share_is_kept_and_0_changes_nothing() -> None:
    frame = sample((200, 100, 220, 120))
    half = box_pictures([frame], [], size=SIZE, variation=variation(flip=False, crops=0.5))
    draws, plain = rng(), half.plain[0]
    whole = sum(torch.equal(half(0, draws)[0], plain[0]) for _ in range(200))
    assert 75 < whole < 125
    none = box_pictures([frame], [], size=SIZE, variation=variation(flip=False))
    untouched, fresh = rng(3), rng(3)
    assert none(0, untouched) is none.plain[0]
    assert untouched.random() == fresh.random(), "no draw more than before the setting was there"


def test_the_same_draws_give_the_same_crops() -> None:
    frames = [sample((50, 50, 90, 120)), sample((150, 100, 200, 120), (300, 10, 340, 90))]
    varied = variation(crops=0.5, paste=0.7, shift=0.15, light=0.2)
    one, two = (box_pictures(frames, [], size=SIZE, variation=varied) for _ in range(2))
    first, second = rng(4), rng(4)
    for k in range(8):
        (image, target), (other, their) = one(k % 2, first), two(k % 2, second)
        assert torch.equal(image, other)
        assert torch.equal(target["boxes"], their["boxes"])
