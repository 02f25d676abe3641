"""A camera's classes: merging, translating a detector's labels, carrying predictor rows over."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from models.boxes.classes import COCO_80, ClassMap
from models.boxes.detections import Detections
from models.errors import ModelError

MERGED = ClassMap.from_config({"vehicle": ["car", "bus", "truck", "vehicle"], "person": ["person"]})
APART = [(0, 0, 9, 9), (20, 0, 29, 9), (40, 0, 49, 9), (60, 0, 69, 9)]


def found(xyxy: list[tuple[int, int, int, int]], labels: list[int]) -> Detections:
    scores = np.linspace(0.9, 0.5, len(labels), dtype=np.float32)
    return Detections(np.array(xyxy, np.float32), scores, np.array(labels, np.int64))


def test_a_list_names_each_class_as_the_detector_does() -> None:
    classes = ClassMap.from_config(["person", "dog"])
    assert classes.names == ("person", "dog")
    assert classes.sources == (("person",), ("dog",))


def test_coco_has_its_eighty_classes_in_order() -> None:
    assert len(COCO_80) == len(set(COCO_80)) == 80
    assert [COCO_80[i] for i in (0, 2, 5, 7, 16, 79)] == [
        "person", "car", "bus", "truck", "dog", "toothbrush",
    ]  # fmt: skip


def test_translate_merges_relabels_and_drops() -> None:
    # Given a person, a truck, a dog and a car, far apart,
    detections = found(APART, [COCO_80.index(n) for n in ("person", "truck", "dog", "car")])
    ours = MERGED.translate(detections, COCO_80)
    # Then the dog is gone, the others keep order, boxes and scores.
    assert ours.labels.tolist() == [1, 0, 0]
    assert ours.boxes_xyxy[:, 0].tolist() == [0, 20, 60]
    np.testing.assert_array_equal(ours.scores, detections.scores[[0, 1, 3]])


def test_translate_of_nothing_is_nothing() -> None:
    assert len(MERGED.translate(Detections.empty(), COCO_80)) == 0


def test_an_object_found_as_two_merged_classes_counts_once() -> None:
    car, truck, person = (COCO_80.index(n) for n in ("car", "truck", "person"))
    box = (0, 0, 20, 20)
    ours = MERGED.translate(found([box] * 4, [truck, car, car, person]), COCO_80)
    # The truck, which is best, stays; both cars go; the person is another class.
    assert ours.labels.tolist() == [0, 1]
    assert ours.scores[0] == np.float32(0.9)
    # The detector's own choice within one of its classes is not touched.
    assert len(MERGED.translate(found([box] * 2, [car, car]), COCO_80)) == 2


def test_unknown_class_names_itself_the_known_ones_and_a_likely_one() -> None:
    with pytest.raises(ModelError, match=r"'persons' is unknown .* person, car\. Did you mean 'p"):
        ClassMap.from_config(["persons"]).translate(Detections.empty(), ["person", "car"])
    with pytest.raises(ModelError, match=r"'xylophone' .* toothpick.* List under 'xylophone'"):
        ClassMap.from_config(["xylophone"]).check(["toothpick"])
    with pytest.raises(ModelError, match=r"person, .*, …\. List under 'zzz'"):
        ClassMap.from_config(["zzz"]).check(COCO_80)


def test_one_known_name_of_several_is_enough() -> None:
    MERGED.check(["vehicle", "person", "bike"])


def test_a_label_beyond_the_names_is_refused() -> None:
    with pytest.raises(ModelError, match="label 7, but the detector names 2"):
        MERGED.translate(found(APART[:1], [7]), ["person", "car"])


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ([], "needs one class at least"),
        ({"person": []}, "'person' has no detector class"),
        (["person", "person"], "class 'person' is named twice"),
        ({"a": ["car"], "b": ["bus", "car"]}, "detector class 'car' appears twice"),
    ],
)
def test_wrong_config_is_refused(config: Any, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        ClassMap.from_config(config)


def test_rows_for_own_name_first_then_merged_names_in_order_else_none() -> None:
    assert MERGED.rows_for(["person", "vehicle"]) == [1, 0]
    assert MERGED.rows_for(COCO_80) == [COCO_80.index("car"), 0]
    assert MERGED.rows_for(["truck", "bus", "vehicle"]) == [2, None]
    assert MERGED.rows_for(["truck", "bus"]) == [1, None]
    assert MERGED.rows_for([]) == [None, None]
