"""Per-image losses add up to torchvision's own, and a detector works at the size it is given."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import models
from models.boxes.detector import (
    SLIM_ANCHOR_PX,
    DetectorSpec,
    TorchDetector,
    build_model,
)
from models.boxes.losses import image_losses
from models.boxes.student import load_detector
from models.errors import ModelError
from models.images import scaled, to_tensor
from streams.synthetic.street.render import StreetRenderer
from streams.synthetic.street.scene import make_scene

CLASSES = ("person", "car", "bicycle")


def spec(architecture: str = "resnet18", **changes: object) -> DetectorSpec:
    given: dict[str, object] = {
        "architecture": architecture,
        "class_names": CLASSES,
        "height_px": 96,
        "width_px": 160,
        "width": 0.25,
        "anchor_px": SLIM_ANCHOR_PX,
        "proposals": 50,
    }
    return DetectorSpec(**(given | changes))  # type: ignore[arg-type]


def street_batch(count: int = 3) -> tuple[list[torch.Tensor], list[dict[str, torch.Tensor]]]:
    renderer = StreetRenderer(make_scene(3, width_px=160, height_px=96))
    rendered = [renderer.render(8 * 3600 + 40 * k) for k in range(count)]
    return [to_tensor(image) for image, _ in rendered], [
        {
            "boxes": torch.from_numpy(truth.boxes_xyxy.reshape(-1, 4)),
            "labels": torch.from_numpy(truth.labels) + 1,
        }
        for _, truth in rendered
    ]


@pytest.mark.parametrize("role", ["student", "teacher"])
def test_losses_per_image_add_up_to_torchvisions_batch_losses(role: str) -> None:
    weights = Path(models.__path__[0]) / "weights" / f"street-{role}.safetensors"
    model = load_detector(weights).model.train()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()
    images, targets = street_batch()
    torch.manual_seed(1)
    whole = model(images, targets)
    torch.manual_seed(1)
    single = image_losses(model, images, targets)
    assert set(single) == set(whole)
    for name, value in whole.items():
        assert single[name].shape == (3,)
        assert abs(float(single[name].detach().sum()) - float(value.detach())) < 1e-5, name
    gradient = torch.autograd.grad(whole["loss_classifier"], model.roi_heads.box_head.fc6.weight)[0]
    own = torch.autograd.grad(single["loss_classifier"].sum(), model.roi_heads.box_head.fc6.weight)[
        0
    ]
    assert torch.allclose(gradient, own, atol=1e-6)


def test_an_image_without_objects_has_a_finite_loss() -> None:
    model = build_model(spec()).train()
    images, _ = street_batch(1)
    empty = {"boxes": torch.zeros((0, 4)), "labels": torch.zeros(0, dtype=torch.int64)}
    losses = image_losses(model, images, [empty])
    assert all(torch.isfinite(value).all() for value in losses.values())
    assert float(losses["loss_box_reg"].detach().sum()) == 0.0


def test_any_torchvision_builder_can_stand_in() -> None:
    model = build_model(spec("fasterrcnn_mobilenet_v3_large_320_fpn", height_px=96, width_px=160))
    images, targets = street_batch(2)
    losses = image_losses(model.train(), images, targets)
    assert all(value.shape == (2,) for value in losses.values())
    found = TorchDetector(model, spec("fasterrcnn_mobilenet_v3_large_320_fpn")).predict(
        [(images[0].permute(1, 2, 0).numpy() * 255).astype("uint8")]
    )
    assert len(found) == 1


def test_an_unknown_architecture_is_named_with_those_allowed() -> None:
    with pytest.raises(ModelError, match=r"unknown detector architecture 'resnet19'.*resnet18"):
        build_model(spec("resnet19"))


def test_no_class_is_refused() -> None:
    with pytest.raises(ModelError, match="at least one class"):
        build_model(spec(class_names=()))


def flops(detector: TorchDetector, height: int, width: int) -> int:
    renderer = StreetRenderer(make_scene(3, width_px=width, height_px=height))
    image, _ = renderer.render(8 * 3600)
    with FlopCounterMode(display=False) as counter:
        detector.predict([image])
    return int(counter.get_total_flops())


def test_the_work_shrinks_with_the_scale() -> None:
    # the min_size trap: torchvision would blow a smaller frame up again and save nothing
    torch.manual_seed(0)
    full = TorchDetector(
        build_model(spec(height_px=192, width_px=320)), spec(height_px=192, width_px=320)
    )
    half = full.at_size(*scaled(192, 320, 0.5))
    at_full, at_half = flops(full, 192, 320), flops(half, 192, 320)
    assert at_half < 0.55 * at_full  # backbone a quarter; the second stage costs the same


def test_batched_equals_single() -> None:
    torch.manual_seed(0)
    detector = TorchDetector(build_model(spec()), spec())
    renderer = StreetRenderer(make_scene(3, width_px=160, height_px=96))
    images = [renderer.render(8 * 3600 + k)[0] for k in range(3)]
    together = detector.predict(images)
    for image, found in zip(images, together, strict=True):
        alone = detector.predict([image])[0]
        assert len(alone) == len(found)
        assert abs(alone.boxes_xyxy - found.boxes_xyxy).max(initial=0) < 0.05
        assert abs(alone.scores - found.scores).max(initial=0) < 1e-3


def test_boxes_come_back_in_the_frames_own_pixels() -> None:
    torch.manual_seed(0)
    detector = TorchDetector(build_model(spec()), spec())
    renderer = StreetRenderer(make_scene(3, width_px=320, height_px=192))
    found = detector.predict([renderer.render(8 * 3600)[0]])[0]
    assert found.boxes_xyxy[:, 2].max() > 165  # beyond the 160 px the net itself saw
    assert found.boxes_xyxy[:, [0, 2]].max() <= 320.5
