"""Every family of foreign detectors: recognised, fed and read as it is meant to be."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from models.boxes.detections import Detections
from models.boxes.families.base import with_usual
from models.boxes.families.registry import FAMILIES
from models.boxes.feeding import place
from models.boxes.foreign import ForeignDetector, open_foreign
from models.boxes.recognition import GivenOptions
from models.errors import ModelError
from tests.unit import layouts
from tests.unit.layouts import BUILDERS, NAMES, SCORE, THING, onnx

pytest.importorskip("onnxruntime", reason="pip install culling-pipeline[onnx]")

NAMED = GivenOptions((("class_names", NAMES),))
SAY_NAMES = {"yolo", "yolo-v5", "yolo-end2end", "detr-rows"}
"""Families whose files say what their classes are."""


def given(family: str, **more: Any) -> GivenOptions:
    names = {} if family in SAY_NAMES else {"class_names": NAMES}
    return GivenOptions(tuple((names | more).items()))


def is_right(found: Detections) -> bool:
    """Whether it is the thing, of the right class, score and place."""
    return bool(
        len(found) == 1
        and found.labels[0] == 0
        and np.allclose(found.boxes_xyxy, [THING], atol=0.02)
        and np.allclose(found.scores, SCORE, atol=0.005)
    )


@pytest.fixture(params=["onnxruntime", "openvino"])
def runtime(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    name: str = request.param
    pytest.importorskip(name)
    if name == "openvino":
        monkeypatch.setitem(sys.modules, "onnxruntime", None)
    return name


def test_every_family_has_its_tiny_net() -> None:
    assert tuple(BUILDERS) == tuple(FAMILIES)


@pytest.mark.parametrize("family", BUILDERS)
def test_a_file_is_recognised_and_finds_the_thing(
    tmp_path: Path, runtime: str, family: str
) -> None:
    path = BUILDERS[family](tmp_path / "net.onnx")
    detector = ForeignDetector(path, given(family))
    assert (detector.options.outputs, detector.class_names) == (family, NAMES)
    (found,) = detector.predict([layouts.picture()])
    assert is_right(found), (found, detector.described)
    assert FAMILIES[detector.options.outputs].title in detector.described


@pytest.mark.parametrize("family", BUILDERS)
def test_fed_in_another_way_it_is_not_found(tmp_path: Path, family: str) -> None:
    """The tiny nets can tell: colours the other way round, and the other way to fit."""
    path = BUILDERS[family](tmp_path / "net.onnx")
    usual = ForeignDetector(path, given(family)).options
    other = "bgr" if usual.channel_order == "rgb" else "rgb"
    for change in ({"channel_order": other}, {"keep_aspect": not usual.keep_aspect}):
        detector = ForeignDetector(path, given(family, **change))
        assert not is_right(detector.predict([layouts.picture()])[0]), change


def grey(high: int, wide: int) -> np.ndarray:
    """Bright enough to be told from padding (114) and from black."""
    return np.full((high, wide, 3), 200, np.uint8)


@pytest.mark.parametrize("family", ["yolox", "yolox-decoded"])
def test_yolox_cuts_the_sides_and_goes_back_by_the_ratio(family: str) -> None:
    """854×480 into 416: 233.8 rows, of which their program makes 233."""
    options = with_usual(class_names=NAMES, outputs=family, keep_aspect=True)
    placed, placement = place(grey(480, 854), (416, 416), options, fit=FAMILIES[family].fit)
    rows = np.flatnonzero((placed[:, 0] == 200).all(axis=1))
    assert (rows[0], rows[-1]) == (0, 232)
    assert placement.scale_xy == (416 / 854, 416 / 854)


def test_a_picture_too_thin_for_the_ratio_keeps_a_pixel() -> None:
    options = with_usual(class_names=NAMES, outputs="yolox", keep_aspect=True)
    placed, placement = place(grey(2, 900), (64, 64), options, fit=FAMILIES["yolox"].fit)
    assert (placed[0] == 200).all()
    assert (placed[1:] == 114).all()
    assert placement.scale_xy == (64 / 900, 1 / 2)


@pytest.mark.parametrize("family", ["yolo-nas-flat", "yolo-nas-batch"])
def test_yolo_nas_has_pixels_to_spare(family: str) -> None:
    options = with_usual(class_names=NAMES, outputs=family, **FAMILIES[family].usual)
    placed, placement = place(grey(360, 640), (640, 640), options, fit=FAMILIES[family].fit)
    columns = np.flatnonzero((placed[320] == 200).all(axis=1))
    assert (columns[0], columns[-1]) == (2, 637)
    assert placement.offset_xy == (2, (640 - 358) // 2)
    assert placement.scale_xy == (636 / 640, 636 / 640)  # the ratio, though 357.75 rows became 358


def test_a_file_that_names_no_classes_is_known_by_its_publisher_s_name(tmp_path: Path) -> None:
    """A newcomer with Open Model Zoo's file need not write its classes into config.yaml."""
    path = layouts.boxes_labels(tmp_path / "person-vehicle-bike-detection-2003.onnx")
    detector = ForeignDetector(path, GivenOptions((("min_score", 0.2),)))
    assert detector.class_names == ("vehicle", "person", "bike")
    assert (detector.options.channel_order, detector.options.min_score) == ("bgr", 0.2)
    named = ForeignDetector(path, GivenOptions((("class_names", NAMES),)))
    assert named.class_names == NAMES
    with pytest.raises(ModelError, match="does not say what its classes"):
        ForeignDetector(path.rename(tmp_path / "mine.onnx"), GivenOptions())


def test_rows_that_do_not_count_may_end_before_they_begin() -> None:
    """YOLO26's sides are the net's own numbers, and can be negative where it sees nothing: that
    must not end a night on an empty frame."""
    family = FAMILIES["yolo-end2end"]
    options = with_usual(class_names=NAMES, outputs="yolo-end2end")
    rows = np.tile(np.array([50, 50, 40, 40, 0.001, 0], np.float32), (300, 1))
    rows[0] = [10, 10, 60, 60, 0.9, 1]
    assert family.columns is not None
    found = family.columns({"boxes": rows[None]}, options)
    assert found.boxes[0].tolist() == [10, 10, 60, 60]
    rows[:, 4] = 0.9
    with pytest.raises(ModelError, match="no corners"):
        family.columns({"boxes": rows[None]}, options)


@pytest.mark.parametrize("family", ["detr", "detr-decoded"])
def test_detr_shrinks_with_an_average(family: str) -> None:
    """Stripes of one pixel: an average is grey, single pixels are black and white."""
    stripes = np.zeros((640, 640, 3), np.uint8)
    stripes[:, ::4] = 255
    options = with_usual(class_names=NAMES, outputs=family)
    placed, _ = place(stripes, (80, 80), options, fit=FAMILIES[family].fit)
    assert abs(placed.astype(int) - 64).max() < 8
    single, _ = place(stripes, (80, 80), options, fit=FAMILIES["rf-detr"].fit)
    assert abs(single.astype(int) - 64).max() > 60


def test_detr_s_pixels_are_torchvision_s() -> None:
    """Also where a side grows: a net chooses its queries by rank, and a single step of one pixel
    changes which they are."""
    from torchvision.transforms.v2.functional import resize

    image = np.random.default_rng(0).integers(0, 256, (36, 64, 3), dtype=np.uint8)
    options = with_usual(class_names=NAMES, outputs="detr")
    placed, _ = place(image, (64, 64), options, fit=FAMILIES["detr"].fit)
    theirs = resize(torch.from_numpy(image).permute(2, 0, 1), [64, 64], antialias=True)
    assert (placed == theirs.permute(1, 2, 0).numpy()).all()


SAME = (
    {"boxes-scores-labels", "detr-decoded", "yolo-nas-batch"},
    {"detr", "rf-detr"},
    {"yolox-decoded", "yolo-v5"},
)
"""Families whose outputs are of one layout, and which differ in how they are fed."""


@pytest.mark.parametrize("family", BUILDERS)
@pytest.mark.parametrize("wrong", BUILDERS)
def test_a_file_of_another_family_is_refused(tmp_path: Path, family: str, wrong: str) -> None:
    if wrong == family or any({family, wrong} <= kin for kin in SAME):
        return
    path = BUILDERS[family](tmp_path / "net.onnx")
    with pytest.raises(ModelError) as caught:
        ForeignDetector(path, GivenOptions((("class_names", NAMES), ("outputs", wrong))))
    assert "\n" not in str(caught.value)


def test_the_trial_in_another_process_recognises_too(tmp_path: Path) -> None:
    (found,) = open_foreign(layouts.yolo(tmp_path / "n.onnx"), GivenOptions()).predict(
        [layouts.picture()]
    )
    assert is_right(found)


@pytest.mark.parametrize(
    "how",
    [
        {"dtype": np.float16},
        {"shape": ("batch", 3, "height", "width")},
        {"shape": (1, layouts.SIDE, layouts.SIDE, 3), "nhwc": True},
        {"dtype": np.uint8, "scale": (1, 1, 1)},
        {"extra": 32},
        {"extra": 51, "pose": True},
    ],
    ids=["float16", "any size", "NHWC", "uint8", "masks", "keypoints"],
)
def test_one_family_in_many_kinds_of_file(
    tmp_path: Path, runtime: str, how: dict[str, Any]
) -> None:
    path = layouts.yolo(tmp_path / "net.onnx", **how)
    (found,) = ForeignDetector(path, GivenOptions()).predict([layouts.picture()])
    assert is_right(found), found


def test_keypoints_behind_rows_are_left_out(tmp_path: Path, runtime: str) -> None:
    path = layouts.yolo_end2end(tmp_path / "net.onnx", keypoints=51)
    (found,) = ForeignDetector(path, GivenOptions()).predict([layouts.picture()])
    assert is_right(found), found


@pytest.mark.parametrize("family", BUILDERS)
def test_outputs_come_in_any_order(tmp_path: Path, runtime: str, family: str) -> None:
    path = BUILDERS[family](tmp_path / "net.onnx")
    model = onnx.load(path)
    outputs = list(model.graph.output)
    if len(outputs) == 1:
        return
    del model.graph.output[:]
    model.graph.output.extend(reversed(outputs))
    onnx.save(model, path)
    detector = ForeignDetector(path, given(family))
    assert detector.options.outputs == family
    (found,) = detector.predict([layouts.picture()])
    assert is_right(found), found


def test_rt_detr_of_ultralytics_with_its_class(tmp_path: Path, runtime: str) -> None:
    """Rows that look like a YOLO's, end to end, but are centre and sides."""
    path = layouts.detr_rows(tmp_path / "net.onnx", with_class=True)
    detector = ForeignDetector(path, GivenOptions())
    assert detector.options.outputs == "detr-rows"
    (found,) = detector.predict([layouts.picture()])
    assert is_right(found), found
    with pytest.raises(
        ModelError, match="no corners or the sixth of them no class: not x1 y1 x2 y2"
    ):
        ForeignDetector(path, GivenOptions((("outputs", "yolo-end2end"),)))


def test_ssd_in_pixels(tmp_path: Path, runtime: str) -> None:
    path = layouts.ssd(tmp_path / "net.onnx", in_pixels=True)
    (found,) = ForeignDetector(path, NAMED).predict([layouts.picture()])
    assert is_right(found), found


def test_an_ir_says_what_it_is_in_itself_and_beside(tmp_path: Path) -> None:
    """As Ultralytics write it: `metadata.yaml` beside; and as ONNX becomes an IR, without it."""
    openvino = pytest.importorskip("openvino")
    onnx_path = layouts.yolo(tmp_path / "net.onnx")
    openvino.save_model(openvino.Core().read_model(onnx_path), tmp_path / "net.xml")
    model = openvino.Core().read_model(tmp_path / "net.xml")
    bare = onnx.load(onnx_path)
    del bare.metadata_props[:]
    onnx.save(bare, onnx_path)
    openvino.save_model(openvino.Core().read_model(onnx_path), tmp_path / "bare.xml")
    del model
    with pytest.raises(ModelError, match=r"recognised as Ultralytics YOLO .* does not say what"):
        ForeignDetector(tmp_path / "bare.xml", GivenOptions())
    words = "task: detect\nimgsz: [64, 64]\nnames: {0: car, 1: person}\nstride: 32\n"
    (tmp_path / "metadata.yaml").write_text(words)
    (found,) = ForeignDetector(tmp_path / "bare.xml", GivenOptions()).predict([layouts.picture()])
    assert is_right(found)


def test_what_is_not_known_is_said_in_one_line(tmp_path: Path) -> None:
    net = layouts.Net(layouts.STRETCHED)
    net.output("odd", net.shaped(net.score(), 1, 1, 1, 1, 2), (1, 1, 1, 1, 2))
    with pytest.raises(ModelError, match=r"outputs \(odd 1×1×1×1×2 float32\) are of no known fam"):
        ForeignDetector(net.save(tmp_path / "odd.onnx"), NAMED)
    path = layouts.yolo(tmp_path / "net.onnx")
    model = onnx.load(path)
    onnx.helper.set_model_props(model, layouts.ultralytics(task="obb"))
    onnx.save(model, path)
    with pytest.raises(ModelError, match="made for the task 'obb', which gives no upright boxes"):
        ForeignDetector(path, GivenOptions())


def test_what_the_configuration_says_beats_what_the_file_says(tmp_path: Path) -> None:
    path = layouts.yolo(tmp_path / "net.onnx")
    options = (("class_names", ("lorry", "walker")), ("min_score", 0.9))
    detector = ForeignDetector(path, GivenOptions(options))
    assert detector.class_names == ("lorry", "walker")
    assert len(detector.predict([layouts.picture()])[0]) == 0
