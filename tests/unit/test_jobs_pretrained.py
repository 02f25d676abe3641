"""Published weights named in a configuration: checked, brought, opened and described."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks.testbed.servers.web import WebServer, fixed
from jobs.cameras.detectors import (
    bring_weights,
    configured_detector,
    described,
    weights_path,
)
from jobs.cameras.incumbent import ensure_incumbent
from jobs.cli import run
from jobs.commands.progress import LineProgress
from jobs.config.load import load_config
from jobs.config.settings import CameraConfig
from jobs.errors import ConfigError
from models.boxes.classes import ClassMap
from models.boxes.student import load_detector
from models.checkpoint import load_checkpoint
from models.pretrained import catalogue
from models.pretrained.catalogue import CATALOGUE
from models.registry import ModelRegistry
from tests.unit.test_models_conversion import foreign_state

NAME = "pretrained:r101-mmdet-3x"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CULLING_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[WebServer]:
    """Publishes a narrow net in MMDetection's layout as the catalogue's first entry."""
    buffer = io.BytesIO()
    torch.save({"meta": {"epoch": 36}, "state_dict": foreign_state("mmdetection")}, buffer)
    server = WebServer()
    server.paths["/zoo/net.pth"] = fixed("application/zip", buffer.getvalue())
    entry, digest = CATALOGUE[0], hashlib.sha256(buffer.getvalue()).hexdigest()[:8]
    spec = replace(entry.spec, architecture="resnet50", width=0.25, height_px=96, width_px=128)
    entry = replace(entry, url=server.url("/zoo/net.pth"), digest=digest)
    monkeypatch.setattr(catalogue.PublishedWeights, "spec", property(lambda _: spec))
    monkeypatch.setattr(catalogue, "CATALOGUE", (entry, *CATALOGUE[1:]))
    yield server
    server.kill()


def camera_with(tmp_path: Path, text: str) -> dict[str, CameraConfig]:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    return load_config(path).cameras


TWO_CAMERAS = f"""
defaults:
  student: {{weights: "{NAME}"}}
  teacher: {{weights: "{NAME}"}}
cameras:
  yard:
    source: synthetic://street?seed=7&hours=1
    classes: {{person: person, vehicle: [car, bus, truck]}}
  park:
    source: synthetic://street?seed=8&hours=1
    classes: [dog, person]
"""


def test_two_cameras_begin_from_one_file_each_with_its_classes(
    tmp_path: Path, cache: Path, server: WebServer, caplog: pytest.LogCaptureFixture
) -> None:
    cameras = camera_with(tmp_path, TWO_CAMERAS)
    registry = ModelRegistry(tmp_path / "models")
    caplog.set_level(logging.INFO)
    for name, names in (("yard", ("person", "vehicle")), ("park", ("dog", "person"))):
        folder = ensure_incumbent(registry, cameras[name], size=(96, 128), device="cpu")
        student = load_detector(folder)
        assert student.class_names == names
        assert student.spec.layout == "mmdetection"
        assert (student.spec.height_px, student.spec.width_px) == (96, 128)
    assert caplog.text.count(f"downloading {NAME}") == 1
    # The teacher, at its own size, from the same file: its 80 classes are the camera's.
    opener = configured_detector(cameras["yard"].teacher, device="cpu", size=(64, 96))
    teacher = opener()
    assert opener.torch_detector().spec.height_px == 64
    ClassMap.from_config(cameras["yard"].classes).check(teacher.class_names)
    assert described(cameras["yard"].teacher) == (
        f"{NAME} (resnet101 (mmdetection), 41.8 box AP on COCO, 243 MB, Apache-2.0)"
    )


def test_weights_are_brought_with_progress_and_their_licence(
    tmp_path: Path, cache: Path, server: WebServer
) -> None:
    teacher = camera_with(tmp_path, TWO_CAMERAS)["yard"].teacher
    said = io.StringIO()
    bring_weights(teacher, LineProgress(said))
    assert [p.name for p in cache.glob("*.pth")] == ["net.pth"]
    lines = said.getvalue().splitlines()
    assert lines[0].startswith(f"{NAME}: resnet101 (mmdetection), 41.8 box AP on COCO, 243 MB, Ap")
    assert lines[1] == "downloading r101-mmdet-3x (MB): begins (243)"
    assert lines[2].startswith("downloading r101-mmdet-3x (MB): done, 10/243, ")
    # Once here, nothing is said or fetched.
    server.kill()
    bring_weights(teacher, LineProgress(again := io.StringIO()))
    assert again.getvalue() == ""


def test_a_file_under_its_publisher_s_name_is_known_wherever_it_lies(
    tmp_path: Path, cache: Path, server: WebServer
) -> None:
    torch.save({"state_dict": foreign_state("mmdetection")}, tmp_path / "net.pth")
    # of another hash than published: refused, as a file that is damaged would be
    text = TWO_CAMERAS.replace(f'"{NAME}"', "net.pth")
    teacher = camera_with(tmp_path, text)["yard"].teacher
    with pytest.raises(Exception, match=r"net\.pth: SHA256 is .* damaged on the way or not that"):
        configured_detector(teacher, device="cpu")()
    served = io.BytesIO()
    torch.save({"meta": {"epoch": 36}, "state_dict": foreign_state("mmdetection")}, served)
    (tmp_path / "net.pth").write_bytes(served.getvalue())
    assert len(configured_detector(teacher, device="cpu")().class_names) == 80
    assert not cache.exists()
    # With class names of its own it is the operator's file, of the architecture that he says.
    named = text.replace("net.pth}", "net.pth, class_names: [a], architecture: resnet50}")
    assert camera_with(tmp_path, named)["yard"].teacher.published is None


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (
            "pretrained:r101",
            r"weights: pretrained:r101: there are no such .*; known: r101-",
        ),
        (
            "pretrained:resnet18-imagenet",
            "resnet18-imagenet is a backbone, which finds no",
        ),
        ("model_final.pkl", r"must be builtin:…, pretrained:… or a path to .xml"),
    ],
)
def test_a_configuration_with_a_wrong_name(tmp_path: Path, weights: str, message: str) -> None:
    camera = f"{{source: a.mp4, classes: [person], teacher: {{weights: '{weights}'}}}}"
    with pytest.raises(ConfigError, match=message):
        camera_with(tmp_path, f"cameras: {{yard: {camera}}}")


def test_check_says_what_the_weights_are_without_fetching_them(
    tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.yaml").write_text(TWO_CAMERAS.replace("dog", "doog"))
    assert run(["check", "--json", "--config", str(tmp_path / "config.yaml")]) == 4
    said = capsys.readouterr().out
    words = "resnet101 (mmdetection), 41.8 box AP on COCO, 243 MB, Apache-2.0, not downloaded yet"
    assert f"{NAME}: {words}, which the first night does (80 classes)" in said
    assert "class 'doog' is unknown to the detector" in said
    assert not cache.exists()


def hostile_files(folder: Path, canary: Path) -> dict[str, str]:
    """Files that call themselves weights, and what is said of each; each is tried in a process of
    its own, so that the other kinds are left to `test_models_unpickling.py`."""
    state = foreign_state("mmdetection")
    (folder / "payload.pth").write_bytes(b"cos\nsystem\n(S'touch %s'\ntR." % bytes(canary))
    torch.save(state, folder / "other.pth")
    with zipfile.ZipFile(folder / "bomb.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("w/data.pkl", b"}.")
        archive.writestr("w/data/0", bytes(10**7))
    shapes = load_checkpoint(weights_path("builtin:street-student"))[0]
    torch.save({n: t.flatten() for n, t in shapes.items()}, folder / "shapes.pth")
    return {
        "payload": "refused, nothing was run: it asks for 'os.system'",
        "other": "weights of another architecture than FasterRCNN",
        "bomb": "refused, nothing was run: it would unpack to 10,000,0",
        "shapes": "of another shape (backbone.body.conv1.weight",
    }


@pytest.mark.slow  # a process for each file
def test_hostile_files_are_one_line_each_and_code_4(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    canary = tmp_path / "canary"
    expected = hostile_files(tmp_path, canary)
    cameras = "".join(
        f"  {name}:\n    source: synthetic://street?seed=7&hours=1\n    classes: [person]\n"
        f"    teacher: {{weights: {name}.pth, architecture: resnet18, class_names: [person]}}\n"
        for name in expected
    )
    (tmp_path / "config.yaml").write_text(f"cameras:\n{cameras}")
    assert run(["check", "--json", "--config", str(tmp_path / "config.yaml")]) == 4
    findings = json.loads(capsys.readouterr().out)["findings"]
    said = {f["camera"]: f for f in findings if f["part"] == "teacher"}
    for name, words in expected.items():
        assert said[name]["exit_code"] == 4
        assert words in said[name]["detail"], name
        assert "\n" not in said[name]["detail"]
    assert not canary.exists()


def test_no_detector_begins_with_the_front_end_of_counting_nets(tmp_path: Path) -> None:
    student = "{weights: 'pretrained:vgg16-imagenet'}"
    camera = f"{{source: a.mp4, classes: [person], student: {student}}}"
    with pytest.raises(ConfigError, match="vgg16-imagenet is the front end of counting nets"):
        camera_with(tmp_path, f"cameras: {{yard: {camera}}}")
