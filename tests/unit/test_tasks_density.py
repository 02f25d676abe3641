"""Counting as a task: truths of boxes, maps and points, doubt, errors, files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from culling_pipeline.records.labels import CorrectedFrame
from culling_pipeline.tasks.density.counted import Counted, peaks
from culling_pipeline.tasks.density.drawing import painted
from culling_pipeline.tasks.density.opening import SelfDoubting
from culling_pipeline.tasks.density.task import CountTask
from culling_pipeline.tasks.samples import AS_IT_IS, FLIPPED, Sample
from models.boxes.classes import ClassMap
from models.boxes.detections import Detections
from models.density.answer import DensityMap
from models.density.student import new_density_student
from models.errors import ModelError
from models.zones import Zones

LEFT_HALF = Zones((((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)),))
TASK = CountTask(
    classes=ClassMap.from_config(["person"]),
    sigma_share=0.02,
    teacher_min_score=0.5,
    teacher_min_side=0.0,
    ignore_zones=Zones(),
)
POINTS = np.array([[20.0, 30.0], [100.0, 40.0], [101.0, 41.0]], np.float32)


def counted(points: NDArray[np.float32] = POINTS) -> Counted:
    return Counted.of_points(points, 96, 160, sigma_share=0.02)


def map_of(points: NDArray[np.float32] = POINTS) -> Counted:
    return Counted(counted(points).map)


def test_the_middles_of_a_teachers_boxes_are_the_points() -> None:
    boxes = np.array([[10, 10, 30, 50], [50, 10, 70, 50], [90, 10, 110, 50]], np.float32)
    said = Detections(boxes, np.array([0.9, 0.2, 0.8], np.float32), np.array([1, 1, 0], np.int64))
    truth = TASK.truth(said, ("dog", "person"), height_px=96, width_px=160)
    assert truth.points is not None
    assert truth.points.tolist() == [[20.0, 30.0]]  # the second is unsure, the third is a dog
    assert truth.count == 1
    assert truth.map.count == pytest.approx(1, abs=1e-5)


def test_a_box_teacher_without_the_class_is_refused_in_one_line() -> None:
    with pytest.raises(ModelError, match="class 'person' is unknown to the detector") as error:
        TASK.check_teacher(("dog", "cat"))
    assert "\n" not in str(error.value)
    TASK.check_teacher(("person",))


def test_no_points_and_points_outside_are_no_error() -> None:
    nobody = counted(np.zeros((0, 2), np.float32))
    assert (nobody.count, nobody.map.count) == (0, 0)
    outside = np.array([[-5.0, 3.0], [10.0, 10.0], [10.0, 97.0]], np.float32)
    assert counted(outside).count == 1


def test_nobody_in_a_zone_counts_or_is_learned_from() -> None:
    task = replace(TASK, ignore_zones=LEFT_HALF)
    assert task.outside_zones(counted(), 96, 160).count == 2
    assert task.outside_zones(map_of(), 96, 160).count == pytest.approx(2, abs=0.01)
    sample = Sample(np.zeros((96, 160, 3), np.uint8), counted(), LEFT_HALF.map())
    [(_, target)] = task.pictures([sample], (), size=(96, 160), variation=AS_IT_IS).plain
    assert target["weight"][0, :, :20].sum() == 0
    assert target["weight"][0, :, 20:].min() == 1
    student = new_density_student("mcnn", "person", (96, 160), width=0.25)
    _, changed = sample, {**target, "density": target["density"].clone()}
    changed["density"][0, :, :20] += 7.0
    image = torch.zeros(3, 96, 160, dtype=torch.uint8)
    one, other = (task.losses(student, [(image, t)]) for t in (target, changed))
    assert torch.equal(one, other)


def test_the_mirror_image_has_a_mirrored_map() -> None:
    image = np.zeros((96, 160, 3), np.uint8)
    pictures = TASK.pictures([Sample(image, counted())], (), size=(96, 160), variation=FLIPPED)
    plain = pictures.plain[0][1]["density"]
    seen = [pictures(0, np.random.default_rng(s))[1]["density"] for s in range(8)]
    mirrored = [m for m in seen if not torch.equal(m, plain)]
    assert 0 < len(mirrored) < 8
    assert torch.equal(mirrored[0], plain.flip(2))
    assert plain[0, :, :20].sum() == pytest.approx(1, abs=0.01)
    assert mirrored[0][0, :, 20:].sum() == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("net", ["mcnn", "csrnet", "csrnet_lite"])
@pytest.mark.parametrize("size", [(96, 160), (70, 118)])
def test_a_student_of_any_stride_learns_from_the_same_targets(
    net: str, size: tuple[int, int]
) -> None:
    student = new_density_student(net, "person", size, width=0.1)
    sample = Sample(np.full((96, 160, 3), 90, np.uint8), counted())
    pictures = TASK.pictures([sample, sample], (), size=size, variation=AS_IT_IS)
    student.model.train()
    losses = TASK.losses(student, pictures.plain)
    assert losses.shape == (2,)
    losses.sum().backward()  # type: ignore[no-untyped-call]


def test_a_perfect_map_has_no_loss() -> None:
    sample = Sample(np.zeros((96, 160, 3), np.uint8), counted())
    [(image, target)] = TASK.pictures([sample], (), size=(96, 160), variation=AS_IT_IS).plain

    class Knows:
        def model(self, images: torch.Tensor) -> torch.Tensor:
            return target["density"][None]

    assert TASK.losses(Knows(), [(image, target)]).item() == 0  # type: ignore[arg-type]


def test_maps_and_points_teach_the_same() -> None:
    image = np.zeros((96, 160, 3), np.uint8)
    samples = [Sample(image, counted()), Sample(image, map_of())]
    one, other = TASK.pictures(samples, (), size=(48, 80), variation=AS_IT_IS).plain
    assert one[1]["density"].sum() == pytest.approx(3, abs=1e-3)
    assert torch.allclose(one[1]["density"], other[1]["density"], atol=0.1)


class Says:
    """A student that says the same map of every picture, wherever it is mirrored."""

    class_names = ("person",)

    def predict(self, images: Sequence[NDArray[np.uint8]]) -> list[DensityMap]:
        return [map_of().map for _ in images]


def test_doubt_is_what_the_mirror_image_changes() -> None:
    image = np.zeros((96, 160, 3), np.uint8)
    [answer] = SelfDoubting(Says(), Zones()).predict([image])
    assert answer.count == pytest.approx(3, abs=1e-3)
    assert TASK.unsureness(answer) == pytest.approx(6, abs=0.5)  # all three are elsewhere
    middle = DensityMap(np.ones((1, 1), np.float32), 96, 160)

    class Sure(Says):
        def predict(self, images: Sequence[NDArray[np.uint8]]) -> list[DensityMap]:
            return [middle for _ in images]

    assert TASK.unsureness(SelfDoubting(Sure(), Zones()).predict([image])[0]) == 0


def test_missed_and_invented_are_of_places_not_only_of_the_count() -> None:
    elsewhere = counted(np.array([96.0, 90.0], np.float32) - POINTS * [0.5, 0.5])
    wrong = TASK.disagreement(7, elsewhere, counted())
    assert (wrong.teacher_objects, wrong.missed, wrong.invented) == (3, 3, 3)
    right = TASK.disagreement(7, map_of(), counted())
    assert (right.missed, right.invented) == (0, 0)
    assert right.average_precision > 0.95 > wrong.average_precision


def test_the_score_is_the_error_of_the_count() -> None:
    one, three = counted(POINTS[:1]), counted()
    scored = TASK.score([one, three], [three, three])
    assert (scored.score.metric, scored.score.value, scored.objects) == ("MAE", 1.0, 6)
    assert [s.metric for s in scored.further] == ["RMSE", "GAME(3)"]
    assert scored.further[0].value == pytest.approx(np.sqrt(2))
    found = TASK.compare([one] * 6, [three] * 6, [three] * 6, range(6), rng=np.random.default_rng())
    assert (found.gain, found.low, found.high) == (2.0, 2.0, 2.0)


def test_a_day_without_anybody_measures_nothing() -> None:
    nobody = counted(np.zeros((0, 2), np.float32))
    assert TASK.score([counted()], [nobody]).objects == 0
    found = TASK.compare([nobody], [nobody], [nobody], [0], rng=np.random.default_rng())
    assert (found.low, found.high) == (-np.inf, np.inf)


@pytest.mark.parametrize("said", [counted(), map_of(), TASK.nothing, replace(map_of(), doubt=2.5)])
def test_answers_come_back_from_a_line(said: Counted) -> None:
    line = json.loads(json.dumps(TASK.as_json(said)))
    back = TASK.answer_from(line)
    assert back.count == pytest.approx(said.count, abs=1e-3)
    assert back.doubt == said.doubt
    assert (back.map.height_px, back.map.width_px) == (said.map.height_px, said.map.width_px)
    assert TASK.disagreement(0, back, said).missed == 0
    assert len(json.dumps(line)) < 600


def test_a_line_without_an_answer_is_nothing() -> None:
    assert TASK.answer_from({"frame": 3}).count == 0


def test_corrections_by_hand_go_out_and_come_back() -> None:
    truth = counted()
    boxes = TASK.labelled(truth)
    frame = CorrectedFrame(
        run_id="2026-11-21",
        frame_id=1,
        wall_time=datetime(2026, 11, 21, tzinfo=UTC),
        image="a.jpg",
        height_px=96,
        width_px=160,
        class_names=("person",),
        boxes_xyxy=tuple(tuple(box) for box in boxes.boxes_xyxy.tolist()),
        classes=("person",) * len(boxes),
        corrected_at=datetime(2026, 11, 22, tzinfo=UTC),
    )
    back = TASK.corrected(frame).points
    assert back is not None
    assert np.allclose(back, POINTS, atol=1e-3)
    assert replace(TASK, ignore_zones=LEFT_HALF).corrected(frame).count == 2


def test_a_map_has_as_many_peaks_as_people() -> None:
    spread = np.array([[20, 30], [60, 70], [100, 40], [140, 80]], np.float32)
    found = peaks(map_of(spread).map, sigma_share=0.02)
    assert len(found) == 4
    apart = np.linalg.norm(found[:, None] - spread[None], axis=2).min(axis=0)
    assert apart.max() < 4
    assert len(TASK.labelled(map_of(spread))) == 4


def test_a_corrected_person_at_the_edge_keeps_their_place() -> None:
    edge = counted(np.array([[0.0, 50.0], [159.5, 95.0]], np.float32))
    boxes = TASK.labelled(edge).boxes_xyxy
    assert np.allclose((boxes[:, :2] + boxes[:, 2:]) / 2, edge.points)


def test_pictures_show_the_map_and_the_counts() -> None:
    svg = "".join(TASK.drawing(map_of(), counted(), width_px=160))
    assert "person: teacher 3, student 3" in svg
    assert 'class="heat' in svg
    assert 'class="points teacher"' in svg
    assert "".join(TASK.drawing(TASK.nothing, TASK.nothing, width_px=160)).count("<path") == 0
    image = np.full((96, 160, 3), 90, np.uint8)
    shown = painted(image, map_of(), "person")
    assert np.abs(shown[38:44, 96:104].astype(int) - 90).max() > 40
    assert np.array_equal(shown[80:, :60], image[80:, :60])
