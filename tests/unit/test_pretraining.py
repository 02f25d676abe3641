"""Training on a large labelled set: its data, its recipe, and that a cut makes no difference."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from culling_pipeline.run.progress import Advance, NoProgress
from culling_pipeline.tasks.boxes.coco_dataset import CocoError, Labelled, has_split, read_split
from culling_pipeline.training import DropAndPick
from culling_pipeline.training.loop import TrainingError
from culling_pipeline.training.options import imagenet_options, show
from culling_pipeline.training.pretraining import (
    Group,
    PretrainPlan,
    batches_of,
    learning_rate,
    pretrain,
    schedule_of,
)
from jobs.cli import run
from models.boxes.detector import DetectorSpec, build_model
from models.errors import WeightsError
from tests.integration.coco import write_coco

SPEC = DetectorSpec(
    architecture="resnet18",
    class_names=("person", "car", "bicycle"),
    height_px=64,
    width_px=96,
    width=0.125,
    anchor_px=(8, 16, 32, 64, 128),
    proposals=50,
)
ALONE = Group()


def pictures(count: int, *, width_px: int = 160) -> list[Labelled]:
    box, label = np.array([[1, 2, 9, 11]], np.float32), np.zeros(1, np.int64)
    return [Labelled(Path(f"{k}.jpg"), 96, width_px, box, label) for k in range(count)]


# -- the data --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def coco(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_coco(tmp_path_factory.mktemp("coco"), count=4)


def test_pictures_come_with_their_boxes_and_classes_in_the_order_of_ids(coco: Path) -> None:
    found = read_split(coco, "train2017")
    assert found.class_names == ("person", "car", "bicycle")
    content = json.loads((coco / "annotations" / "instances_train2017.json").read_text())
    for picture in found.pictures:
        number = int(picture.path.stem)
        own = [a for a in content["annotations"] if a["image_id"] == number]
        assert picture.labels.tolist() == [(a["category_id"] - 1) // 3 for a in own]
        x, y, width, height = np.array([a["bbox"] for a in own]).T
        expected = np.stack([x, y, x + width, y + height], axis=1)
        np.testing.assert_allclose(picture.boxes_xyxy, expected, atol=1e-4)
        assert picture.read().shape == (picture.height_px, picture.width_px, 3)
        assert len(picture.truth) == len(own)
    assert has_split(coco, "train2017")
    assert not has_split(coco, "val2017")


def small_set(folder: Path, **annotation: object) -> Path:
    """One picture (which is not there) with one annotation."""
    whole = {"id": 1, "image_id": 7, "category_id": 3, "bbox": [1, 2, 10, 5], "iscrowd": 0}
    content = {
        "images": [{"id": 7, "file_name": "7.jpg", "height": 96, "width": 160}],
        "annotations": [whole | annotation],
        "categories": [{"id": 3, "name": "car"}],
    }
    (folder / "annotations").mkdir()
    path = folder / "annotations" / "instances_train2017.json"
    path.write_text(json.dumps(content))
    return folder


def test_a_box_that_leaves_the_picture_is_cut(tmp_path: Path) -> None:
    (picture,) = read_split(small_set(tmp_path, bbox=[150, -3, 30, 20]), "train2017").pictures
    assert picture.boxes_xyxy.tolist() == [[150, 0, 160, 17]]
    with pytest.raises(CocoError, match=r"7\.jpg: not there, or no picture"):
        picture.read()


@pytest.mark.parametrize("annotation", [{"iscrowd": 1}, {"bbox": [5, 5, 0, 9]}])
def test_crowds_and_boxes_without_area_are_left_out(
    tmp_path: Path, annotation: dict[str, object]
) -> None:
    small_set(tmp_path, **annotation)
    with pytest.raises(CocoError, match="no picture with a box in it"):
        read_split(tmp_path, "train2017")
    (picture,) = read_split(tmp_path, "train2017", with_empty=True).pictures
    assert picture.boxes_xyxy.shape == (0, 4)


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        ({"bbox": [0.25, 0.5, 0.5, 0.25]}, "all boxes lie within 0…1"),
        ({"bbox": [1, 2, float("nan"), 5]}, "7.jpg: a box with NaN"),
        ({"bbox": [1, 2, 10**400, 5]}, "not COCO's instances"),
    ],
)
def test_boxes_that_are_no_pixels_are_refused(
    tmp_path: Path, annotation: dict[str, object], expected: str
) -> None:
    with pytest.raises(CocoError, match=expected):
        read_split(small_set(tmp_path, **annotation), "train2017")


@pytest.mark.parametrize(
    "content",
    [
        "[]",
        "{",
        '{"images": [], "annotations": []}',
        '{"images": [], "categories": [], "annotations": [[]]}',
        '{"categories": [{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]}',
        "[" * 100_000,
    ],
)
def test_annotations_that_are_none(tmp_path: Path, content: str) -> None:
    small_set(tmp_path)
    (tmp_path / "annotations" / "instances_train2017.json").write_text(content)
    with pytest.raises(CocoError, match=r"instances_train2017.json: not COCO's instances"):
        read_split(tmp_path, "train2017")


# -- the recipe ------------------------------------------------------------------------------------


def recipe(**changes: Any) -> PretrainPlan:
    """torchvision's recipe, two pictures a step, read in this process, but for these changes."""
    given = {"epochs": 26, "learning_rate": 0.02, "batch_size": 2, "save_s": 600.0, "loaders": 0}
    return PretrainPlan(**{**given, **changes})


def test_the_rate_is_the_reference_s() -> None:
    plan, eight = recipe(), Group(0, 8)

    def rate(epoch: int, step: int) -> float:
        return learning_rate(plan, eight, epoch, step, 7330)

    assert plan.steps == (16, 22)
    assert [rate(1, 0), rate(1, 500), rate(1, 1000)] == pytest.approx([2e-5, 0.01001, 0.02])
    assert [rate(epoch, 0) for epoch in (2, 16, 17, 22, 23, 26)] == pytest.approx(
        [0.02, 0.02, 0.002, 0.002, 0.0002, 0.0002]
    )
    assert learning_rate(plan, ALONE, 2, 0, 9) == pytest.approx(0.02 / 8)


def test_processes_share_an_epoch_and_batches_are_of_one_shape() -> None:
    plan = recipe()
    some = [*pictures(9), *pictures(6, width_px=96)]
    shares = [batches_of(some, plan, Group(rank, 2), 1) for rank in range(2)]
    assert [len(share) for share in shares] == [5, 5]
    seen = [n for share in shares for batch in share for n, _ in batch]
    assert set(seen) == set(range(15))
    assert len(seen) == 20
    for one, other in zip(*shares, strict=True):
        assert len({some[n].width_px for n, _ in (*one, *other)}) == 1
    assert 3 < sum(flip for share in shares for batch in share for _, flip in batch) < 17
    assert batches_of(some, plan, Group(0, 2), 1) == shares[0]
    assert batches_of(some, plan, Group(0, 2), 2) != shares[0]


# -- the loop --------------------------------------------------------------------------------------


class CutOff:
    """Progress that ends the process, as it were, after so many steps."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    @contextmanager
    def stage(self, name: str, total: int | None = None) -> Iterator[Advance]:
        yield self.advance

    def advance(self, done: int) -> None:
        self.steps -= done
        if self.steps < 0:
            raise KeyboardInterrupt

    def note(self, text: str) -> None:
        """Nothing to say."""


def net() -> nn.Module:
    torch.manual_seed(1)
    return build_model(SPEC)


def trained(coco: Path, checkpoint: Path, *cuts: int, **changes: Any) -> nn.Module:
    """Two epochs, in as many tries as there are cuts, and one more."""
    plan = recipe(**{"epochs": 2, "save_s": 0.0, **changes})
    some = read_split(coco, "train2017").pictures
    for cut in (*cuts, None):
        model = net()
        try:
            pretrain(
                model,
                some,
                plan,
                group=ALONE,
                device=torch.device("cpu"),
                checkpoint=checkpoint,
                progress=NoProgress() if cut is None else CutOff(cut),
            )
        except KeyboardInterrupt:
            assert cut is not None
    return model


def test_a_training_that_was_cut_off_is_the_same_in_the_end(coco: Path, tmp_path: Path) -> None:
    whole = trained(coco, tmp_path / "whole").state_dict()
    parts = trained(coco, tmp_path / "parts", 1, 1).state_dict()
    assert any(not torch.equal(v, net().state_dict()[n]) for n, v in whole.items())
    for name, value in whole.items():
        assert torch.equal(value, parts[name]), name


def test_with_drop_and_pick_a_cut_makes_no_difference_either(coco: Path, tmp_path: Path) -> None:
    steps: dict[str, list[int]] = {}

    class Counting(NoProgress):
        @contextmanager
        def stage(self, name: str, total: int | None = None) -> Iterator[Advance]:
            steps.setdefault(name, [total or 0])
            yield lambda done: None

    plan: dict[str, Any] = {"epochs": 6, "batch_size": 1, "schedule": "dap", "save_s": 0.0}
    whole, some = net(), read_split(coco, "train2017").pictures
    pretrain(
        whole,
        some,
        recipe(**plan),
        group=ALONE,
        device=torch.device("cpu"),
        checkpoint=tmp_path / "a new folder" / "whole",
        progress=Counting(),
    )
    # W 1, I 1, p 0.9: 4, 4, then int(4 · 0.9) = 3, int(3 · 0.9) = 2; all again after 4 and after 5
    assert [count for (count,) in steps.values()] == [4, 4, 3, 2, 4, 4]
    parts = trained(coco, tmp_path / "parts", 2, 5, 5, **plan).state_dict()
    for name, value in whole.state_dict().items():
        assert torch.equal(value, parts[name]), name


def test_the_authors_setting_is_the_preset() -> None:
    plan = recipe(epochs=120, schedule="dap")
    images = sum(schedule_of(plan, 1_281_167, ALONE).course.sizes())
    options = imagenet_options(120, plan.steps)
    assert (options.warm_up, options.interval, options.keep, options.active) == (10, 2, 0.9, 10)
    assert images == sum(show("dap", 1_281_167, 120, options).per_epoch)
    own = DropAndPick.imagenet(1_281_167)
    assert round(100 * sum(own.course.sizes()) / (120 * 1_281_167)) == 74  # the paper says 75
    coco = imagenet_options(26, recipe().steps)
    assert (coco.warm_up, coco.interval, coco.active, coco.pick) == (2, 1, 5, (16, 22))


def test_a_checkpoint_from_before_there_was_a_choice_goes_on(coco: Path, tmp_path: Path) -> None:
    path = tmp_path / "c.checkpoint"
    whole = trained(coco, path).state_dict()
    state = torch.load(path, weights_only=True)
    assert set(state) == {"model", "optimizer", "recipe", "at"}
    del state["recipe"]["schedule"]
    torch.save(state, path)
    again = trained(coco, path).state_dict()
    assert all(torch.equal(value, again[name]) for name, value in whole.items())
    with pytest.raises(WeightsError, match=r"another training \(schedule standard then, dap now\)"):
        trained(coco, path, schedule="dap")


def test_only_the_chosen_pictures_come() -> None:
    chosen = np.array([1, 4, 5, 7])
    batches = batches_of(pictures(9), recipe(), ALONE, 1, chosen)
    assert sorted(n for batch in batches for n, _ in batch) == chosen.tolist()


def test_a_checkpoint_of_another_training_is_not_gone_on_with(coco: Path, tmp_path: Path) -> None:
    path = tmp_path / "c.checkpoint"
    trained(coco, path)
    with pytest.raises(
        WeightsError, match=r"another training \(epochs 2 then, 3 now\): use the same"
    ):
        trained(coco, path, epochs=3)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(WeightsError, match=r"not a checkpoint of this training .* delete it"):
        trained(coco, path)


def test_a_loss_that_is_not_finite_ends_it(coco: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="the loss is not finite; lower the learning rate"):
        trained(coco, tmp_path / "c.checkpoint", learning_rate=1e30)


# -- the command -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--out", "s.pth"], "--out s.pth: must end in .safetensors"),
        (["--width", "0.25"], "--width 0.25: ImageNet's backbones have full width: leave it out"),
        ([], "must hold annotations/ and train2017/, as COCO's do"),
    ],
)
def test_what_cannot_be_asked_for(
    tmp_path: Path, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["pretrain", "--coco", str(tmp_path), "--device", "cpu", *options]) == 2
    assert message in capsys.readouterr().err
