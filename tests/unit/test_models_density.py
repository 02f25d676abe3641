"""Density maps and the nets that answer with one."""

from __future__ import annotations

import json
from math import erf, sqrt
from pathlib import Path

import numpy as np
import pytest
import torch

from jobs.cameras.detectors import weights_path
from models.boxes.student import load_detector
from models.checkpoint import save_checkpoint
from models.density.answer import DensityMap
from models.density.gaussians import inside
from models.density.nets import NETS, DensityNet
from models.density.student import load_density_student, new_density_student
from models.errors import ModelError, WeightsError


def points(*xy: tuple[float, float]) -> np.ndarray:
    return np.array(xy, np.float32).reshape(-1, 2)


# -- maps of points ----------------------------------------------------------------------------


@pytest.mark.parametrize("stride", [1, 4, 8])
def test_every_point_counts_one_wherever_it_lies(stride: int) -> None:
    for x, y in [(50.0, 30.0), (0.0, 0.0), (101.0, 67.0), (0.0, 66.9), (100.9, 3.0)]:
        made = DensityMap.of_points(points((x, y)), 67, 101, stride, 4.0)
        assert made.count == pytest.approx(1, abs=1e-5)
        assert made.density.shape == (-(-67 // stride), -(-101 // stride))


def test_a_cell_holds_the_integral_of_the_gaussian() -> None:
    made = DensityMap.of_points(points((32.0, 32.0)), 64, 64, 8, 8.0)
    share = erf(1 / sqrt(2)) / 2  # of a Gaussian, from its middle to one σ
    assert made.density[4, 4] == pytest.approx(share**2, rel=1e-3)
    assert made.density[4, 3] == pytest.approx(made.density[3, 4])


def test_a_gaussian_cut_by_the_border_is_scaled_up() -> None:
    """At the edge half of it is outside: what is inside counts twice."""
    whole = DensityMap.of_points(points((32.0, 32.0)), 64, 64, 4, 4.0)
    cut = DensityMap.of_points(points((0.0, 32.0)), 64, 64, 4, 4.0)
    assert cut.density[8, 0] == pytest.approx(2 * whole.density[8, 8], rel=1e-3)


def test_a_point_far_smaller_than_a_cell_lies_in_its_cell() -> None:
    made = DensityMap.of_points(points((12.0, 4.0)), 16, 16, 8, 1e-6)
    assert made.density.tolist() == [[0, 1], [0, 0]]


def test_more_points_than_are_worked_on_at_a_time_are_all_there() -> None:
    rng = np.random.default_rng(1)
    many = rng.uniform(0, 100, (5000, 2)).astype(np.float32)
    assert DensityMap.of_points(many, 100, 100, 4, 3.0).count == pytest.approx(5000, rel=1e-5)


def test_points_outside_the_picture_are_left_out_and_can_be_counted() -> None:
    given = points((5, 5), (-0.1, 5), (5, 20.1), (30.1, 5), (float("nan"), 5), (30, 20))
    assert inside(given, height_px=20, width_px=30).tolist() == [
        True, False, False, False, False, True,
    ]  # fmt: skip
    assert DensityMap.of_points(given, 20, 30, 4, 2.0).count == pytest.approx(2, abs=1e-5)


def test_no_points_make_an_empty_map() -> None:
    made = DensityMap.of_points(np.zeros((0, 2), np.float32), 20, 30, 4, 2.0)
    assert (made.count, made.density.shape) == (0, (5, 8))


@pytest.mark.parametrize(
    ("density", "message"),
    [
        (np.zeros((2, 2)), "must be h×w float32, got float64"),
        (np.zeros(2, np.float32), "must be h×w float32"),
        (np.full((2, 2), -1, np.float32), "0 or more"),
        (np.full((2, 2), np.nan, np.float32), "0 or more"),
    ],
)
def test_a_map_that_is_none_is_refused(density: np.ndarray, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        DensityMap(density, 20, 20)


@pytest.mark.parametrize(("stride", "sigma_px"), [(0, 1.0), (4, 0.0), (4, float("nan"))])
def test_a_map_without_a_size_is_refused(stride: int, sigma_px: float) -> None:
    with pytest.raises(ModelError, match="above 0"):
        DensityMap.of_points(points((1, 1)), 8, 8, stride, sigma_px)


# -- the nets ----------------------------------------------------------------------------------

PARAMETERS = {"mcnn": 133_705, "csrnet": 16_263_489, "csrnet_lite": 3_911_553}
"""By hand from the published layers, k²·in·out + out each, and the 1×1 at the end."""


def net(name: str, *, width: float = 0.25) -> DensityNet:
    torch.manual_seed(0)
    return NETS[name](width=width)


@pytest.mark.parametrize("name", NETS)
def test_the_published_net_at_width_1(name: str) -> None:
    with torch.device("meta"):
        parameters = sum(p.numel() for p in NETS[name](width=1.0).parameters())
    assert parameters == PARAMETERS[name]


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("size", [(64, 96), (65, 91)])
def test_a_map_covers_the_whole_picture_and_is_never_negative(
    name: str, size: tuple[int, int]
) -> None:
    model = net(name).eval()
    with torch.inference_mode():
        maps = model(torch.rand(2, 3, *size))
    assert maps.shape == (2, 1, -(-size[0] // model.stride), -(-size[1] // model.stride))
    assert float(maps.min()) >= 0


@pytest.mark.parametrize("name", NETS)
def test_a_net_whose_map_is_0_everywhere_still_learns(name: str) -> None:
    model = net(name).train()
    last = [m for m in model.modules() if isinstance(m, torch.nn.Conv2d)][-1]
    torch.nn.init.constant_(last.bias, -1.0)  # type: ignore[arg-type]
    maps = model(torch.rand(1, 3, 32, 32))
    assert not maps.any()
    (maps - 1).square().sum().backward()
    assert float(last.bias.grad) < -1  # type: ignore[arg-type, union-attr]


@pytest.mark.parametrize("name", NETS)
def test_a_net_learns_a_picture_by_heart(name: str) -> None:
    model = net(name, width=1.0 if name == "mcnn" else 0.1).train()
    picture = torch.rand(1, 3, 48, 48, generator=torch.Generator().manual_seed(3))
    wanted = DensityMap.of_points(points((14, 14), (34, 30)), 48, 48, model.stride, 6.0).density
    target = torch.from_numpy(wanted)[None, None]
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(60):
        loss = (model(picture) - target).square().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.5 * target.square().sum().item()


# -- the student -------------------------------------------------------------------------------


def test_a_student_answers_in_the_pictures_own_size() -> None:
    student = new_density_student("mcnn", "person", (64, 96))
    image = np.random.default_rng(0).integers(0, 256, (128, 192, 3), np.uint8)
    first, second = student.predict([image, image[::-1].copy()])
    assert (first.height_px, first.width_px) == (128, 192)
    assert first.density.shape == (16, 24)
    assert first.count > 0
    assert not np.array_equal(first.density, second.density)
    assert student.predict([]) == []
    assert student.at_size(32, 48).predict([image])[0].density.shape == (8, 12)


def test_the_same_seed_makes_the_same_student() -> None:
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    counts = [
        new_density_student("mcnn", "person", (64, 64), seed=seed).predict([image])[0].count
        for seed in (0, 0, 1)
    ]
    assert counts[0] == counts[1] != counts[2]


def test_a_student_survives_its_version_folder(tmp_path: Path) -> None:
    student = new_density_student("csrnet_lite", "cow", (64, 64), width=0.1)
    student.save(tmp_path / "v1", sigma_px=4.0)
    loaded = load_density_student(tmp_path / "v1")
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    assert loaded.spec == student.spec
    assert loaded.class_names == ("cow",)
    assert loaded.stride == 4
    assert np.array_equal(loaded.predict([image])[0].density, student.predict([image])[0].density)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("net", "vgg", r"net: got 'vgg'"),
        ("class_name", "", "class_name"),
        ("height_px", 0, "height_px: got 0"),
        ("width", 1e9, "width"),
        ("width_px", 10**6, "width_px"),
    ],
)
def test_a_damaged_description_is_one_clear_line(
    tmp_path: Path, key: str, value: object, message: str
) -> None:
    student = new_density_student("mcnn", "person", (64, 64))
    meta = student.meta()
    meta["spec"][key] = value
    save_checkpoint(tmp_path / "v1", student.model.state_dict(), meta)
    with pytest.raises(WeightsError, match=message) as caught:
        load_density_student(tmp_path / "v1")
    assert "\n" not in str(caught.value)


def test_another_nets_weights_are_refused(tmp_path: Path) -> None:
    student = new_density_student("mcnn", "person", (64, 64))
    meta = student.meta()
    meta["spec"]["net"] = "csrnet"
    save_checkpoint(tmp_path / "v1", student.model.state_dict(), json.loads(json.dumps(meta)))
    with pytest.raises(WeightsError, match="another architecture"):
        load_density_student(tmp_path / "v1")


def test_a_detector_does_not_count_and_a_counter_finds_no_boxes(tmp_path: Path) -> None:
    detector = weights_path("builtin:street-student")
    with pytest.raises(WeightsError, match="the weights of a detector, which finds boxes, where"):
        load_density_student(detector)
    new_density_student("mcnn", "person", (64, 64)).save(tmp_path / "v1")
    with pytest.raises(WeightsError, match="the weights of a density net, which counts, where"):
        load_detector(tmp_path / "v1")


def test_an_unknown_net_is_refused() -> None:
    with pytest.raises(ModelError, match="allowed: mcnn, csrnet, csrnet_lite"):
        new_density_student("yolo", "person", (64, 64))
