"""A Faster R-CNN arranged for the CPU says what torchvision says; where it does not, it is left."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional
from torchvision.ops import MultiScaleRoIAlign

from culling_pipeline.run.workers import Workers
from culling_pipeline.tasks.boxes.task import OpenStudent
from models import __path__ as models_path
from models.base import backend_of
from models.boxes import backend
from models.boxes.backend import at_work, disagreement, first_look_error, trial_picture
from models.boxes.detections import Detections
from models.boxes.detector import DetectorSpec, TorchDetector, build_model
from models.boxes.exported import agreement
from models.boxes.layout import AlignedPooling
from models.boxes.lean import packed, regions
from models.boxes.lean.detector import LeanDetector, why_not
from models.boxes.lean.packed import PyramidConv, channels_first, packing_works, table
from models.boxes.lean.pooling import RegionPooling
from models.boxes.lean.trunk import halved_by_max
from models.boxes.student import load_detector
from models.boxes.zones import OpenIgnoring
from models.images import scaled
from models.zones import Zones
from streams.synthetic.street.render import StreetRenderer
from streams.synthetic.street.scene import make_scene

WEIGHTS = Path(models_path[0]) / "weights"
NAMES = ("street-student", "street-teacher")
HEIGHT, WIDTH = 192, 320

pytestmark = pytest.mark.skipif(not packing_works(), reason="made for x86-64 with AVX2")


@pytest.fixture(autouse=True)
def _tell_again() -> None:
    backend._tell.cache_clear()
    torch.set_num_threads(1)


def student() -> TorchDetector:
    return load_detector(WEIGHTS / "street-student.safetensors")


def pictures(count: int) -> list[NDArray[np.uint8]]:
    renderer = StreetRenderer(make_scene(77, width_px=WIDTH, height_px=HEIGHT))
    return [renderer.render(86_400 * (k + 0.5) / count)[0] for k in range(count)]


def near(ours: list[Detections], theirs: list[Detections], *, least: int = 1) -> bool:
    found = agreement(theirs, ours, min_score=0.05)
    assert found.boxes >= least
    return not found.unmatched and found.max_box_px < 0.5 and found.max_score < 0.01


def small(architecture: str = "resnet18", **more: Any) -> TorchDetector:
    spec = DetectorSpec(
        architecture=architecture, class_names=("a", "b"), height_px=96, width_px=160, **more
    )
    torch.manual_seed(0)
    return TorchDetector(build_model(spec), spec)


# -- the same boxes --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scale", [1.0, 0.81, 0.43, 1.5])
def test_the_boxes_are_torchvisions_at_any_size(name: str, scale: float) -> None:
    size = scaled(HEIGHT, WIDTH, scale)
    plain = load_detector(WEIGHTS / f"{name}.safetensors").at_size(*size)
    lean = at_work(plain, "auto")
    assert backend_of(lean) == "lean"
    images = pictures(4)
    assert near(lean.predict(images), plain.predict(images))


def test_a_detector_brought_to_another_size_agrees_there() -> None:
    plain = student()
    lean = at_work(plain, "auto")
    images = pictures(4)
    plain.predict(images)  # torchvision keeps the pooling's scales of the first size it sees
    for scale, least in ((0.53, 0), (0.35, 0), (0.81, 1)):
        size = scaled(HEIGHT, WIDTH, scale)
        ours, theirs = lean.at_size(*size), plain.at_size(*size)
        assert near(ours.predict(images), theirs.predict(images), least=least)
    assert near(lean.predict(images), plain.predict(images))


def test_frames_of_another_size_than_the_nets() -> None:
    plain = student().at_size(120, 200)
    lean = LeanDetector(plain)
    big = StreetRenderer(make_scene(77, width_px=480, height_px=288)).render(43_200.0)[0]
    assert near(lean.predict([big]), plain.predict([big]))
    assert lean.predict([]) == []


def test_the_first_look_drops_only_what_has_no_score(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regions, "FIRST_LOOK_WEIGHTS", 1)
    monkeypatch.setattr(regions, "has_int8_dot", lambda: True)
    plain = student()
    lean = LeanDetector(plain)
    assert lean.regions.looks_twice
    dropped = [0, 0]
    whole = lean.regions.in_full

    def counting(rows: Any, bags: Any, side: int) -> Any:
        dropped[0] += 1
        dropped[1] += bags.count
        return whole(rows, bags, side)

    monkeypatch.setattr(lean.regions, "in_full", counting)
    images = pictures(4)
    assert near(lean.predict(images), plain.predict(images))
    assert 0 < dropped[1] < 0.9 * dropped[0] * plain.spec.proposals


def test_a_first_look_that_is_too_rough_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regions, "FIRST_LOOK_WEIGHTS", 1)
    monkeypatch.setattr(regions, "has_int8_dot", lambda: True)
    plain = student()
    fine, rough = LeanDetector(plain), LeanDetector(plain)
    rough.regions._bytes = (rough.regions._bytes // 40) * 40
    image = trial_picture(HEIGHT, WIDTH)
    assert first_look_error(rough, image) > 3 * first_look_error(fine, image)
    assert disagreement(plain, fine) is None
    assert disagreement(plain, rough) is None
    assert fine.regions.looks_twice
    assert not rough.regions.looks_twice
    assert near(rough.predict(pictures(2)), plain.predict(pictures(2)))


def test_several_threads_may_share_it() -> None:
    lean = at_work(student(), "lean")
    images = pictures(6)
    alone = [lean.predict([image])[0] for image in images]
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(lambda image: lean.predict([image])[0], images * 2))
    for a, b in zip(alone * 2, together, strict=True):
        np.testing.assert_array_equal(a.boxes_xyxy, b.boxes_xyxy)


@pytest.mark.slow  # two processes load torch
def test_one_process_and_two_say_the_same_and_zones_hold() -> None:
    zones = Zones((((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)),))
    opener = OpenIgnoring(OpenStudent(WEIGHTS / "street-student.safetensors", "cpu"), zones)
    images = pictures(6)
    found = []
    for count in (1, 2):
        with Workers(count) as workers:
            pool = workers.model(opener)
            assert pool.backend == "lean"
            found.append([d for few in pool.predict([images[:4], images[4:]]) for d in few])
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a.boxes_xyxy, b.boxes_xyxy)
        np.testing.assert_array_equal(a.scores, b.scores)
        assert ((a.boxes_xyxy[:, 0] + a.boxes_xyxy[:, 2]) / 2 >= WIDTH / 2).all()
    assert sum(len(d) for d in found[0]) > 0


# -- its parts -------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["torchvision", "mmdetection"])
def test_pooling_is_torchvisions(layout: str) -> None:
    torch.manual_seed(1)
    shapes = [(48, 80), (24, 40), (12, 20), (6, 10)]
    levels = [torch.randn(1, 8, *shape) for shape in shapes]
    corner = torch.rand(200, 2) * torch.tensor([310.0, 180.0])
    boxes = torch.cat([corner, corner + torch.rand(200, 2) * 250 + 0.01], dim=1)
    pool: Any = MultiScaleRoIAlign(["0", "1", "2", "3"], 7, 2)
    if layout == "mmdetection":
        pool = AlignedPooling()
    wanted = pool({str(k): level for k, level in enumerate(levels)}, [boxes], [(192, 320)])
    ours = RegionPooling(pool, shapes, (192, 320))
    for some in (boxes, boxes[:0]):
        bags = ours.bags(some, ours.levels(some))
        pooled = bags.pooled(torch.cat([table(level) for level in levels]), ours.side)
        as_theirs = pooled.view(-1, 49, 8).transpose(1, 2).reshape(-1, 8, 7, 7)
        torch.testing.assert_close(as_theirs, wanted[: len(some)], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [(48, 64), (13, 22)])
def test_halving_is_max_pooling(size: tuple[int, int]) -> None:
    image = torch.randn(1, 5, *size).to(memory_format=torch.channels_last)
    torch.testing.assert_close(halved_by_max(image), functional.max_pool2d(image, 3, 2, 1))


@pytest.mark.parametrize("in_order", [True, False])
@pytest.mark.parametrize("cells", [(50, 60), (6, 9)])
def test_a_levels_convolution_is_torchs(in_order: bool, cells: tuple[int, int]) -> None:
    torch.manual_seed(2)
    conv = nn.Conv2d(128, 40, 3, padding=1)
    level = torch.randn(1, 128, *cells)
    given = level if in_order else level.to(memory_format=torch.channels_last)
    with torch.inference_mode():
        out = PyramidConv(conv)(given, relu=True)
        torch.testing.assert_close(out, functional.relu(conv(level)), rtol=1e-3, atol=1e-4)
        assert channels_first(out).is_contiguous()


@pytest.mark.parametrize(
    ("architecture", "more"),
    [
        ("resnet50", {"layout": "mmdetection", "width": 0.25}),
        ("resnet50", {"layout": "detectron2", "width": 0.25}),
        ("resnet34", {"width": 0.5}),
        ("fasterrcnn_mobilenet_v3_large_320_fpn", {}),
        ("fasterrcnn_resnet50_fpn", {}),
    ],
)
def test_nets_of_other_kinds_have_the_same_features(
    architecture: str, more: dict[str, Any]
) -> None:
    plain = small(architecture, **more)
    assert why_not(plain) is None
    image = trial_picture(96, 160)
    assert backend._levels_apart(plain, LeanDetector(plain), image) < 1e-4


# -- which one is used -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "architecture", ["ssdlite320_mobilenet_v3_large", "retinanet_resnet50_fpn"]
)
def test_what_cannot_be_arranged_is_run_as_it_is(
    architecture: str, caplog: pytest.LogCaptureFixture
) -> None:
    plain = small(architecture)
    with caplog.at_level(logging.INFO):
        assert at_work(plain, "auto") is plain
        assert at_work(plain, "auto") is plain
    [line] = caplog.records  # once, not for each frame or process
    assert f"{architecture} is no Faster R-CNN with a feature pyramid" in line.message
    assert line.levelno == logging.INFO


def test_asked_for_and_impossible_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    at_work(small("fcos_resnet50_fpn"), "lean")
    assert caplog.records[0].levelno == logging.WARNING


def shifted_anchors(lean: LeanDetector) -> None:
    place = lean.proposals._anchors_of
    lean.proposals._anchors_of = lambda *given: [a + 9 for a in place(*given)]  # type: ignore[method-assign]


def brighter(lean: LeanDetector) -> None:
    lean._gain = lean._gain * 1.05


@pytest.mark.parametrize(
    ("change", "words"),
    [(shifted_anchors, "boxes that are not the same"), (brighter, "its features differ by")],
)
def test_one_that_says_something_else_is_not_used(
    change: Callable[[LeanDetector], None],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    plain = student()
    lean = LeanDetector(plain)
    change(lean)
    monkeypatch.setattr(backend, "LeanDetector", lambda _: lean)
    assert at_work(plain, "auto") is plain
    [line] = caplog.records
    assert line.levelno == logging.WARNING
    assert words in line.message


def test_a_machine_it_was_not_made_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.boxes.lean.detector.packing_works", lambda: False)
    plain = student()
    assert at_work(plain, "auto") is plain
    assert "AVX2" in str(why_not(plain))


def test_without_winograd_the_boxes_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "winograd_works", lambda: False)
    plain = student()
    images = pictures(2)
    assert near(LeanDetector(plain).predict(images), plain.predict(images))


def test_torch_is_torch() -> None:
    plain = student()
    assert at_work(plain, "torch") is plain
    assert backend_of(plain) == "torch"


def test_opening_leaves_the_plain_net_as_it_was() -> None:
    plain = student()
    before = {name: value.clone() for name, value in plain.model.state_dict().items()}
    at_work(plain, "auto")
    pool: Any = plain.model.roi_heads
    assert pool.box_roi_pool.scales is None
    for name, value in plain.model.state_dict().items():
        assert torch.equal(value, before[name])
