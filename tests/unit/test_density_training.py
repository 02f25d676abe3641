"""CLIP's experiment as a command: it learns, goes on where it was cut off, and measures."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from culling_pipeline.run.progress import NoProgress
from culling_pipeline.tasks.density.datasets import read_points
from culling_pipeline.tasks.density.datasets.base import PointedPicture
from culling_pipeline.tasks.density.gallery import Crowd, Gallery, Showing, cropped, shown
from culling_pipeline.tasks.density.losses import map_losses
from culling_pipeline.training import density
from culling_pipeline.training.density import DensityPlan, losses_of, measure_density, train_density
from culling_pipeline.training.options import EVERYTHING
from jobs.cli import run
from models.density.nets import NETS
from models.density.student import DensityStudent, load_density_student, new_density_student
from models.density.vgg import begin_with_vgg, takes_vgg
from models.errors import WeightsError

PLAN = DensityPlan(
    schedule="clip",
    epochs=4,
    batch_size=2,
    learning_rate=1e-3,
    sigma_px=3.0,
    crop_px=32,
    options=replace(EVERYTHING, start=0.5, prune_ratio=0.1),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """White dots on grey, more in each picture than in the last: 8 to train on, 2 to test."""
    root = tmp_path_factory.mktemp("dots")
    rng = np.random.default_rng(4)
    lines = ["file,x,y"]
    for number in range(10):
        image = np.full((48, 64, 3), 60, np.uint8)
        for x, y in rng.integers(4, 44, (number + 1, 2)):
            cv2.circle(image, (int(x), int(y)), 2, (255, 255, 255), -1)
            lines.append(f"{number}.png,{x},{y}")
        cv2.imwrite(str(root / f"{number}.png"), image)
    (root / "points.csv").write_text("\n".join(lines))
    return root


def gallery(folder: Path, split: str = "train") -> Gallery:
    return Gallery(read_points(folder, split).pictures, max_side_px=64)


def student(seed: int = 0) -> DensityStudent:
    return new_density_student("mcnn", "dot", (32, 32), width=0.5, seed=seed)


def trained(folder: Path, plan: DensityPlan, checkpoint: Path | None = None) -> DensityStudent:
    made = student()
    data = gallery(folder)
    train_density(
        made, data, plan, difficulty=data.counts, checkpoint=checkpoint, progress=NoProgress()
    )
    return made


def test_a_net_learns_to_count(folder: Path) -> None:
    plan = replace(PLAN, schedule="standard", epochs=8, light=0.0, options=EVERYTHING)
    test = gallery(folder, "test")
    untrained, made = student(), trained(folder, plan)
    before, after = (
        measure_density(s, test, sigma_px=3.0, progress=NoProgress()) for s in (untrained, made)
    )
    assert after.pictures == 2
    assert after.mae < 0.6 * before.mae
    assert losses_of(made, test, 3.0).mean() < 0.3 * losses_of(untrained, test, 3.0).mean()


class Cut(Exception):
    """The machine stops."""


def test_a_training_that_was_cut_off_is_the_same_in_the_end(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = trained(folder, PLAN)
    original = density.map_losses
    calls = 0

    def cut(maps: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls == 7:  # in the third epoch
            raise Cut
        return original(maps, targets)

    monkeypatch.setattr(density, "map_losses", cut)
    checkpoint = tmp_path / "a.checkpoint"
    with pytest.raises(Cut):
        trained(folder, PLAN, checkpoint)
    assert checkpoint.is_file()
    went_on = trained(folder, PLAN, checkpoint)
    for one, other in zip(whole.model.parameters(), went_on.model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_another_training_does_not_go_on_with_it(folder: Path, tmp_path: Path) -> None:
    checkpoint = tmp_path / "a.checkpoint"
    trained(folder, replace(PLAN, epochs=1), checkpoint)
    with pytest.raises(WeightsError, match=r"sigma_px 3\.0 then, 5\.0 now"):
        trained(folder, replace(PLAN, epochs=1, sigma_px=5.0), checkpoint)


def test_the_loss_is_that_of_equation_2() -> None:
    maps, targets = torch.zeros(2, 1, 2, 2), torch.zeros(2, 1, 2, 2)
    maps[0, 0, 0] = torch.tensor([3.0, 4.0])
    targets[1, 0, 1, 1] = 2.0
    assert map_losses(maps, targets).tolist() == [25, 4]


def test_pictures_of_different_sizes_are_one_batch(tmp_path: Path) -> None:
    pictures = []
    for number, size in enumerate([(40, 48), (32, 64)]):
        path = tmp_path / f"{number}.png"
        cv2.imwrite(str(path), np.full((*size, 3), 90, np.uint8))
        pictures.append(PointedPicture(path, np.array([[9, 9]], np.float32)))
    data = Gallery(pictures, max_side_px=64)
    plan = replace(PLAN, schedule="standard", epochs=1, crop_px=0, options=EVERYTHING)
    (point,) = train_density(student(), data, plan, progress=NoProgress())
    assert point.images == 2


# -- how pictures are shown --------------------------------------------------------------------


def test_points_move_with_the_picture_and_light_changes() -> None:
    image = np.full((40, 60, 3), 100, np.uint8)
    image[10, 20] = 255
    crowd = Crowd(image, np.array([[20.5, 10.5]], np.float32))
    light = set()
    for seed in range(12):
        rng = np.random.default_rng(seed)
        made = shown(crowd, Showing(crop_px=32, flip=True, light=0.2), rng)
        assert made.image.shape == (32, 32, 3)
        light.add(int(np.median(made.image)))
        for x, y in made.points:
            assert made.image[int(y), int(x), 0] == made.image.max()
    assert len(light) > 6


def test_a_picture_smaller_than_the_square_is_black_around() -> None:
    crowd = Crowd(np.full((20, 60, 3), 9, np.uint8), np.array([[1, 1]], np.float32))
    made = cropped(crowd, 32, np.random.default_rng(0))
    assert made.image[:20].min() == 9
    assert made.image[20:].max() == 0


def write_points(folder: Path, *points: tuple[float, float]) -> Gallery:
    """One picture of 48×64 pixels with these points."""
    cv2.imwrite(str(folder / "a.png"), np.zeros((48, 64, 3), np.uint8))
    lines = [f"a.png,train,{x},{y}" for x, y in points]
    (folder / "points.csv").write_text("\n".join(["file,split,x,y", *lines]))
    return gallery(folder)


@pytest.mark.parametrize(
    ("points", "swapped"),
    [([(10, 60), (5, 50), (3, 3)], 1), ([(10, 60), (60, 10), (3, 3)], 0), ([(60, 10)], 0)],
)
def test_axes_the_other_way_round_are_noticed(
    tmp_path: Path, points: list[tuple[float, float]], swapped: int
) -> None:
    data = write_points(tmp_path, *points)
    assert len(data[0].points) + data.outside == len(points)
    assert data.swapped == swapped


def test_negative_points_are_outside_and_double_ones_count_and_are_said(tmp_path: Path) -> None:
    data = write_points(tmp_path, (-1, 5), (5, -0.5), (7, 8), (7, 8), (9, 8))
    assert len(data[0].points) == 3
    assert (data.outside, data.twice) == (2, 1)


def test_odd_points_are_said_in_a_line_each(
    folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("skimage")
    weights = tmp_path / "dots.safetensors"
    student().save(weights, density_training={"sigma_px": 3.0, "max_side_px": 64})
    write_points(tmp_path, (10, 60), (5, 50), (3, 3), (3, 3))
    assert run(["density", "evaluate", str(tmp_path), str(weights), "--split", "train"]) == 0
    said = capfd.readouterr().err
    assert "2 points outside of their pictures are left out; of 1 pictures x and y may be" in said
    assert "1 points stand where another stands: all count" in said


def test_points_outside_are_left_out_and_counted(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((40, 80, 3), np.uint8))
    points = np.array([[40, 20], [81, 3], [4, -1]], np.float32)
    data = Gallery([PointedPicture(tmp_path / "a.png", points)], max_side_px=40)
    assert data[0].points.tolist() == [[20, 10]]
    assert data[0].image.shape == (20, 40, 3)
    assert data.outside == 2


# -- VGG-16 ------------------------------------------------------------------------------------


@pytest.mark.parametrize("net", ["csrnet", "csrnet_lite"])
def test_the_front_end_is_vgg_16s(net: str) -> None:
    torchvision = pytest.importorskip("torchvision")
    with torch.device("meta"):
        theirs = torchvision.models.vgg16().state_dict()
    state = {name: torch.full(v.shape, 0.5) for name, v in theirs.items() if "features" in name}
    model = NETS[net](width=1.0)
    begin_with_vgg(model, state, source="vgg")
    front = [v for n, v in model.state_dict().items() if n.startswith("front.")]
    assert len(front) == {"csrnet": 20, "csrnet_lite": 14}[net]
    assert all(bool((value == 0.5).all()) for value in front)
    assert not bool((model.state_dict()["back.0.weight"] == 0.5).any())
    with pytest.raises(WeightsError, match="another architecture"):
        begin_with_vgg(model, {}, source="vgg")


def test_only_full_width_begins_with_vgg() -> None:
    assert [takes_vgg(net, 1.0) for net in NETS] == [False, True, True]
    assert not takes_vgg("csrnet", 0.5)


# -- the commands ------------------------------------------------------------------------------

SMALL = ["--model", "mcnn", "--epochs", "2", "--crop", "32", "--max-side", "64", "--batch", "4"]


def test_train_and_evaluate(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new folder" / "dots.safetensors"
    arguments = [str(folder), *SMALL, "--out", str(out), "--what", "dot", "--json"]
    assert run(["density", "train", *arguments]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["weights"] == str(out)
    assert [point["epoch"] for point in said["epochs"]] == [1, 2]
    assert said["images"] == sum(point["images"] for point in said["epochs"])
    assert load_density_student(out).class_names == ("dot",)
    assert not out.with_suffix(".checkpoint").exists()

    assert run(["density", "evaluate", str(folder), str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == said["test"]
    assert run(["density", "evaluate", str(folder), str(out), "--split", "train"]) == 0
    assert "on 8 pictures" in capsys.readouterr().out

    scored = [*arguments, "--difficulty", str(out)]
    scored[scored.index(str(out))] = str(tmp_path / "second.safetensors")
    assert run(["density", "train", *scored]) == 0


def test_bad_files_are_a_line_each_and_counted(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copied = (folder / "points.csv").read_text() + "\ngone.png,1,2\n0.png,x,2\n"
    for path in folder.glob("*.png"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "points.csv").write_text(copied)
    out = tmp_path / "dots.safetensors"
    assert run(["density", "train", str(tmp_path), *SMALL, "--out", str(out)]) == 0
    said = capsys.readouterr().err
    assert "gone.png: there are points for it, but no such picture" in said
    assert "0.png: its points cannot be read (line" in said
    assert "2 bad files of split 'train' are left out" in said


@pytest.mark.parametrize(
    ("point", "message"),
    [
        ("", "no picture of split 'train' has a point: there is nothing to learn from"),
        ("48,900", "not one point of split 'train' lies in its picture: are x and y the other way"),
    ],
)
def test_a_data_set_without_a_single_point_is_refused_before_training(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], point: str, message: str
) -> None:
    for path in folder.glob("*.png"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    rows = [f"{number}.png,{point or ','}" for number in range(10)]
    (tmp_path / "points.csv").write_text("\n".join(["file,x,y", *rows]))
    out = tmp_path / "dots.safetensors"
    assert run(["density", "train", str(tmp_path), *SMALL, "--out", str(out)]) == 2
    said = capsys.readouterr().err
    assert message in said.splitlines()[-1]
    assert "Traceback" not in said
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["train", "DIR", "--out", "a.pth"], 2, "must end in .safetensors"),
        (["train", "EMPTY"], 2, "no data set with points; known forms: csv"),
        (["train", "DIR", "--pace-power", "3"], 2, "pace_power: got 3"),
        (["train", "DIR", "--model", "mcnn", "--difficulty", "gone"], 4, "gone"),
        (["evaluate", "DIR", "gone.safetensors"], 4, "gone"),
    ],
)
def test_what_cannot_be_is_one_clear_line(
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    code: int,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    known = {"DIR": str(folder), "EMPTY": str(tmp_path)}
    assert run(["density", *(known.get(a, a) for a in arguments)]) == code
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said
