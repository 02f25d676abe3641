"""Exported students: the same boxes in every format, their words inside, and as a teacher again."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import models
from models.boxes.detections import Detections
from models.boxes.detector import DetectorSpec, TorchDetector, build_model
from models.boxes.export import (
    FORMATS,
    SUFFIXES,
    ExportError,
    Format,
    export_detector,
    export_files,
    read_about,
    require_packages,
)
from models.boxes.export_layouts import Layout, label_map
from models.boxes.exported import Agreement, ExportedDetector, agreement, foreign_options
from models.boxes.foreign import ForeignDetector
from models.boxes.recognition import GivenOptions
from models.boxes.student import load_detector
from models.images import resize
from streams.sampler import Sampler
from streams.synthetic.source import SyntheticCamera

BUILTIN = Path(models.__path__[0]) / "weights" / "street-student.safetensors"
PACKAGES = {"onnx": "onnxruntime", "openvino": "openvino", "torchscript": "torch"}
HEIGHT, WIDTH = 96, 160
NOON = 12


@pytest.fixture(scope="module")
def student() -> TorchDetector:
    return load_detector(BUILTIN).at_size(HEIGHT, WIDTH)


@pytest.fixture(scope="module")
def frames() -> list[NDArray[np.uint8]]:
    """Three hours at noon of a busy street, and pictures of nothing between them."""
    url = f"synthetic://street?seed=5&hours=24&width={2 * WIDTH}&height={2 * HEIGHT}"
    source = SyntheticCamera.from_url(url, camera="yard")
    images = [f.image for f, _ in zip(source.frames(Sampler(3600)), range(NOON + 3), strict=False)]
    grey = np.full_like(images[0], 50)
    return [grey, images[NOON], grey, images[NOON + 1], grey, images[NOON + 2]]


@pytest.fixture(scope="module")
def exported(
    student: TorchDetector, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Format], Path]:
    """The student in each format; made once."""
    folder, made = tmp_path_factory.mktemp("exported"), dict[str, Path]()

    def give(format_: Format) -> Path:
        pytest.importorskip(PACKAGES[format_])
        if format_ not in made:
            path = folder / f"yard{SUFFIXES[format_]}"
            export_detector(student, path, format_, about(student))
            made[format_] = path
        return made[format_]

    return give


class Narrow(torch.nn.Module):
    """A net that knows one size only."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image + torch.zeros(3, 5, 5)


class Stubborn(torch.nn.Module):
    """A net that does not want to be traced."""

    def __init__(self, transform: Any) -> None:
        super().__init__()
        self.transform = transform
        self.detections_per_img = 100

    def forward(self, images: Any) -> Any:
        message = "no\nthanks"
        raise RuntimeError(message)


def exported_about(student: TorchDetector) -> dict[str, Any]:
    """With what tells a file of ours."""
    return about(student) | {"code_version": "0", "pixel_range": [0, 255]}


def about(student: TorchDetector) -> dict[str, Any]:
    spec = student.spec
    return {
        "camera": "yard",
        "class_names": list(spec.class_names),
        "height_px": spec.height_px,
        "width_px": spec.width_px,
        "min_score": 0.5,
        "ignore_zones": [[[0, 0], [0.5, 0], [0, 0.25]]],
    }


@pytest.mark.slow
@pytest.mark.parametrize("format_", FORMATS)
def test_each_format_finds_what_the_student_finds(
    student: TorchDetector,
    frames: list[NDArray[np.uint8]],
    exported: Callable[[Format], Path],
    format_: Format,
) -> None:
    there = ExportedDetector(exported(format_))
    found = there.predict(frames)
    ours = student.predict(frames)
    agreed = agreement(ours, found, min_score=0.05)
    assert [len(d) for d in found] == [len(d) for d in ours]
    assert len(found[0]) == len(found[2]) == 0  # also just after a busy picture
    assert agreed.boxes > 20
    assert agreed.unmatched == 0
    assert agreed.max_box_px < 0.01
    assert agreed.max_score < 1e-4
    assert there.class_names == student.class_names


@pytest.mark.slow
@pytest.mark.parametrize("format_", ["onnx", "openvino"])
@pytest.mark.parametrize("layout", ["yolo-nas-flat", "ssd"])
def test_a_layout_for_others_is_recognised_and_finds_the_same(
    student: TorchDetector,
    frames: list[NDArray[np.uint8]],
    tmp_path: Path,
    format_: Format,
    layout: Layout,
) -> None:
    pytest.importorskip(PACKAGES[format_])
    path = tmp_path / f"yard{SUFFIXES[format_]}"
    export_detector(student, path, format_, exported_about(student), layout=layout)
    assert set(tmp_path.iterdir()) == set(export_files(path, format_, layout))
    assert label_map(path).read_text().splitlines() == ["0 person", "1 car", "2 bicycle"]
    # As our own check reads it, and as a teacher whose file nobody describes.
    asked = ForeignDetector(path, GivenOptions((("min_score", 0.05),)))
    assert (asked.options.outputs, asked.class_names) == (layout, student.class_names)
    images = [resize(frame, HEIGHT, WIDTH) for frame in frames]
    ours = student.predict(images)
    for there in (ExportedDetector(path), asked):
        agreed = agreement(ours, there.predict(images), min_score=0.1)
        assert agreed.boxes > 20
        assert agreed.unmatched == 0
        assert agreed.max_box_px < 0.01
        assert agreed.max_score < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("format_", FORMATS)
def test_each_format_says_what_it_is(
    student: TorchDetector, exported: Callable[[Format], Path], format_: Format
) -> None:
    path = exported(format_)
    assert read_about(path) == about(student)
    assert all(file.is_file() for file in export_files(path, format_))
    left = {file.name for file in path.parent.iterdir() if file.name.endswith(".tmp")}
    assert left == set()


@pytest.mark.slow
@pytest.mark.parametrize("format_", ["onnx", "openvino"])
def test_an_exported_student_can_be_a_teacher(
    student: TorchDetector,
    frames: list[NDArray[np.uint8]],
    exported: Callable[[Format], Path],
    format_: Format,
) -> None:
    options = replace(foreign_options(about(student)), min_score=0.5)
    teacher = ForeignDetector(exported(format_), options)
    small = [image[::2, ::2] for image in frames]
    agreed = agreement(student.predict(small), teacher.predict(small), min_score=0.5)
    assert teacher.input_size == (HEIGHT, WIDTH)
    assert teacher.class_names == student.class_names
    assert agreed.boxes > 5
    assert agreed.max_box_px < 0.01


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["mmdetection", "detectron2"])
def test_nets_laid_out_as_others_do_not_remember_what_they_were_shown(
    frames: list[NDArray[np.uint8]], layout: str, tmp_path: Path
) -> None:
    spec = DetectorSpec(
        architecture="resnet18",
        class_names=("a", "b"),
        height_px=HEIGHT,
        width_px=WIDTH,
        width=0.125,
        layout=layout,
    )
    torch.manual_seed(0)
    net = TorchDetector(build_model(spec), spec)
    torch.nn.init.normal_(net.model.roi_heads.box_predictor.cls_score.weight, std=0.5)
    export_detector(net, tmp_path / "a.pt", "torchscript", about(net))
    agreed = agreement(
        net.predict(frames[:2]),
        ExportedDetector(tmp_path / "a.pt").predict(frames[:2]),
        min_score=0,
    )
    assert agreed.boxes > 20
    assert agreed.unmatched == 0
    assert agreed.max_box_px < 0.01


@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")
def test_a_file_that_does_not_run_is_named(frames: list[NDArray[np.uint8]], tmp_path: Path) -> None:
    net = torch.jit.trace(Narrow(), torch.zeros(3, 5, 5))
    words = {"class_names": '["a"]', "height_px": str(HEIGHT), "width_px": str(WIDTH)}
    extra = {"culling.json": json.dumps(words)}
    torch.jit.save(net, tmp_path / "a.pt", _extra_files=extra)
    with pytest.raises(ExportError, match="the TorchScript file does not run: "):
        ExportedDetector(tmp_path / "a.pt").predict(frames[:1])


@pytest.mark.slow
def test_the_rows_are_fixed_and_the_rest_is_empty(
    frames: list[NDArray[np.uint8]], exported: Callable[[Format], Path]
) -> None:
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(exported("onnx"), providers=["CPUExecutionProvider"])
    image = np.full((3, HEIGHT, WIDTH), 50, np.float32)
    of_onnx = session.run(["boxes", "scores", "labels"], {"image": image})
    net = pytest.importorskip("openvino").Core().compile_model(exported("openvino"), "CPU")
    busy = frames[1][::2, ::2].transpose(2, 0, 1).astype(np.float32)
    assert np.array(net([busy])[1]).any(), "leftovers are what was there before"
    of_openvino = [np.array(part) for part in net([image]).values()]
    for boxes, scores, labels in (of_onnx, of_openvino):
        assert boxes.shape == (100, 4)
        assert not boxes.any()
        assert not scores.any()
        assert (labels == -1).all()


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.boxes.export.find_spec", lambda name: None)
    require_packages("torchscript")
    for format_, package in (("onnx", "onnx"), ("openvino", "onnx")):
        expected = rf"export as {format_} needs {package}, .*culling-pipeline\[{format_}\]"
        with pytest.raises(ExportError, match=expected):
            require_packages(format_)
    monkeypatch.setattr("models.boxes.export.find_spec", lambda name: name == "onnx" or None)
    with pytest.raises(ExportError, match="export as onnx needs onnxruntime or openvino"):
        require_packages("onnx")


def test_a_net_that_cannot_be_traced_is_named(student: TorchDetector, tmp_path: Path) -> None:
    odd = TorchDetector(Stubborn(student.model.transform), student.spec)
    with pytest.raises(ExportError, match=r"resnet18 could not be exported as torchscript: no$"):
        export_detector(odd, tmp_path / "a.pt", "torchscript", {})


@pytest.mark.parametrize("name", ["a.onnx", "a.xml", "a.pt", "a.txt"])
def test_other_files_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"hello")
    with pytest.raises(ExportError, match="not a model that `culling export` has written"):
        ExportedDetector(tmp_path / name)


def test_a_foreign_net_without_our_words_is_refused(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    graph = onnx.helper.make_graph([], "empty", [], [])
    onnx.save(onnx.helper.make_model(graph), tmp_path / "a.onnx")
    with pytest.raises(ExportError, match="says nothing of its classes"):
        read_about(tmp_path / "a.onnx")


def test_words_that_are_nested_without_end_are_none_of_ours(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.helper.make_model(onnx.helper.make_graph([], "empty", [], []))
    onnx.helper.set_model_props(model, {"class_names": "[" * 100_000})
    onnx.save(model, tmp_path / "a.onnx")
    with pytest.raises(ExportError, match="not a model that `culling export` has written"):
        read_about(tmp_path / "a.onnx")


def found(*rows: tuple[float, float, int]) -> Detections:
    """Boxes of 10 px at x, with a score and a label."""
    boxes = [[x, 0.0, x + 10, 10.0] for x, _, _ in rows]
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array([score for _, score, _ in rows], np.float32),
        np.array([label for _, _, label in rows], np.int64),
    )


def test_agreement_by_hand() -> None:
    ours = [found((0, 0.9, 0), (50, 0.51, 1)), found()]
    theirs = [found((1, 0.8, 0), (50, 0.49, 1)), found((0, 0.6, 0))]
    agreed = agreement(ours, theirs, min_score=0.5)
    assert (agreed.frames, agreed.boxes, agreed.unmatched) == (2, 4, 1)
    assert agreed.max_box_px == pytest.approx(1.0)
    assert agreed.max_score == pytest.approx(0.1)
    assert agreement([], [], min_score=0.5) == Agreement(0, 0, 0, 0.0, 0.0)
