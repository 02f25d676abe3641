"""A student brought into a camera's classes keeps what it knows of them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from models.boxes.classes import ClassMap
from models.boxes.detector import TorchDetector, build_model
from models.boxes.student import fit_to_camera, load_detector, meta_of, spec_from_meta
from models.checkpoint import save_checkpoint
from models.errors import ModelError, WeightsError
from tests.unit.test_models_losses import spec

HEAD = "roi_heads.box_predictor"


@pytest.fixture
def detector() -> TorchDetector:
    torch.manual_seed(0)
    return TorchDetector(build_model(spec()), spec())


def test_rows_of_known_classes_are_carried_over(detector: TorchDetector) -> None:
    classes = ClassMap.from_config({"bike": ["bike", "bicycle"], "people": ["person"]})
    fitted = fit_to_camera(detector, classes, height_px=64, width_px=128)
    old, new = detector.model.state_dict(), fitted.model.state_dict()
    scores, boxes = f"{HEAD}.cls_score.weight", f"{HEAD}.bbox_pred.weight"
    assert fitted.class_names == ("bike", "people")
    assert new[scores].shape[0] == 3
    # background, then bicycle (label 3 of the old head), then person (label 1)
    assert torch.equal(new[scores], old[scores][[0, 3, 1]])
    assert torch.equal(new[boxes], old[boxes].reshape(4, 4, -1)[[0, 3, 1]].reshape(12, -1))
    assert torch.equal(new["rpn.head.cls_logits.weight"], old["rpn.head.cls_logits.weight"])
    assert (fitted.spec.height_px, fitted.spec.width_px) == (64, 128)


def test_a_class_nobody_knew_starts_small(detector: TorchDetector) -> None:
    fitted = fit_to_camera(
        detector, ClassMap.from_config(["person", "dog"]), height_px=96, width_px=160
    )
    row = fitted.model.state_dict()[f"{HEAD}.cls_score.weight"][2]
    assert 0 < float(row.abs().max()) < 0.1


def test_a_saved_student_comes_back_the_same(detector: TorchDetector, tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "v1", detector.model.state_dict(), meta_of(detector))
    back = load_detector(tmp_path / "v1")
    assert back.spec == detector.spec
    for name, value in detector.model.state_dict().items():
        assert torch.equal(back.model.state_dict()[name], value)


def test_a_description_without_a_spec_is_refused() -> None:
    with pytest.raises(WeightsError, match=r"v7: .* no usable 'spec'"):
        spec_from_meta({"spec": {"width": 1.0}}, source="v7")


@pytest.mark.parametrize(
    "key",
    ["architecture", "class_names", "height_px", "width_px", "width", "anchor_px", "proposals"],
)
@pytest.mark.parametrize(
    "value", [None, 0, -1, True, "", [], {}, [None], [[1]], float("nan"), float("inf"), 10**30]
)
def test_a_description_of_another_kind_is_one_line(key: str, value: object) -> None:
    spec = {
        "architecture": "resnet18",
        "class_names": ["person"],
        "height_px": 96,
        "width_px": 160,
        "width": 0.25,
        "anchor_px": [8, 16, 32, 64, 128],
        "proposals": 150,
    }
    with pytest.raises(ModelError):
        build_model(spec_from_meta({"spec": {**spec, key: value}}, source="v1"))


def test_a_picture_larger_than_any_camera_s_is_damage() -> None:
    """Each side by itself could be right."""
    spec = {
        "architecture": "resnet18",
        "class_names": ["person"],
        "height_px": 16_384,
        "width_px": 16_384,
        "anchor_px": [8, 16, 32, 64, 128],
    }
    with pytest.raises(WeightsError, match="height_px and width_px: got 16384 and 16384"):
        spec_from_meta({"spec": spec}, source="v1")


@pytest.mark.parametrize("meta", [{}, {"spec": None}, {"spec": 3}, {"spec": ["a"]}, {"spec": "ab"}])
def test_no_description(meta: dict[str, object]) -> None:
    with pytest.raises(ModelError, match="v1: its description holds no usable 'spec'"):
        spec_from_meta(meta, source="v1")
