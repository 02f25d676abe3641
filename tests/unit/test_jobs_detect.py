"""`culling detect`: boxes on a video and as JSON, within mask, zones and threshold."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import yaml

from benchmarks.testbed.done_night import CAMERA, CLASSES, AfterNight, make_night
from culling_pipeline.day.frame_files import load_image
from culling_pipeline.tasks.boxes.drawing import COLOURS, painted
from jobs import cli
from jobs.exports.video import VideoWriter
from models.boxes.detections import Detections
from models.boxes.student import load_detector
from models.registry import ModelRegistry
from tests.unit.clips import HEIGHT_PX, WIDTH_PX, constant_rate, write_clip


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> AfterNight:
    return make_night(tmp_path_factory.mktemp("night"))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def detect(night: AfterNight, source: str | Path, *arguments: str) -> int:
    return cli.run(["detect", CAMERA, str(source), "--config", str(night.path), *arguments])


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def one_error(capsys: pytest.CaptureFixture[str]) -> str:
    found = [x for x in capsys.readouterr().err.splitlines() if x.startswith("culling: ")]
    assert len(found) == 1
    return found[0]


def read_video(path: Path) -> Iterator[tuple[float, Any]]:
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            yield float(frame.pts * frame.time_base), frame.to_ndarray(format="rgb24")


def test_a_line_of_json_a_frame(night: AfterNight, capsys: pytest.CaptureFixture[str]) -> None:
    assert detect(night, night.frames, "--json", "--every", "0") == 0
    told = lines(capsys)
    assert len(told) == 6
    student = load_detector(ModelRegistry(night.config.models_root).path(CAMERA, "start"))
    stored = sorted(night.record.ingest.frames, key=lambda frame: frame.path)
    for line, frame in zip(told, stored, strict=True):
        found = student.predict([load_image(night.frames, frame)])[0].above(0.5)
        assert (line["width_px"], line["height_px"]) == (160, 96)
        assert line["classes"] == [CLASSES[label] for label in found.labels]
        np.testing.assert_allclose(
            np.reshape(line["boxes_xyxy"], (-1, 4)), found.boxes_xyxy, atol=0.01
        )
        np.testing.assert_allclose(line["scores"], found.scores, atol=1e-4)
    assert sum(len(line["scores"]) for line in told) > 5
    assert told[1]["time_s"] > told[0]["time_s"] == 0


def test_a_video_at_its_own_times(night: AfterNight, capsys: pytest.CaptureFixture[str]) -> None:
    clip = write_clip(Path("clip.mp4"), [0, 40, 500, 1000, 1040, 2000])
    assert detect(night, clip, "--output", "drawn.mp4", "--every", "0") == 0
    times, images = zip(*read_video(Path("drawn.mp4")), strict=True)
    assert times == pytest.approx([0, 0.04, 0.5, 1.0, 1.04, 2.0])
    assert images[0].shape == (HEIGHT_PX, WIDTH_PX, 3)
    assert "6 frames are in drawn.mp4" in capsys.readouterr().err
    assert sorted(file.name for file in Path().iterdir()) == ["clip.mp4", "drawn.mp4"]


@pytest.mark.parametrize(
    ("arguments", "frames"),
    [
        ([], 3),
        (["--every", "0.5"], 6),
        (["--every", "0"], 30),
        (["--every", "0", "--frames", "7"], 7),
    ],
)
def test_how_often_it_looks(
    night: AfterNight,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    frames: int,
) -> None:
    clip = write_clip(Path("clip.mp4"), constant_rate(30, step_ms=100))
    assert detect(night, clip, "--json", *arguments) == 0
    assert len(lines(capsys)) == frames


def test_mask_zones_and_threshold_are_the_cameras(
    night: AfterNight, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def boxes(**changes: Any) -> int:
        text = yaml.safe_load(night.path.read_text())
        text["data_dir"] = str(night.config.data_dir)
        text["cameras"][CAMERA] |= changes
        (folder / "config.yaml").write_text(yaml.safe_dump(text))
        words = ["detect", CAMERA, str(night.frames), "--json", "--every", "0"]
        assert cli.run(words) == 0
        return sum(len(line["scores"]) for line in lines(capsys))

    everything = [[[0, 0], [1, 0], [1, 1], [0, 1]]]
    seen = boxes()
    assert seen > 5
    assert boxes(ignore_zones=everything) == 0
    assert boxes(student={"min_score": 0.9}) < seen
    assert boxes(mask=everything) < seen


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        ([], 2, "say what to make of it: --output VIDEO.mp4, --json, or both"),
        (["--output", "a.avi"], 2, "--output a.avi: must end in .mp4"),
        (["--output", "no/a.mp4"], 2, "there is no folder no: make it first"),
        (["--output", "there.mp4"], 2, "there.mp4: exists already: --force replaces it"),
        (["--json", "--version", "x"], 2, "has no version 'x'; there are: start"),
        (["--output", "a.mp4"], 3, "no such file"),
    ],
)
def test_what_cannot_be_done_is_said_once(
    night: AfterNight,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    expected: str,
) -> None:
    Path("there.mp4").write_bytes(b"mine")
    assert detect(night, "missing.mp4", *arguments) == code
    assert expected in one_error(capsys)
    assert [file.name for file in Path().iterdir()] == ["there.mp4"]
    assert Path("there.mp4").read_bytes() == b"mine"


def test_a_video_that_is_there_is_replaced_by_force(night: AfterNight) -> None:
    clip = write_clip(Path("clip.mp4"), constant_rate(25))
    Path("there.mp4").write_bytes(b"mine")
    assert detect(night, clip, "--output", "there.mp4", "--force") == 0
    assert len(list(read_video(Path("there.mp4")))) == 1


def cut_off(error: BaseException) -> None:
    """Two frames, the second of another size, and then trouble."""
    with VideoWriter(Path("a.mp4")) as video:
        video.add(np.full((35, 51, 3), 99, np.uint8), 7.0)
        video.add(np.full((70, 102, 3), 99, np.uint8), 8.0)
        raise error


def test_an_error_leaves_no_video_and_ctrl_c_what_there_is() -> None:
    with pytest.raises(RuntimeError, match="lost"):
        cut_off(RuntimeError("lost"))
    assert list(Path().iterdir()) == []
    with pytest.raises(KeyboardInterrupt):
        cut_off(KeyboardInterrupt())
    times, images = zip(*read_video(Path("a.mp4")), strict=True)
    assert times == pytest.approx([0, 1])
    assert images[0].shape == (36, 52, 3)
    assert [file.name for file in Path().iterdir()] == ["a.mp4"]


def test_boxes_are_drawn_where_they_are() -> None:
    grey = np.full((96, 160, 3), 99, np.uint8)
    boxes = np.array([[20, 40, 60, 80]], np.float32)
    found = Detections(boxes, np.ones(1, np.float32), np.array([1]))
    drawn = painted(grey, found, CLASSES)
    assert tuple(drawn[80, 40]) == COLOURS[1]
    assert tuple(drawn[60, 60]) == COLOURS[1]
    assert (drawn[50:79, 25:59] == 99).all()
    assert (grey == 99).all()
    assert (painted(grey, Detections.empty(), CLASSES) == 99).all()
