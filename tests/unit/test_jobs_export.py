"""`culling export`: the incumbent as a file that was checked, and nothing where it failed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.testbed.done_night import CAMERA, CLASSES, CONTROL, AfterNight, make_night
from jobs import cli
from jobs.exports.export import Check
from models.boxes.detections import Detections
from models.boxes.exported import Agreement, ExportedDetector
from models.registry import ModelRegistry


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> AfterNight:
    return make_night(tmp_path_factory.mktemp("night"))


@pytest.fixture
def folder(night: AfterNight, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def export(night: AfterNight, *arguments: str, format_: str = "torchscript") -> int:
    words = ["export", CAMERA, "--format", format_, "--config", str(night.path), *arguments]
    return cli.run(words)


def one_error(capsys: pytest.CaptureFixture[str]) -> str:
    lines = [x for x in capsys.readouterr().err.splitlines() if x.startswith("culling: ")]
    assert len(lines) == 1
    return lines[0]


@pytest.mark.slow
def test_the_incumbent_as_onnx(
    night: AfterNight, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnx")
    assert export(night, "--json", format_="onnx") == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["version"], shown["files"]) == ("start", ["yard-start.onnx"])
    assert shown["check"]["agreement"]["frames"] == len(CONTROL)
    assert shown["check"]["map50_student"] == shown["check"]["map50_file"] > 0.5
    there = ExportedDetector(folder / "yard-start.onnx")
    assert there.class_names == CLASSES
    assert there.about["min_score"] == 0.5
    assert (there.about["height_px"], there.about["width_px"]) == (96, 160)
    assert [file.name for file in folder.iterdir()] == ["yard-start.onnx"]


@pytest.mark.slow
def test_a_file_that_is_there_stays_unless_forced(
    night: AfterNight, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder / "mine.pt"
    path.write_bytes(b"mine")
    assert export(night, "--output", str(path)) == 2
    assert "mine.pt: exists already: --force replaces it" in one_error(capsys)
    assert path.read_bytes() == b"mine"
    assert export(night, "--output", str(path), "--force") == 0
    assert "control frames: mAP50" in capsys.readouterr().err
    assert ExportedDetector(path).class_names == CLASSES


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--output", "a.onnx"], "a file of format torchscript must end in .pt"),
        (["--output", "no/a.pt"], "there is no folder no: make it first"),
        (["--version", "2020-01-01"], "has no version '2020-01-01'; there are: start"),
    ],
)
def test_bad_usage(
    night: AfterNight,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    expected: str,
) -> None:
    assert export(night, *arguments) == 2
    assert expected in one_error(capsys)
    assert list(folder.iterdir()) == []


@pytest.mark.slow
def test_a_file_that_says_something_else_is_not_left(
    night: AfterNight,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    honest = ExportedDetector.predict

    def shifted(self: ExportedDetector, images: Any) -> list[Detections]:
        found = honest(self, images)
        return [replace(d, boxes_xyxy=d.boxes_xyxy + np.float32(6)) for d in found]

    monkeypatch.setattr(ExportedDetector, "predict", shifted)
    assert export(night) == 4
    assert "is not the same model: its mAP50 is -" in one_error(capsys)
    assert list(folder.iterdir()) == []
    labels = night.labels.rename(folder.parent / "labels.npz")
    try:
        assert export(night) == 4
    finally:
        labels.rename(night.labels)
    assert "px and" in one_error(capsys)
    assert list(folder.iterdir()) == []


@pytest.mark.slow
def test_without_labels_boxes_are_compared(
    night: AfterNight, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = night.labels.rename(folder / "labels.npz")
    try:
        assert export(night, "--json") == 0
    finally:
        labels.rename(night.labels)
    check = json.loads(capsys.readouterr().out)["check"]
    assert check["map50_student"] is None
    assert check["agreement"]["boxes"] > 0


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


def test_how_far_off_is_too_far() -> None:
    same = Agreement(frames=9, boxes=4, unmatched=0, max_box_px=0.5, max_score=0.01)
    assert Check(agreement=same).trouble is None
    for change in ({"unmatched": 1}, {"max_box_px": 0.6}, {"max_score": 0.02}):
        assert Check(agreement=replace(same, **change)).trouble is not None  # type: ignore[arg-type]
    far = replace(same, unmatched=2)
    assert Check(agreement=far, map50_student=0.5, map50_file=0.4981).trouble is None
    worse = Check(agreement=same, map50_student=0.5, map50_file=0.4979).trouble
    assert worse == "its mAP50 is -0.21 points off the student's (0.2 are allowed)"
