"""Varied training pictures: what is pasted, moved, mirrored and relit, and that boxes follow."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from culling_pipeline.tasks.boxes.augment import (
    DONORS,
    BoxPictures,
    Prepared,
    box_pictures,
    donor_of,
    mirrored,
    neighbours,
    neighbours_in,
    pasted,
    shifted,
)
from culling_pipeline.tasks.plain_pictures import relit
from culling_pipeline.tasks.samples import Sample
from models.boxes.detections import Detections
from tests.unit.plans import variation

AS_IT_IS = variation(flip=False)
VARIED = variation(paste=0.7, shift=0.15, light=0.2)


def picture(*boxes: tuple[int, int, int, int], ground: int = 50, colour: int = 200) -> Prepared:
    """48×64, plain, each box filled with a colour; its label is its place in the list."""
    image = torch.full((3, 48, 64), ground, dtype=torch.uint8)
    for x1, y1, x2, y2 in boxes:
        image[:, y1:y2, x1:x2] = colour
    labels = torch.arange(1, len(boxes) + 1)
    return image, {
        "boxes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        "labels": labels,
    }


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


# -- pasting ---------------------------------------------------------------------------------------


def test_an_object_is_pasted_at_its_own_place_with_its_label() -> None:
    sample, donor = picture((2, 2, 10, 10)), picture((40, 20, 50, 40), (20, 30, 28, 40), colour=99)
    image, target = pasted(sample, donor_of(donor), rng(), chance=1.0)
    assert target["boxes"].tolist() == [[2, 2, 10, 10], [40, 20, 50, 40], [20, 30, 28, 40]]
    assert target["labels"].tolist() == [1, 1, 2]
    assert bool((image[:, 20:40, 40:50] == 99).all())
    assert bool((image[:, 2:10, 2:10] == 200).all())
    assert bool((sample[0][:, 20:40, 40:50] == 50).all()), "the sample itself stays"
    assert len(sample[1]["boxes"]) == 1


def test_a_margin_of_the_donor_s_background_comes_along() -> None:
    image, _ = pasted(picture(), donor_of(picture((20, 9, 40, 39), ground=80)), rng(), chance=1.0)
    assert bool((image[:, 6:42, 17:43] >= 80).all())  # 8 % of 30 px, in whole pixels
    assert bool((image[:, :, :17] == 50).all())
    assert bool((image[:, :6] == 50).all())


def test_what_would_touch_an_object_stays_out() -> None:
    sample = picture((10, 10, 30, 30))
    near, far = (30, 12, 40, 30), (45, 12, 55, 30)  # a margin of a pixel and a half is pasted too
    _, target = pasted(sample, donor_of(picture(near)), rng(), chance=1.0)
    assert len(target["boxes"]) == 1
    _, target = pasted(sample, donor_of(picture(far)), rng(), chance=1.0)
    assert len(target["boxes"]) == 2


def test_objects_that_touch_are_pasted_together() -> None:
    donor = donor_of(picture((10, 10, 20, 30), (50, 10, 60, 30), (18, 12, 30, 34)))
    assert sorted(len(cut_out.boxes) for cut_out in donor.cut_outs) == [1, 2]
    image, target = pasted(picture(), donor, rng(), chance=1.0)
    found = dict(zip(target["labels"].tolist(), target["boxes"].tolist(), strict=True))
    assert found == {1: [10, 10, 20, 30], 2: [50, 10, 60, 30], 3: [18, 12, 30, 34]}
    assert bool((image[:, 10:30, 10:20] == 200).all())
    assert bool((image[:, 12:34, 18:30] == 200).all())
    _, beside = pasted(picture((5, 31, 12, 40)), donor, rng(), chance=1.0)
    assert beside["labels"].tolist() == [1, 2], "where one of them would touch, neither is pasted"


def test_what_joins_two_groups_makes_them_one() -> None:
    donor = donor_of(picture((2, 2, 10, 10), (30, 2, 40, 10), (9, 2, 31, 10)))
    (cut_out,) = donor.cut_outs
    assert sorted(cut_out.labels.tolist()) == [1, 2, 3]
    around = donor_of(picture((0, 0, 8, 8), (12, 4, 20, 22), (2, 20, 14, 30)))
    (cut_out,) = around.cut_outs  # the first lies in the corner of what the others make
    assert cut_out.region.tolist() == [0, 0, 22, 31]


def test_pasting_from_and_into_empty_pictures() -> None:
    empty = picture()
    assert pasted(empty, donor_of(picture()), rng(), chance=1.0) is empty
    corners = donor_of(picture((0, 0, 9, 9), (55, 40, 64, 48)))
    _, target = pasted(empty, corners, rng(), chance=1.0)
    assert target["boxes"].tolist() == [[0, 0, 9, 9], [55, 40, 64, 48]]


def test_each_object_has_its_own_chance() -> None:
    boxes = ((8 * k, 8 * j, 8 * k + 4, 8 * j + 4) for k in range(8) for j in range(6))
    donor = donor_of(picture(*boxes))
    counts = [len(pasted(picture(), donor, rng(k), chance=0.25)[1]["boxes"]) for k in range(40)]
    assert 10 < np.mean(counts) < 14  # 12 of 48
    assert min(counts) < max(counts)


def test_a_frame_s_neighbours_are_those_of_like_light() -> None:
    day = [picture(ground=150 + k) for k in range(4)]
    night = [picture(ground=20 + k) for k in range(4)]
    glances = [donor_of(sample).glance for sample in (*day, *night)]
    found = neighbours(glances, 8, most=3)
    assert [sorted(row.tolist()) for row in found[:4]] == [
        [1, 2, 3],
        [0, 2, 3],
        [0, 1, 3],
        [0, 1, 2],
    ]
    assert all((row >= 4).all() for row in found[4:])
    assert neighbours(glances[:2], 2).tolist() == [[1], [0]]
    assert neighbours(glances, 1, most=2).shape == (1, 2), "the others only give"


# -- moving, mirroring, light ----------------------------------------------------------------------


def test_boxes_move_with_what_they_are_of() -> None:
    for seed in range(20):
        image, target = shifted(picture((20, 16, 40, 32)), rng(seed), most=0.3)
        (x1, y1, x2, y2) = target["boxes"][0].tolist()
        bright = (image[0] > 125).nonzero()
        assert bright[:, 1].min() == pytest.approx(x1, abs=1)
        assert bright[:, 1].max() + 1 == pytest.approx(x2, abs=1)
        assert bright[:, 0].min() == pytest.approx(y1, abs=1)
        assert bright[:, 0].max() + 1 == pytest.approx(y2, abs=1)


def test_what_leaves_the_picture_is_no_example_and_what_stays_is_cut() -> None:
    sizes = set()
    for seed in range(60):
        _, target = shifted(picture((0, 16, 8, 32)), rng(seed), most=0.4)
        boxes = target["boxes"]
        assert len(target["labels"]) == len(boxes)
        sizes.add(len(boxes))
        assert bool((boxes >= 0).all())
        if len(boxes):
            assert float(boxes[0, 2] - boxes[0, 0]) > 8 * 0.6 * 0.4
    assert sizes == {0, 1}


def test_ignore_zones_move_and_turn_with_the_picture() -> None:
    image, target = picture()
    image[:, :, :32] = 200
    zone = torch.zeros((24, 32), dtype=torch.bool)
    zone[:, :16] = True
    for seed in range(10):
        moved, at = shifted((image, {**target, "ignored": zone}), rng(seed), most=0.2)
        turned, then = mirrored((moved, at))
        for picture_, map_ in ((moved, at["ignored"]), (turned, then["ignored"])):
            bright = (picture_[0, ::2, ::2] > 125) == map_
            assert bright.float().mean() > 0.95, "but for the seam"


def test_mirroring_twice_is_nothing() -> None:
    image, target = picture((3, 4, 20, 30))
    once = mirrored((image, target))
    assert once[1]["boxes"].tolist() == [[44, 4, 61, 30]]
    twice = mirrored(once)
    assert torch.equal(twice[0], image)
    assert torch.equal(twice[1]["boxes"], target["boxes"])


def test_light_changes_all_alike_and_stays_in_range() -> None:
    image = torch.arange(256, dtype=torch.uint8).repeat(3, 2, 1)
    means = set()
    for seed in range(20):
        other = relit(image, rng(seed), most=0.4)
        assert other.dtype == torch.uint8
        assert bool((other.to(torch.int16).diff(dim=2) >= 0).all()), "no order is turned round"
        means.add(round(float(other.float().mean())))
    assert len(means) > 10


# -- together --------------------------------------------------------------------------------------


def test_without_variation_pictures_are_as_they_are() -> None:
    prepared = [picture((2, 2, 10, 10)), picture((30, 20, 40, 40))]
    show = BoxPictures(prepared, AS_IT_IS)
    assert all(show(k, rng()) is prepared[k] for k in range(2))


def test_the_same_draws_give_the_same_pictures() -> None:
    prepared = [picture((2, 2, 10, 10)), picture((30, 20, 40, 40)), picture((50, 5, 60, 15))]
    one, two = (BoxPictures(prepared, VARIED) for _ in range(2))
    first, second = (
        [show(k % 3, g) for k in range(9)] for show, g in ((one, rng(4)), (two, rng(4)))
    )
    for (image, target), (other, their) in zip(first, second, strict=True):
        assert torch.equal(image, other)
        assert torch.equal(target["boxes"], their["boxes"])
    assert any(len(target["boxes"]) > 1 for _, target in first), "something was pasted"
    assert len({image.float().mean().item() for image, _ in first}) > 6


def test_every_other_picture_is_moved_and_every_other_mirrored() -> None:
    prepared, at = [picture((22, 12, 32, 30))], [[22, 12, 32, 30]]
    for varied in (variation(), variation(flip=False, shift=0.3)):
        show, draws = BoxPictures(prepared, varied), rng(1)
        still = sum(show(0, draws)[1]["boxes"].tolist() == at for _ in range(100))
        assert 35 < still < 65


def test_frames_that_are_not_trained_on_give_their_objects() -> None:
    plain, other = picture((2, 2, 10, 10)), picture((30, 20, 40, 40))
    show = BoxPictures([plain], variation(flip=False, paste=1.0), [donor_of(other)])
    assert show(0, rng())[1]["boxes"].tolist() == [[2, 2, 10, 10], [30, 20, 40, 40]]
    still = BoxPictures([plain], AS_IT_IS, [donor_of(other)])
    assert still(0, rng()) is plain, "where nothing is to be pasted"


def test_objects_come_from_several_frames_at_once() -> None:
    givers = [donor_of(picture((8 * k, 20, 8 * k + 4, 30))) for k in range(1, 8)]
    show = BoxPictures([picture()], variation(flip=False, paste=1.0), givers)
    shown = [show(0, rng(k))[1]["boxes"][:, 0].tolist() for k in range(20)]
    assert {len(boxes) for boxes in shown} == {DONORS}
    assert {x for boxes in shown for x in boxes} == {8 * k for k in range(1, 8)}


def test_a_single_picture_has_nobody_to_take_from() -> None:
    _, target = BoxPictures([picture((2, 2, 10, 10))], variation(paste=1.0))(0, rng())
    assert len(target["boxes"]) == 1


def test_objects_of_several_cameras_stay_in_their_own_scene() -> None:
    def of_camera(scene: str, grey: int) -> Sample:
        image = np.full((48, 64, 3), grey, np.uint8)
        image[10:20, 10:20] = 255 - grey
        box = Detections(
            np.array([[10, 10, 20, 20]], np.float32), np.ones(1, np.float32), np.zeros(1, np.int64)
        )
        return Sample(image, box, scene=scene)

    glances = [np.full(3, value, np.float32) for value in (0, 1, 2, 50, 51, 0)]
    found = neighbours_in(["a", "b", "a", "b", "c", "b"], glances, 5)
    assert [set(near.tolist()) for near in found] == [{2}, {3, 5}, {0}, {1, 5}, set()]

    empty = Sample(np.full((48, 64, 3), 9, np.uint8), Detections.empty(), scene="b")
    others = [of_camera("a", 10), of_camera("b", 200)]
    only_pasted = variation(flip=False, paste=1.0)
    pictures = box_pictures([empty], others, size=(48, 64), variation=only_pasted)
    image, target = pictures(0, np.random.default_rng(0))
    assert len(target["boxes"]) == 1
    assert int(image[0, 15, 15]) == 55, "the object of its own camera, not of the more similar one"
