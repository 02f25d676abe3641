"""COCO files: what is written is COCO to COCO's own code, and comes back the same."""

from __future__ import annotations

import contextlib
import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO

from culling_pipeline.tasks.boxes.coco_files import DatasetError, LabelledImage, coco_of, read_coco
from models.boxes.detections import Detections

CLASSES = ("person", "car")
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def labelled(number: int, *boxes: tuple[float, float, float, float, int]) -> LabelledImage:
    return LabelledImage(
        id=number,
        name=f"{number}.jpg",
        height_px=60,
        width_px=100,
        taken_at=NOON,
        labels=Detections(
            np.array([box[:4] for box in boxes], np.float32).reshape(-1, 4),
            np.ones(len(boxes), np.float32),
            np.array([box[4] for box in boxes], np.int64),
        ),
    )


IMAGES = [
    labelled(3, (1, 2, 11.5, 22, 1), (0, 0, 100, 60, 0)),
    labelled(7),
    labelled(9, (5, 5, 6, 6, 0)),
]


def written(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


@pytest.fixture
def content() -> dict[str, Any]:
    return coco_of(IMAGES, CLASSES, {"description": "x"})


def test_pycocotools_reads_what_is_written(tmp_path: Path, content: dict[str, Any]) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(written(tmp_path / "a.json", content)))
    assert coco.getImgIds() == [3, 7, 9]
    assert [c["name"] for c in coco.loadCats(coco.getCatIds())] == list(CLASSES)
    assert coco.getAnnIds() == [1, 2, 3]
    found = coco.loadAnns(coco.getAnnIds(imgIds=3))
    assert [(a["category_id"], a["bbox"]) for a in found] == [
        (2, [1, 2, 10.5, 20]),
        (1, [0, 0, 100, 60]),
    ]
    assert found[0]["area"] == 210
    assert coco.loadImgs(7)[0]["file_name"] == "7.jpg"
    assert coco.getAnnIds(imgIds=7) == []


def test_a_round_trip_changes_nothing(tmp_path: Path, content: dict[str, Any]) -> None:
    back = read_coco(written(tmp_path / "a.json", content), CLASSES)
    for ours, theirs in zip(IMAGES, back, strict=True):
        assert (theirs.id, theirs.name) == (ours.id, ours.name)
        assert (theirs.height_px, theirs.width_px) == (60, 100)
        np.testing.assert_array_equal(theirs.labels.boxes_xyxy, ours.labels.boxes_xyxy)
        np.testing.assert_array_equal(theirs.labels.labels, ours.labels.labels)


def test_ids_are_the_same_each_time(content: dict[str, Any]) -> None:
    assert content == coco_of(IMAGES, CLASSES, {"description": "x"})


def test_categories_are_known_by_name(tmp_path: Path, content: dict[str, Any]) -> None:
    content["categories"] = [{"id": 5, "name": "car"}, {"id": 0, "name": "person"}]
    for row in content["annotations"]:
        row["category_id"] = {1: 0, 2: 5}[row["category_id"]]
    back = read_coco(written(tmp_path / "a.json", content), CLASSES)
    assert back[0].labels.labels.tolist() == [1, 0]


def test_what_sticks_out_by_rounding_is_cut(tmp_path: Path, content: dict[str, Any]) -> None:
    content["annotations"][0]["bbox"] = [-0.5, 2, 101.2, 20]
    back = read_coco(written(tmp_path / "a.json", content), CLASSES)
    assert back[0].labels.boxes_xyxy[0].tolist() == [0, 2, 100, 22]


def changed(content: dict[str, Any], where: str, number: int, **values: Any) -> dict[str, Any]:
    content[where][number].update(values)
    return content


@pytest.mark.parametrize(
    ("where", "values", "expected"),
    [
        ("categories", {"name": "dog"}, r"categories\[0\]: name: got 'dog', .*: person, car"),
        ("categories", {"id": "a1"}, r"categories\[0\]: id: got 'a1', must be a whole number"),
        ("images", {"id": 7}, r"images\[1\]: id 7 is there twice"),
        ("images", {"id": None}, r"images\[0\]: id: got None, must be a whole number"),
        ("images", {"file_name": 3}, r"images\[0\]: file_name: got 3"),
        ("images", {"width": 50}, r"3.jpg is 50×60, but a box reaches from \[0.0, 0.0\] to \[100"),
        ("annotations", {"image_id": 4}, r"annotations\[0\]: image_id 4 is no image of this file"),
        ("annotations", {"category_id": 9}, r"annotations\[0\]: category_id 9 is no category"),
        ("annotations", {"bbox": [1, 2, 3]}, r"annotations\[0\]: bbox: got \[1, 2, 3\], must be"),
        ("annotations", {"bbox": [1, 2, 0, 3]}, r"annotations\[0\]: bbox"),
        ("annotations", {"bbox": [1, 2, float("nan"), 3]}, r"annotations\[0\]: bbox"),
        ("annotations", {"bbox": [90, 2, 15, 3]}, r"are these labels of another size"),
        (
            "annotations",
            {"bbox": [1, 2, 10**400, 3]},
            r"annotations\[0\]: bbox: got .{,60}…?, must",
        ),
        ("annotations", {"bbox": [1, 2, 1e39, 3]}, r"annotations\[0\]: bbox"),
        ("annotations", {"bbox": [1, 2, True, 3]}, r"annotations\[0\]: bbox"),
        ("annotations", {"bbox": [1, 2, "9", 3]}, r"annotations\[0\]: bbox"),
        ("annotations", {"bbox": [1, 2, -5, 3]}, r"annotations\[0\]: bbox"),
        ("annotations", {"bbox": [1, 2, 3, 4, 30]}, r"annotations\[0\]: bbox"),
        ("annotations", {"iscrowd": 1}, r"annotations\[0\]: iscrowd: got 1, .* take it out"),
        ("annotations", {"ignore": True}, r"annotations\[0\]: ignore: got True"),
        ("annotations", {"attributes": {"rotation": 30.0}}, r"annotations\[0\]: rotation: got 30"),
        (
            "annotations",
            {"category_id": 10**400},
            r"annotations\[0\]: category_id 10+\.\.\.0+ is no",
        ),
        ("annotations", {"image_id": 3.5}, r"annotations\[0\]: image_id: got 3.5, must be a whole"),
        ("images", {"width": 10**400}, r"images\[0\]: width and height: got 1"),
        ("images", {"height": -60}, r"images\[0\]: width and height: got 100 and -60"),
        ("categories", {"name": None}, r"categories\[0\]: name: got None"),
        ("categories", {"id": 2}, r"categories\[1\]: id 2 is there twice, with two names"),
    ],
)
def test_what_is_wrong_is_named(
    tmp_path: Path, content: dict[str, Any], where: str, values: dict[str, Any], expected: str
) -> None:
    path = written(tmp_path / "a.json", changed(content, where, 0, **values))
    with pytest.raises(DatasetError, match=expected):
        read_coco(path, CLASSES)


def test_boxes_in_shares_of_the_picture_are_refused(
    tmp_path: Path, content: dict[str, Any]
) -> None:
    content["annotations"][2]["bbox"] = [0.25, 0.25, 0.5, 0.75]
    with pytest.raises(
        DatasetError, match=r"images\[2\]: '9.jpg': .* within 0…1: are these shares"
    ):
        read_coco(written(tmp_path / "a.json", content), CLASSES)


def test_what_tools_write_in_their_own_way_is_understood(
    tmp_path: Path, content: dict[str, Any]
) -> None:
    # Given Roboflow's root category, other case, ids as text and as floats, a row twice,
    plain = read_coco(written(tmp_path / "a.json", content), CLASSES)
    content["categories"] = [
        {"id": 0, "name": "street-life", "supercategory": "none"},
        {"id": 1, "name": " Person ", "supercategory": "street-life"},
        {"id": "2", "name": "CAR", "supercategory": "street-life"},
    ]
    content["images"][0]["id"] = "3"
    content["annotations"][0].update(category_id=2.0, attributes={"rotation": 0.0}, iscrowd=False)
    content["annotations"].append({**content["annotations"][0], "id": 9})
    # Then it is the same file.
    found = read_coco(written(tmp_path / "a.json", content), CLASSES)
    for ours, theirs in zip(plain, found, strict=True):
        assert (ours.id, ours.name) == (theirs.id, theirs.name)
        assert ours.labels.boxes_xyxy.tolist() == theirs.labels.boxes_xyxy.tolist()
        assert ours.labels.labels.tolist() == theirs.labels.labels.tolist()


def test_a_name_that_could_be_two_classes_is_neither(
    tmp_path: Path, content: dict[str, Any]
) -> None:
    content["categories"][1]["name"] = "CAR"
    with pytest.raises(DatasetError, match="name: got 'CAR', must be one of"):
        read_coco(written(tmp_path / "a.json", content), ("person", "car", "Car"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{", "not JSON"),
        ('{"images": ' + "[" * 100_000 + "]" * 100_000 + "}", "not JSON"),
        (
            '{"images": [], "annotations": [], "categories": [], "images": []}',
            "'images' is there t",
        ),
        ("[]", "no list 'images' in it"),
        ('{"images": [], "annotations": {}}', "no list 'annotations' in it"),
        ('{"images": [], "annotations": []}', "no list 'categories' in it"),
        ('{"images": [3]}', "no list 'images' in it"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "a.json").write_text(text, encoding="utf-8")
    with pytest.raises(DatasetError, match=expected):
        read_coco(tmp_path / "a.json", CLASSES)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"no\.json: cannot be read \(No such file"):
        read_coco(tmp_path / "no.json", CLASSES)
