"""What `culling add` and `culling quickstart` write of a new camera's models."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jobs import cli
from jobs.cameras.nets import nets_of
from jobs.config.load import load_config
from jobs.config.settings import CameraConfig
from jobs.errors import UsageError
from jobs.setup.adopt import adopt
from jobs.setup.camera_block import Wish


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nets").mkdir()
    for name in ("mine.onnx", "own.pth"):
        (tmp_path / "nets" / name).write_bytes(b"its content is not read here")
    return tmp_path


def added(*arguments: str) -> CameraConfig:
    assert cli.run(["add", "yard", *arguments, "--no-probe"]) == 0
    return load_config(Path("config.yaml")).cameras["yard"]


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line that says why, of a command that left no file."""
    assert cli.run(["add", "yard", *arguments, "--no-probe"]) == 2
    assert not Path("config.yaml").exists()
    (line,) = capsys.readouterr().err.strip().splitlines()
    return line


def test_a_teacher_of_ones_own_is_a_path_from_the_file_s_folder(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    camera = added("a.mp4", "--teacher", "nets/mine.onnx")
    assert camera.teacher.weights == str(folder / "nets" / "mine.onnx")
    assert "weights: nets/mine.onnx" in Path("config.yaml").read_text(encoding="utf-8")
    assert "downloaded" not in capsys.readouterr().err


def test_a_published_teacher_is_a_name() -> None:
    assert Wish(teacher="pretrained:x").teacher == "pretrained:x"


@pytest.mark.parametrize("inside", ["io", "itself"])
def test_a_file_that_names_no_classes_gets_them(folder: Path, inside: str) -> None:
    file = "nets/mine.onnx" if inside == "io" else "nets/own.pth"
    teacher = added("a.mp4", "--teacher", file, "--teacher-classes", "car, person").teacher
    there = teacher.io.class_names if teacher.io is not None else teacher.class_names
    assert (teacher.io is not None) == (inside == "io")
    assert there == ("car", "person")


def test_what_is_wrong_with_a_teacher_is_one_line_and_leaves_no_file(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(capsys, "a.mp4", "--teacher", "nets/none.onnx")
    assert "--teacher nets/none.onnx: there is no such file: name an .onnx" in said
    assert "give --teacher as well" in refused(capsys, "a.mp4", "--teacher-classes", "car")
    (folder / "nets" / "mine.tflite").write_bytes(b"")
    assert "must be builtin:" in refused(capsys, "a.mp4", "--teacher", "nets/mine.tflite")
    assert "there are no such pretrained weights" in refused(
        capsys, "a.mp4", "--teacher", "pretrained:nothing"
    )
    assert "class_names: missing" in refused(capsys, "a.mp4", "--teacher", "nets/own.pth")


def test_a_counting_camera_has_a_detector_whose_boxes_are_counted(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    camera = added("a.mp4", "--task", "count", "--json")
    shown = json.loads(capsys.readouterr().out)
    assert (camera.task, camera.class_names) == ("count", ("person",))
    assert (camera.count.teacher, camera.teacher.weights) == (None, "pretrained:r101-mmdet-3x")
    assert (shown["classes"], shown["teacher"]) == (["person"], "pretrained:r101-mmdet-3x")
    assert not camera.count.student.startswith("/")  # a net's name is no path


def test_it_counts_what_it_is_told_and_one_thing_only(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(capsys, "a.mp4", "--task", "count", "--classes", "cow,sheep")
    assert "got cow, sheep, but `task: count` counts one: name one" in said
    camera = added("a.mp4", "--task", "count", "--classes", "cow", "--teacher", "nets/mine.onnx")
    assert (camera.class_names, camera.count.teacher) == (("cow",), None)
    assert camera.teacher.weights.endswith("nets/mine.onnx")


def test_a_counting_net_as_teacher_is_told_from_a_detector(folder: Path) -> None:
    from models.density.student import new_density_student

    new_density_student("mcnn", "person", (32, 32), width=0.1).save(folder / "nets" / "crowd")
    camera = added("a.mp4", "--task", "count", "--teacher", "nets/crowd")
    assert camera.count.teacher == str(folder / "nets" / "crowd")  # from the file's folder
    assert nets_of(camera).open_teacher((64, 64), device="cpu")().class_names == ("person",)


@pytest.mark.parametrize(
    ("source", "teacher"),
    [
        ("synthetic://plaza?seed=1", "builtin:plaza-teacher"),
        ("synthetic://street", "builtin:street-teacher"),
    ],
)
def test_a_drawn_camera_has_a_teacher_of_drawn_worlds(
    folder: Path, source: str, teacher: str
) -> None:
    assert nets_of(added(source, "--task", "count")).teacher_weights == teacher


def test_what_the_file_says_for_all_cameras_stays(folder: Path) -> None:
    Path("config.yaml").write_text(
        "defaults: {task: count, classes: [cow], count: {teacher: nets/herd}}\ncameras: {}\n"
    )
    camera = added("a.mp4")
    assert (camera.task, camera.class_names) == ("count", ("cow",))
    assert camera.count.teacher == str(folder / "nets" / "herd")
    assert "  yard:\n    source: a.mp4\n" in Path("config.yaml").read_text(encoding="utf-8")


# -- quickstart's second try -----------------------------------------------------------------------


def test_a_second_try_with_another_teacher_needs_no_editor(folder: Path) -> None:
    config = Path("config.yaml")
    added("a.mp4")
    before = config.read_text(encoding="utf-8")
    camera = load_config(config).cameras["yard"]
    assert adopt(Wish(), None, camera, config) == []
    (said,) = adopt(Wish(teacher="nets/mine.onnx"), None, camera, config)
    assert said.endswith("is now nets/mine.onnx; it was pretrained:r101-mmdet-3x")
    after = config.read_text(encoding="utf-8")
    assert after == before.replace(
        "{weights: 'pretrained:r101-mmdet-3x'}", "{weights: nets/mine.onnx}"
    )
    changed = load_config(config).cameras["yard"]
    assert changed.teacher.weights == str(folder / "nets" / "mine.onnx")
    assert adopt(Wish(teacher="nets/mine.onnx"), None, changed, config) == []


@pytest.mark.parametrize(
    ("wish", "budget", "said"),
    [
        (Wish(classes=("cow",)), None, "--classes: camera 'yard' is in config.yaml with person,"),
        (Wish(task="count"), None, "--task: camera 'yard' is in config.yaml with boxes"),
        (Wish(), "9 min", "--budget: camera 'yard' is in config.yaml with"),
        (
            Wish(teacher="nets/mine.onnx", teacher_classes=("car",)),
            None,
            "more belongs to it than its name: change it there",
        ),
    ],
)
def test_what_a_second_try_says_otherwise_is_not_ignored(
    folder: Path, wish: Wish, budget: str | None, said: str
) -> None:
    camera, config = added("a.mp4"), Path("config.yaml")
    before = config.read_text(encoding="utf-8")
    with pytest.raises(UsageError, match=said):
        adopt(wish, budget, camera, config)
    assert config.read_text(encoding="utf-8") == before
