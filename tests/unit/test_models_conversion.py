"""Converted weights find what their own framework's code found with them (docs/design/pretrained.md
says how the golden files were made), and a layout's every part is needed for that."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmarks.conversion import (
    GOLDEN,
    differences,
    found_by,
    our_net,
    recipe_picture,
    recipe_weights,
    torchvision_pair,
)
from models.boxes.classes import COCO_80, ClassMap
from models.boxes.detector import DetectorSpec, build_model
from models.boxes.layout import LAYOUTS, AlignedPooling, Layout
from models.boxes.losses import image_losses
from models.boxes.student import fit_to_camera, spec_from_meta
from models.checkpoint import load_into
from models.errors import ModelError, WeightsError
from models.pretrained.convert import COCO_91_GAPS, converted

RECIPE_WEIGHT = [[-0.052605603, 0.10643282, -0.9988156], [1.3305476, 1.0591719, 0.6515481]]
RECIPE_PICTURE_SUM = 218287

TOLERANCE_PX, TOLERANCE_SCORE = 1e-3, 1e-4
NETS = {"mmdetection": "mmdetection_narrow", "detectron2": "detectron2_narrow"}


def golden(layout: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((GOLDEN / f"{NETS[layout]}.json").read_text())
    return content


def foreign_state(layout: str) -> dict[str, Tensor]:
    weights = recipe_weights(golden(layout)["shapes"])
    return {name: torch.from_numpy(array) for name, array in weights.items()}


@pytest.mark.parametrize("layout", NETS)
def test_boxes_and_scores_are_their_own_code_s(layout: str) -> None:
    theirs = golden(layout)
    found = differences(found_by(our_net(theirs)), theirs)
    assert len(theirs["labels"]) == 100
    assert found["missing"] == 0
    assert found["boxes_px"] < TOLERANCE_PX
    assert found["scores"] < TOLERANCE_SCORE


@pytest.mark.parametrize(
    ("layout", "part"),
    [
        ("mmdetection", "exact_anchors"),
        ("mmdetection", "aligned_pooling"),
        ("detectron2", "exact_anchors"),
        ("detectron2", "aligned_pooling"),
        ("detectron2", "stride_first"),
    ],
)
def test_every_part_of_a_layout_is_needed(
    monkeypatch: pytest.MonkeyPatch, layout: str, part: str
) -> None:
    monkeypatch.setitem(LAYOUTS, "without", replace(LAYOUTS[layout], **{part: False}))
    theirs = golden(layout)
    assert differences(found_by(our_net(theirs, "without")), theirs)["missing"] > 5


@pytest.mark.slow
def test_torchvision_s_own_file_finds_what_torchvision_finds(tmp_path: Path) -> None:
    ours, theirs = torchvision_pair("mobilenet-320", 60.0, tmp_path)
    assert len(theirs["labels"]) > 20
    found = differences(ours, theirs)
    assert found == {"boxes_px": pytest.approx(0, abs=TOLERANCE_PX), "missing": 0,
                     "scores": pytest.approx(0, abs=TOLERANCE_SCORE)}  # fmt: skip


def test_two_cameras_with_other_classes_from_one_file() -> None:
    # Given one file of COCO's 80 classes and two cameras, one of which merges three of them,
    teacher = our_net(golden("mmdetection"))
    yard = ClassMap.from_config({"person": ["person"], "vehicle": ["car", "bus", "truck"]})
    dogs = ClassMap.from_config(["dog", "bicycle", "person"])
    old = teacher.model.state_dict()["roi_heads.box_predictor.cls_score.weight"]
    rows = {name: old[1 + COCO_80.index(name)] for name in COCO_80}
    picture = recipe_picture(96, 128)
    for classes, carried in (
        (yard, ["person", "car"]),
        (dogs, ["dog", "bicycle", "person"]),
    ):
        student = fit_to_camera(teacher, classes, height_px=96, width_px=128)
        new = student.model.state_dict()["roi_heads.box_predictor.cls_score.weight"]
        # Then each has the background's row and its own classes' rows, and still the layout
        assert torch.equal(new, torch.stack([old[0], *(rows[name] for name in carried)]))
        assert student.spec.layout == "mmdetection"
        assert isinstance(student.model.roi_heads.box_roi_pool, AlignedPooling)
        # it can be trained
        target = {"boxes": torch.tensor([[8.0, 8, 60, 70]]), "labels": torch.tensor([2])}
        image = torch.from_numpy(picture).permute(2, 0, 1).float() / 255
        losses = image_losses(student.model.train(), [image], [target])
        sum(loss.sum() for loss in losses.values()).backward()  # type: ignore[union-attr]
        assert torch.isfinite(new).all()
        assert student.model.roi_heads.box_head.fc6.weight.grad.abs().max() > 0
        # and what it finds is in its own classes.
        found = student.predict([picture])[0]
        assert len(found)
        assert set(found.labels.tolist()) <= set(range(len(classes.names)))
    # The teacher itself, translated, says no more than the camera's classes.
    labels = yard.translate(teacher.predict([picture])[0], teacher.class_names).labels
    assert set(labels.tolist()) <= {0, 1}


def test_the_rows_of_ids_that_coco_never_uses_are_cut() -> None:
    weight = torch.arange(91.0)[:, None].repeat(1, 2)
    boxes = torch.arange(91.0 * 4)
    state = {
        "roi_heads.box_predictor.cls_score.weight": weight,
        "roi_heads.box_predictor.bbox_pred.bias": boxes,
    }
    ours = converted(state, "torchvision", source="x")
    kept = [i for i in range(91) if i not in COCO_91_GAPS]
    assert ours["roi_heads.box_predictor.cls_score.weight"][:, 0].tolist() == kept
    assert ours["roi_heads.box_predictor.bbox_pred.bias"][::4].tolist() == [4 * i for i in kept]
    assert len(kept) == 1 + len(COCO_80)


def test_what_detectron2_s_files_hold_beside_weights_is_left_out() -> None:
    beside = {
        "pixel_mean": torch.ones(3, 1, 1),
        "pixel_std": torch.ones(3, 1, 1),
        "proposal_generator.anchor_generator.cell_anchors.0": torch.ones(3, 4),
    }
    assert converted(beside, "detectron2", source="x") == {}


@pytest.mark.parametrize("layout", NETS)
def test_weights_of_another_architecture(layout: str) -> None:
    other = next(name for name in NETS if name != layout)
    with pytest.raises(
        WeightsError, match=rf"w\.pth: weights of another architecture than {layout}'s Faster R-CNN"
    ) as caught:
        converted(foreign_state(other), layout, source="w.pth")
    assert "\n" not in str(caught.value)


def test_weights_of_a_deeper_and_of_a_narrower_net() -> None:
    spec = DetectorSpec(
        architecture="resnet101",
        class_names=COCO_80,
        height_px=64,
        width_px=64,
        width=0.25,
        layout="mmdetection",
    )
    state = converted(foreign_state("mmdetection"), "mmdetection", source="w.pth")
    with pytest.raises(WeightsError, match=r"w\.pth: weights of another .* 306 missing \(back"):
        load_into(build_model(spec), state, source="w.pth")
    narrower = build_model(replace(spec, architecture="resnet50", width=0.125))
    with pytest.raises(WeightsError, match=r"of another shape \(backbone\.body\.conv1\.weight"):
        load_into(narrower, state, source="w.pth")


def test_the_layout_is_stored_and_old_descriptions_are_still_read() -> None:
    stored = {
        "architecture": "resnet18",
        "class_names": ["person"],
        "height_px": 96,
        "width_px": 160,
        "width": 0.25,
        "anchor_px": [8, 16, 32, 64, 128],
        "proposals": 150,
    }
    assert spec_from_meta({"spec": stored}, source="v1").layout == "torchvision"
    assert spec_from_meta({"spec": {**stored, "layout": "detectron2"}}, source="v1").layout == (
        "detectron2"
    )


@pytest.mark.parametrize(
    ("architecture", "layout", "message"),
    [
        ("resnet18", "caffe", r"layout 'caffe' .* allowed: torchvision, mmdetection, detectron2"),
        ("fasterrcnn_mobilenet_v3_large_fpn", "mmdetection", "allowed: torchvision"),
    ],
)
def test_a_layout_that_is_none(architecture: str, layout: str, message: str) -> None:
    spec = DetectorSpec(
        architecture=architecture,
        class_names=("person",),
        height_px=64,
        width_px=64,
        layout=layout,
    )
    with pytest.raises(ModelError, match=message):
        build_model(spec)


def test_torchvision_s_layout_changes_nothing() -> None:
    assert LAYOUTS["torchvision"] == Layout()


def test_no_region_pools_to_nothing() -> None:
    features = {str(k): torch.zeros(1, 8, 16 >> k, 16 >> k) for k in range(4)}
    pooled = AlignedPooling()(features, [torch.zeros(0, 4)], [(64, 64)])
    assert pooled.shape == (0, 8, 7, 7)


def test_the_recipe_s_numbers_are_the_ones_the_golden_files_were_made_with() -> None:
    weight = recipe_weights({"fc.weight": [2, 3], "fc.bias": [1]})
    np.testing.assert_allclose(
        weight["fc.weight"], RECIPE_WEIGHT, rtol=1e-6, err_msg="numpy's stream has changed"
    )
    assert recipe_picture(24, 24).sum() == RECIPE_PICTURE_SUM
