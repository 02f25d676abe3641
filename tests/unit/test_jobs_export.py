"""`culling export`: the incumbent as a file that was checked, and nothing where it failed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.testbed.done_night import CAMERA, CLASSES, CONTROL, AfterNight, make_night
from culling_pipeline.day.frame_files import load_image
from culling_pipeline.tasks.boxes.export import BoxCheck
from jobs import cli
from jobs.cameras.task import task_of
from jobs.config.settings import TaskName
from models.boxes.exported import Agreement, ExportedDetector
from models.density.export import ExportedCounter
from models.registry import ModelRegistry


@dataclass(frozen=True)
class Kind:
    """What differs between the tasks: the class of a file, the figure that it is checked by, and a
    student's answer made wrong."""

    task: TaskName
    file: Any
    figure: str
    class_names: tuple[str, ...]
    wrong: Callable[[Any], Any]
    said: tuple[str, str]


KINDS = (
    Kind(
        "boxes",
        ExportedDetector,
        "map50",
        CLASSES,
        lambda found: replace(found, boxes_xyxy=found.boxes_xyxy + np.float32(6)),
        ("its mAP50 is -", "px and"),
    ),
    Kind(
        "count",
        ExportedCounter,
        "mae",
        ("person",),
        lambda said: replace(said, density=said.density * np.float32(1.1)),
        ("its counts are up to", "its counts are up to"),
    ),
)


@dataclass(frozen=True)
class Made:
    """A camera of one task after its night."""

    kind: Kind
    night: AfterNight


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind.task)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    kind: Kind = request.param
    return Made(kind, make_night(tmp_path_factory.mktemp("night"), task=kind.task))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def export(made: Made, *arguments: str, format_: str = "torchscript") -> int:
    words = ["export", CAMERA, "--format", format_, "--config", str(made.night.path), *arguments]
    return cli.run(words)


def one_error(capsys: pytest.CaptureFixture[str]) -> str:
    lines = [x for x in capsys.readouterr().err.splitlines() if x.startswith("culling: ")]
    assert len(lines) == 1
    return lines[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("format_", "files"),
    [
        ("onnx", ["yard-start.onnx"]),
        ("openvino", ["yard-start.xml", "yard-start.bin"]),
    ],
)
def test_the_incumbent_as_a_file(
    made: Made, folder: Path, capsys: pytest.CaptureFixture[str], format_: str, files: list[str]
) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime" if format_ == "onnx" else format_)
    assert export(made, "--json", format_=format_) == 0
    shown, kind = json.loads(capsys.readouterr().out), made.kind
    assert (shown["version"], shown["files"]) == ("start", files)
    before, after = (shown["check"][f"{kind.figure}_{which}"] for which in ("student", "file"))
    assert before == pytest.approx(after, abs=0.002)
    assert before > 0.5 if kind.task == "boxes" else shown["check"]["max_count"] > 10
    there = kind.file(folder / files[0])
    assert there.class_names == kind.class_names
    assert there.about["min_score"] == 0.5
    assert (there.about["height_px"], there.about["width_px"]) == (96, 160)
    image = load_image(made.night.frames, made.night.record.ingest.frames[0])
    assert len(there.predict([image])) == 1
    assert sorted(file.name for file in folder.iterdir()) == sorted(files)


@pytest.mark.slow
def test_a_file_that_is_there_stays_unless_forced(
    made: Made, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder / "mine.pt"
    path.write_bytes(b"mine")
    assert export(made, "--output", str(path)) == 2
    assert "mine.pt: exists already: --force replaces it" in one_error(capsys)
    assert path.read_bytes() == b"mine"
    assert export(made, "--output", str(path), "--force") == 0
    assert f"on {len(CONTROL)} control frames: " in capsys.readouterr().err
    assert made.kind.file(path).class_names == made.kind.class_names


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--output", "a.onnx"], "a file of format torchscript must end in .pt"),
        (["--output", "no/a.pt"], "there is no folder no: make it first"),
        (["--version", "2020-01-01"], "has no version '2020-01-01'; there are: start"),
    ],
)
def test_bad_usage(
    made: Made,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    expected: str,
) -> None:
    assert export(made, *arguments) == 2
    assert expected in one_error(capsys)
    assert list(folder.iterdir()) == []


@pytest.mark.slow
def test_a_file_that_says_something_else_is_not_left(
    made: Made,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    kind = made.kind
    honest = kind.file.predict

    def wrong(self: Any, images: Any) -> list[Any]:
        return [kind.wrong(said) for said in honest(self, images)]

    monkeypatch.setattr(kind.file, "predict", wrong)
    assert export(made) == 4
    assert f"is not the same model: {kind.said[0]}" in one_error(capsys)
    assert list(folder.iterdir()) == []
    labels = made.night.labels.rename(folder.parent / "labels.npz")
    try:
        assert export(made) == 4
    finally:
        labels.rename(made.night.labels)
    assert kind.said[1] in one_error(capsys)
    assert list(folder.iterdir()) == []


@pytest.mark.slow
def test_without_labels_answers_are_compared(
    made: Made, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = made.night.labels.rename(folder / "labels.npz")
    try:
        assert export(made, "--json") == 0
    finally:
        labels.rename(made.night.labels)
    check = json.loads(capsys.readouterr().out)["check"]
    assert check[f"{made.kind.figure}_student"] is None
    assert check["agreement"]["boxes"] > 0 if made.kind.task == "boxes" else check["max_count"] > 0


@pytest.mark.slow
def test_before_a_night_or_without_frames_nothing_can_be_checked(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "config.yaml").write_text(
        "cameras: {yard: {source: a.mp4, classes: [person]}}", encoding="utf-8"
    )
    words = ["export", "yard", "--format", "torchscript"]
    assert cli.run(words) == 2
    assert "has no model in use yet: run `culling retrain yard`" in one_error(capsys)
    registry = ModelRegistry(folder / "culling-data" / "models")
    registry.add("yard", "start", {}, {})
    registry.promote("yard", "start")
    assert cli.run(words) == 2
    assert "has no night yet: run `culling retrain yard`" in one_error(capsys)
    gone = make_night(folder)
    for file in gone.frames.glob("*.jpg"):
        file.unlink()
    assert cli.run(words) == 2
    assert "no frame is left in" in one_error(capsys)


@pytest.mark.parametrize("made", KINDS[1:], indirect=True, ids=["count"])
def test_a_layout_that_the_task_does_not_have_is_refused_in_one_line(
    made: Made, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export(made, "--layout", "ssd", format_="onnx") == 2
    assert one_error(capsys) == (
        "culling: --layout ssd: camera 'yard' has `task: count`, whose files have the layout ours: "
        "leave it out"
    )
    assert list(folder.iterdir()) == []


def test_what_lies_in_a_zone_is_compared_with_nothing(made: Made) -> None:
    """The teacher's labels know of no zone's objects, so the student's are left out as well."""
    camera = made.night.config.cameras[CAMERA]
    zones = (((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)),)
    path = ModelRegistry(made.night.config.models_root).path(CAMERA, "start")
    seen = []
    for changed in (camera, camera.changed(ignore_zones=zones)):
        task = task_of(changed)
        exported = task.export(path)
        student = exported.ignoring(exported.student)
        image = load_image(made.night.frames, made.night.record.ingest.frames[0])
        seen.append(
            task.sight(
                task.truth(
                    student.predict([image])[0], student.class_names, height_px=96, width_px=160
                )
            ).busy
        )
    assert seen == [True, False]


def test_how_far_off_is_too_far() -> None:
    same = Agreement(frames=9, boxes=4, unmatched=0, max_box_px=0.5, max_score=0.01)
    assert BoxCheck(agreement=same).trouble is None
    for change in ({"unmatched": 1}, {"max_box_px": 0.6}, {"max_score": 0.02}):
        assert BoxCheck(agreement=replace(same, **change)).trouble is not None  # type: ignore[arg-type]
    far = replace(same, unmatched=2)
    assert BoxCheck(agreement=far, map50_student=0.5, map50_file=0.4981).trouble is None
    worse = BoxCheck(agreement=same, map50_student=0.5, map50_file=0.4979).trouble
    assert worse == "its mAP50 is -0.21 points off the student's (0.2 are allowed)"
