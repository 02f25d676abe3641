"""Metrics of counts and density maps, by values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from culling_pipeline.errors import CullingError
from culling_pipeline.tasks.density.metrics import cells, game, mae, psnr, rmse, scores, ssim
from models.density.answer import DensityMap


def density(values: object) -> DensityMap:
    cells = np.array(values, np.float32)
    return DensityMap(cells, cells.shape[0] * 4, cells.shape[1] * 4)


def test_errors_too_high_and_too_low_do_not_cancel() -> None:
    """As printed, equation 3 gives 0 here."""
    found, wanted = np.array([3.0, 5.0]), np.array([5.0, 3.0])
    assert mae(found, wanted) == 2
    assert rmse(np.array([1.0, 10.0]), np.array([4.0, 6.0])) == pytest.approx(math.sqrt(12.5))


def test_game_counts_what_lies_in_the_wrong_cell() -> None:
    said = density([[2, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]])
    truth = density([[0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0]])
    assert game(said, truth, level=0) == 1  # 3 said, 2 true
    assert game(said, truth, level=1) == 1 + 0 + 1 + 1  # the quarters
    assert game(said, truth, level=2) == 2 + 1 + 1 + 1  # the cells


def test_level_4_is_a_grid_of_16_by_16() -> None:
    """The paper's words, a 4×4 grid for L = 4, are those of L = 2."""
    said, truth = np.zeros((16, 16)), np.zeros((16, 16))
    said[0, 0] = truth[0, 1] = 1
    assert game(density(said), density(truth), level=4) == 2
    assert game(density(said), density(truth), level=2) == 0


def test_game_of_every_level_by_hand() -> None:
    """16×16 cells. Three people, each said at another place: one cell to the right within the same
    parts of every level but the last (A); over the border of GAME(3)'s parts, which are 2×2 cells,
    within those of GAME(2) (B); and from one half of the picture to the other (C). A fourth (D) is
    invented. Whoever is displaced over a part's border counts twice: missed here, invented there.
    """
    said, truth = np.zeros((16, 16)), np.zeros((16, 16))
    truth[0, 0], said[0, 1] = 1, 1  # A
    truth[5, 1], said[5, 2] = 1, 1  # B
    truth[10, 7], said[10, 8] = 1, 1  # C
    said[15, 15] = 1  # D
    found = [game(density(said), density(truth), level=level) for level in range(5)]
    assert found == [1, 1 + 2, 1 + 2, 1 + 2 + 2, 1 + 2 + 2 + 2]


def test_a_cell_cut_by_the_grid_is_shared_by_area() -> None:
    found = cells(np.array([[1, 2, 3]] * 3, np.float32), 2)
    assert found == pytest.approx(np.array([[3, 6], [3, 6]]))
    assert cells(np.ones((5, 7), np.float32), 16).sum() == pytest.approx(35)


def test_maps_of_different_strides_can_be_compared() -> None:
    points = np.array([[20, 30], [100, 70]], np.float32)
    fine, coarse = (DensityMap.of_points(points, 128, 160, stride, 2.0) for stride in (4, 8))
    assert game(fine, coarse, level=1) == pytest.approx(0, abs=1e-4)


def test_psnr_by_hand() -> None:
    said, truth = density([[1, 0], [0, 0]]), density([[2, 0], [0, 0]])
    assert psnr(said, truth) == pytest.approx(10 * math.log10(2**2 / (1 / 4)))
    assert psnr(truth, truth) is None
    assert psnr(said, density([[0, 0], [0, 0]])) is None


def test_ssim_by_hand() -> None:
    """Two even maps: variances are 0, so it is (2·μ₁μ₂ + C₁)/(μ₁² + μ₂² + C₁), C₁ = (0.01·peak)².
    As printed, with its sums of squares as products, equation 5 gives about 2/(μ₁μ₂) = 1."""
    pytest.importorskip("skimage")
    one, other = np.full((12, 12), 1.0), np.full((12, 12), 2.0)
    small = (0.01 * 2) ** 2
    assert ssim(density(one), density(other)) == pytest.approx((4 + small) / (5 + small))
    assert ssim(density(other), density(other)) == pytest.approx(1)
    assert ssim(density(one), density(np.zeros((12, 12)))) is None
    assert ssim(density(one[:10]), density(other[:10])) is None


def test_all_figures_of_some_pictures() -> None:
    pytest.importorskip("skimage")
    rng = np.random.default_rng(0)
    truths = [density(rng.random((16, 16))) for _ in range(3)] + [density(np.zeros((16, 16)))]
    found = scores([density(t.density * 1.1) for t in truths], truths)
    assert found.pictures == 4
    assert found.mae == pytest.approx(0.1 * np.mean([t.count for t in truths]), rel=1e-5)
    assert found.game[0] == pytest.approx(found.mae)
    assert list(found.game) == sorted(found.game)
    assert found.ssim is not None
    assert 0.9 < found.ssim < 1


def test_maps_that_cannot_be_compared_are_refused() -> None:
    with pytest.raises(CullingError, match="model's stride"):
        psnr(density(np.ones((4, 4))), density(np.ones((8, 8))))
    with pytest.raises(CullingError, match="one for each"):
        scores([], [])
