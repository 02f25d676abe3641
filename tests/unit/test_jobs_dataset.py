"""`culling dataset`: the kept set out, corrected labels in."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import pytest
from pycocotools.coco import COCO

from benchmarks.testbed.done_night import CAMERA, CLASSES, CONTROL, KEPT, AfterNight, make_night
from culling_pipeline.labels.corrections import load_corrections
from culling_pipeline.tasks.boxes.answer_files import load_detections
from jobs import cli
from jobs.cameras.task import task_of

Content = dict[str, Any]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> AfterNight:
    return make_night(tmp_path_factory.mktemp("night"))


@pytest.fixture
def night(made: AfterNight, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AfterNight:
    """The night, an empty working folder, and no corrections yet."""
    monkeypatch.chdir(tmp_path)
    folder = made.config.corrections_dir(CAMERA)
    for file in folder.glob("*"):
        file.unlink()
    return made


def dataset(night: AfterNight, what: str, *arguments: str) -> int:
    return cli.run(["dataset", what, CAMERA, *arguments, "--config", str(night.path)])


def exported(night: AfterNight) -> Content:
    assert dataset(night, "export", "--output", "out") == 0
    content: Content = json.loads(Path("out/annotations.json").read_text(encoding="utf-8"))
    return content


def imported(night: AfterNight, content: Content) -> int:
    Path("back.json").write_text(json.dumps(content), encoding="utf-8")
    return dataset(night, "import", "back.json")


def one_error(capsys: pytest.CaptureFixture[str]) -> str:
    found = [x for x in capsys.readouterr().err.splitlines() if x.startswith("culling: ")]
    assert len(found) == 1
    return found[0]


def test_the_kept_set_as_coco(night: AfterNight, capsys: pytest.CaptureFixture[str]) -> None:
    assert dataset(night, "export", "--output", "out", "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["images"], shown["categories"]) == (3, list(CLASSES))
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO("out/annotations.json")
    assert coco.getImgIds() == sorted(frame + 1 for frame in KEPT)
    teacher = load_detections(night.labels)
    assert shown["annotations"] == len(coco.getAnnIds()) == sum(len(teacher[i]) for i in KEPT) > 3
    for frame in KEPT:
        row = coco.loadImgs(frame + 1)[0]
        assert row["file_name"] == f"yard_2026-11-21_{frame:06d}.jpg"
        picture = cv2.imread(f"out/images/{row['file_name']}")
        assert picture.shape == (row["height"], row["width"], 3) == (96, 160, 3)
        boxes = [a["bbox"] for a in coco.loadAnns(coco.getAnnIds(imgIds=frame + 1))]
        assert [box[:2] for box in boxes] == [
            pytest.approx(box[:2], abs=0.01) for box in teacher[frame].boxes_xyxy.tolist()
        ]
    assert {file.name for file in Path().iterdir()} == {"out"}


def test_corrected_labels_come_back_and_stand(
    night: AfterNight, capsys: pytest.CaptureFixture[str]
) -> None:
    content = exported(night)
    frame = KEPT[0]
    content["annotations"] = [
        {"id": 1, "image_id": frame + 1, "category_id": 3, "bbox": [10, 20, 30, 40]}
    ]
    content["images"] = [row for row in content["images"] if row["id"] in (frame + 1, KEPT[1] + 1)]
    content["images"][0]["file_name"] = f"images/1a2b3c4d-{content['images'][0]['file_name']}"
    capsys.readouterr()
    assert imported(night, content) == 0
    assert "2 images with 1 boxes taken (2 new), 2 corrected frames" in capsys.readouterr().err
    known = load_corrections(night.config.corrections_dir(CAMERA))
    first, second = known.frames
    assert (first.frame_id, first.classes) == (frame, ("bicycle",))
    assert first.boxes_xyxy == ((10, 20, 40, 60),)
    assert first.wall_time == night.record.ingest.frames[3].wall_time
    assert second.classes == ()
    assert (known.folder / first.image).read_bytes() == (night.frames / "000013.jpg").read_bytes()
    assert imported(night, content) == 0
    assert "(0 new), 2 corrected frames in all" in capsys.readouterr().err
    assert dataset(night, "export", "--output", "again") == 0
    again = json.loads(Path("again/annotations.json").read_text())
    of_frame = [a for a in again["annotations"] if a["image_id"] == frame + 1]
    assert [(a["category_id"], a["bbox"]) for a in of_frame] == [(3, [10, 20, 30, 40])]


def test_a_picture_that_is_gone_is_taken_from_beside_the_file(
    night: AfterNight, capsys: pytest.CaptureFixture[str]
) -> None:
    content = exported(night)
    gone = night.frames / "000013.jpg"
    aside = gone.rename(night.frames / "aside")
    try:
        capsys.readouterr()
        assert imported(night, content) == 2
        assert "000013.jpg is gone from" in one_error(capsys)
        assert load_corrections(night.config.corrections_dir(CAMERA)).frames == ()
        Path("out/back.json").write_text(json.dumps(content))
        assert dataset(night, "import", "out/back.json") == 0
    finally:
        aside.rename(gone)
    folder = night.config.corrections_dir(CAMERA)
    assert (folder / "yard_2026-11-21_000013.jpg").read_bytes() == gone.read_bytes()


def test_classes_that_nobody_looked_for_are_not_taken_for_absent(night: AfterNight) -> None:
    content = exported(night)
    text = night.path.read_text()
    Path("config.yaml").write_text(
        text.replace("bicycle", "bicycle, bus, dog").replace("data_dir: data", "data_dir: there")
    )
    Path("there").symlink_to(night.config.data_dir)
    content["categories"].append({"id": 9, "name": "bus"})
    content["annotations"][0]["category_id"] = 9
    Path("back.json").write_text(json.dumps(content))
    assert cli.run(["dataset", "import", CAMERA, "back.json"]) == 0
    frame = load_corrections(night.config.corrections_dir(CAMERA)).frames[0]
    assert set(frame.class_names) == {*CLASSES, "bus"}
    assert "bus" in frame.classes


@pytest.mark.parametrize(
    "name",
    [
        "yard_2026-11-21_000013_jpg.rf.0f3a9c1bd2e4.jpg",
        "data/day 1/yard_2026-11-21_000013.png",
        "yard_2026-11-21_000013",
        "/data/upload/3/1a2b3c4d-yard_2026-11-21_000013.jpg",
        "/data/local-files/?d=images%2Fyard_2026-11-21_000013.jpg",
        "images\\yard_2026-11-21_000013.jpg",
    ],
)
def test_names_as_the_tools_give_them(night: AfterNight, name: str) -> None:
    content = exported(night)
    content["images"][0]["file_name"] = name
    assert imported(night, content) == 0
    assert load_corrections(night.config.corrections_dir(CAMERA)).frames[0].frame_id == KEPT[0]


def test_an_image_in_two_rows_counts_once_or_is_refused(
    night: AfterNight, capsys: pytest.CaptureFixture[str]
) -> None:
    """The fault `coco_silent`: no box was stored, and two were said to be."""
    # Given an image that two people labelled, the second without a box,
    content = exported(night)
    row = content["images"][0]
    content["images"].append({**row, "id": 9999})
    capsys.readouterr()
    assert imported(night, content) == 2
    assert f"is there twice (ids {row['id']} and 9999), with " in one_error(capsys)
    assert load_corrections(night.config.corrections_dir(CAMERA)).frames == ()
    # or both with the same boxes.
    mine = [a for a in content["annotations"] if a["image_id"] == row["id"]]
    content["annotations"] += [{**a, "image_id": 9999} for a in mine]
    assert imported(night, content) == 0
    assert "3 images with" in capsys.readouterr().err
    assert len(load_corrections(night.config.corrections_dir(CAMERA)).frames[0].classes) == len(
        mine
    )


def renamed(name: str) -> Callable[[Content], None]:
    return lambda content: content["images"][0].update(file_name=name)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (renamed("IMG_1.jpg"), "image 'IMG_1.jpg' is none of camera 'yard'"),
        (renamed("front_yard_2026-11-21_000013.jpg"), "is none of camera 'yard'"),
        (renamed("yard_2020-01-01_000013.jpg"), "camera 'yard' has had no night 2020-01-01"),
        (renamed("yard_2026-11-21_000099.jpg"), "night 2026-11-21 has no frame 99"),
        (renamed(f"yard_2026-11-21_{CONTROL[0]:06d}.jpg"), "control slice, which only measures"),
        (lambda c: c["images"][0].update(width=320), "is 320×96 there, but the frame is 160×96"),
        (lambda c: c["categories"][0].update(name="dog"), "got 'dog', must be one of"),
        (lambda c: c.update(images=[], annotations=[]), "no image in it: nothing was imported"),
        (lambda c: c.pop("annotations"), "no list 'annotations' in it"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_whole(
    night: AfterNight,
    capsys: pytest.CaptureFixture[str],
    change: Callable[[Content], None],
    expected: str,
) -> None:
    content = exported(night)
    change(content)
    capsys.readouterr()
    assert imported(night, content) == 2
    assert expected in one_error(capsys)
    assert load_corrections(night.config.corrections_dir(CAMERA)).frames == ()


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> AfterNight:
    return make_night(tmp_path_factory.mktemp("counted"), task="count")


@pytest.mark.parametrize(
    ("bbox", "expected"),
    [
        ([170, 20, 4, 4], "but a box reaches from [170.0, 20.0] to [174.0, 24.0]"),
        ([20, 120, 4, 4], "are these labels of another size of picture?"),  # y and x swapped
        ([-9, 20, 4, 4], "but a box reaches from [-9.0, 20.0]"),
        ([float("nan"), 20, 4, 4], "bbox: got [nan, 20, 4, 4], must be"),
        ([20, 20, 0, 0], "bbox: got [20, 20, 0, 0], must be"),
    ],
)
def test_a_point_that_is_not_in_its_picture_is_refused_in_one_line_and_nothing_is_taken(
    counted: AfterNight,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    bbox: list[float],
    expected: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    content = exported(counted)
    content["annotations"][0]["bbox"] = bbox
    capsys.readouterr()
    assert imported(counted, content) == 2
    assert expected in one_error(capsys)
    assert load_corrections(counted.config.corrections_dir(CAMERA)).frames == ()


def test_a_point_that_is_there_twice_counts_once_and_no_points_are_nobody(
    counted: AfterNight, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    content = exported(counted)
    image = content["images"][0]["id"]
    row = {"image_id": image, "category_id": 1, "bbox": [20, 30, 4, 4]}
    content["annotations"] = [{**row, "id": 1}, {**row, "id": 2}]
    try:
        assert imported(counted, content) == 0
        frames = load_corrections(counted.config.corrections_dir(CAMERA)).frames
        task = task_of(counted.config.cameras[CAMERA])
        assert [task.counts(task.corrected(frame)) for frame in frames] == [(1,), (0,), (0,)]
    finally:
        for file in counted.config.corrections_dir(CAMERA).glob("*"):
            file.unlink()


def test_where_it_may_not_be_written(night: AfterNight, capsys: pytest.CaptureFixture[str]) -> None:
    Path("full").mkdir()
    Path("full/mine").touch()
    assert dataset(night, "export", "--output", "full") == 2
    assert "--output full: is there already and not empty" in one_error(capsys)
    assert dataset(night, "export", "--output", "no/out") == 2
    assert "there is no folder no: make it first" in one_error(capsys)
    labels = night.labels.rename(night.frames / "aside")
    try:
        assert dataset(night, "export", "--output", "out") == 2
    finally:
        labels.rename(night.labels)
    assert "labels of night 2026-11-21 were not kept" in one_error(capsys)
    assert [file.name for file in Path().iterdir()] == ["full"]
