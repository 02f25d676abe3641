"""The rivals of the schedules and the classification benchmark: what the papers say they do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from benchmarks.book import Book, Row
from benchmarks.cifar import KEYS, alike, table
from benchmarks.cifar_net import BATCH, PAD, Data, Learner, ResNet, draws
from benchmarks.cifar_runs import KINDS, MAIN, Setting, queue_of, run, scaled, schedule_of
from benchmarks.rivals import InfoBatch, SelectiveBackprop
from culling_pipeline.training import Schedule

ROOT = Path(__file__).resolve().parents[2]
DRAWN = 20_000


# -- InfoBatch -------------------------------------------------------------------------------------


def test_infobatch_leaves_out_half_of_those_below_the_mean() -> None:
    course = InfoBatch(DRAWN, epochs=8, seed=3)
    assert len(course.indices(1)) == DRAWN, "before a loss, none is below the mean"
    losses = np.random.default_rng(0).exponential(size=DRAWN)
    course.record(1, losses)
    below = losses < losses.mean()
    kept = np.zeros(DRAWN, np.bool_)
    kept[course.indices(2)] = True
    assert kept[~below].all()
    assert kept[below].mean() == pytest.approx(0.5, abs=0.02)


def test_infobatch_s_gradient_is_expected_to_be_that_of_all() -> None:
    course = InfoBatch(DRAWN, epochs=8, seed=4)
    losses = np.random.default_rng(1).exponential(size=DRAWN)
    course.record(1, losses)
    kept, weights = course.indices(2), course.weights(2)
    assert (weights[kept] * losses[kept]).sum() == pytest.approx(losses.sum(), rel=0.02)


def test_infobatch_ends_with_everything_and_forgets_no_score() -> None:
    course = InfoBatch(4, epochs=8, ratio=1 - 1e-9, seed=0)
    course.record(1, np.array([1.0, 2, 3, 30]))
    left = course.indices(2)
    assert left.tolist() == [3]
    course.record(2, np.array([40.0]))
    for epoch in range(3, 8):
        assert course.indices(epoch).tolist() == [3], "the others' last losses still count"
        course.record(epoch, np.array([40.0]))
    assert course.indices(8).tolist() == [0, 1, 2, 3], "epoch 8 is in the last eighth"
    assert course.weights(8).tolist() == [1, 1, 1, 1]


def test_infobatch_goes_through_the_public_interface() -> None:
    def course(stop: int | None = None) -> list[list[int]]:
        schedule, seen = Schedule(InfoBatch(30, epochs=6, seed=1)), []
        for epoch in schedule:
            if epoch == stop:
                saved, schedule = schedule.state(), Schedule(InfoBatch(30, epochs=6, seed=1))
                schedule.restore(saved)
                return seen + _orders(schedule)
            order = list(schedule.sampler())
            schedule.observe(order, np.array(order) ** 2.0)
            seen.append(order)
        return seen

    def _orders(schedule: Schedule) -> list[list[int]]:
        seen = []
        for _ in schedule:
            seen.append(list(schedule.sampler()))
            schedule.observe(seen[-1], np.array(seen[-1]) ** 2.0)
        return seen

    assert course(4) == course()
    assert min(map(len, course())) < 30
    with pytest.raises(NotImplementedError, match="depends on the losses"):
        Schedule(InfoBatch(30, epochs=6, seed=1)).steps(4)


# -- selective backprop ----------------------------------------------------------------------------


def test_selective_backprop_takes_its_share_and_prefers_large_losses() -> None:
    rng = np.random.default_rng(0)
    rule = SelectiveBackprop(0.4, seed=0)
    losses = [rng.exponential(size=BATCH) for _ in range(200)]
    chosen = [rule.chosen(batch) for batch in losses]
    assert np.concatenate(chosen[20:]).mean() == pytest.approx(0.4, abs=0.02)
    flat, taken = np.concatenate(losses), np.concatenate(chosen)
    cut = np.quantile(flat, [0.1, 0.9])
    assert taken[flat < cut[0]].mean() < 0.1  # E[u^1.5] for u < 0.1 is 0.013
    assert taken[flat > cut[1]].mean() > 0.8  # for u > 0.9 it is 0.92


# -- the net and its step --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set like CIFAR10-5000 in small; a picture's brightness tells its class."""
    path = tmp_path_factory.mktemp("cifar") / "small.npz"
    rng = np.random.default_rng(0)
    parts = {}
    for name, count in (("train", 150), ("test", 40)):
        labels = np.arange(count) % 10
        noise = rng.integers(0, 20, (count, 32, 32, 3))
        parts[f"x_{name}"] = (labels[:, None, None, None] * 23 + noise).astype(np.uint8)
        parts[f"y_{name}"] = labels
    np.savez(path, **parts)
    return path


@pytest.fixture(scope="module")
def data(small: Path) -> Data:
    torch.set_num_threads(1)
    return Data(small, torch.device("cpu"))


def test_a_resnet_20_has_its_size() -> None:
    layers = [m for m in ResNet().modules() if isinstance(m, torch.nn.Conv2d | torch.nn.Linear)]
    assert len(layers) == 20
    assert sum(p.numel() for p in ResNet().parameters()) == 269_722  # He et al.: 0.27 M


def test_pictures_are_shifted_and_mirrored_as_drawn(data: Data) -> None:
    varied = data.varied(torch.tensor([3, 5]), torch.tensor([[1, 2, 5], [0, PAD, PAD]]))
    by_hand = data.train[3][2:34, 5:37].flip(1).permute(2, 0, 1)
    assert torch.equal(varied[0], by_hand)
    assert torch.equal(varied[1], data.train[5][PAD:-PAD, PAD:-PAD].permute(2, 0, 1))
    many = draws(2000, np.random.default_rng(0))
    assert set(many[:, 0]) == {0, 1}
    assert set(many[:, 1]) == set(many[:, 2]) == set(range(9))


def test_a_step_is_pytorch_s_own(data: Data) -> None:
    """Also of the batch that is filled up, with weights: only its real samples count."""
    order, rng = np.arange(150)[::-1].copy(), np.random.default_rng(0)
    learner = Learner(data, seed=0, graph=False, blocks=1)
    torch.manual_seed(0)
    net = ResNet(1).train()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)
    weights = np.where(order % 2, 2.0, 1.0)
    full = torch.from_numpy(np.resize(np.arange(150), 256))
    for _ in range(2):
        drawn = draws(150, rng)
        losses = learner.train(order, drawn, rate=0.05, weights=weights)
        for part, real in ((full[:BATCH], BATCH), (full[BATCH:], 150 - BATCH)):
            rows = torch.from_numpy(order)[part]
            found = net(data.varied(rows, torch.from_numpy(drawn)[part]))[:real]
            each = F.cross_entropy(found, data.labels[rows[:real]], reduction="none")
            optimizer.zero_grad()
            (each * torch.from_numpy(weights)[part[:real]]).mean().backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            np.testing.assert_allclose(losses[part[:real]], each.detach(), rtol=2e-3, atol=2e-3)
    for own, expected in zip(learner.net.parameters(), net.parameters(), strict=True):
        torch.testing.assert_close(own, expected, rtol=1e-2, atol=1e-3)


# -- the benchmark ---------------------------------------------------------------------------------


def setting(small: Path, epochs: int = 4) -> Setting:
    return Setting(
        small, epochs, "cpu", graph=False, at_most=None, blocks=1, width=16, ends=float("inf")
    )


@pytest.mark.parametrize(
    "kind", ["InfoBatch", "selective backprop to 63 %", "clip-dap", "63 % of the data"]
)
def test_a_run_of_each_way_is_a_row(kind: str, small: Path, data: Data) -> None:
    row = run(KINDS[kind], 1, data, setting(small))
    assert row["curve"][-1]["images"] == row["images"] <= 4 * 150
    assert 0 <= row["accuracy"] <= 1
    assert row["looked_at"] == (600 if kind.startswith("selective") else 0)
    assert row["scoring_images"] == (300 if kind == "clip-dap" else 0)


def test_random_dropping_trains_on_as_many_as_drop_and_pick() -> None:
    def sizes(name: str) -> list[int]:
        return list(schedule_of(KINDS[name], 5000, 300, 0, None).course.sizes())

    assert sizes("dap (63 %)") == sizes("random dropping, as dap (63 %)")
    for name, share in (("dap (63 %)", 0.63), ("dap, p 0.8 (45 %)", 0.45), ("b: I 2", 0.27)):
        assert sum(sizes(name)) / 1_500_000 == pytest.approx(share, abs=0.006), name


def test_options_are_scaled_with_the_epochs() -> None:
    half = scaled(KINDS["d: active 20"].options, 150)
    assert half == {"warm_up": 20, "interval": 5, "keep": 0.9, "pick": [75], "active": 10}


def test_the_most_telling_runs_come_first_and_every_kind_comes() -> None:
    order = queue_of(range(5))
    assert [kind.name for kind, seed in order[: len(MAIN)]] == [kind.name for kind in MAIN]
    assert {kind.name for kind, _ in order} == set(KINDS)
    assert len({(kind.name, seed) for kind, seed in order}) == len(order)


def test_what_numpy_says_has_its_place_in_a_row(tmp_path: Path) -> None:
    """A comparison of NumPy's numbers is no bool of Python's: it ended a run on a GPU once."""
    path = tmp_path / "rows.json"
    book = Book(path, ("kind",))
    compared = np.float64(2.0) < np.float64(3.0)
    book.add({"kind": "a", "graph": compared, "images": np.int64(3), "loss": np.float32(0.5)})
    (row,) = Book(path, ("kind",)).rows
    assert row == {"kind": "a", "graph": True, "images": 3, "loss": 0.5}
    with pytest.raises(TypeError, match="set has no place in a row"):
        book.add({"kind": "b", "graph": {1}})


def test_a_captured_step_that_does_something_else_is_not_used() -> None:
    assert alike(2.25, 2.26) is True
    assert alike(2.25, 2.5) is False


def test_the_table_pairs_by_seed() -> None:
    accuracies = {
        "standard": (0.7, 0.8, 0.75),
        "InfoBatch": (0.69, 0.8, 0.74),
        "shortened to 63 %": (0.7, 0.79, 0.74),
    }
    common = {"share": 0.5, "images": 50, "looked_at": 100, "scoring_images": 0, "seconds": 2.0}
    rows: list[Row] = [
        {"kind": kind, "seed": seed, "accuracy": value, **common}
        for kind, values in accuracies.items()
        for seed, value in enumerate(values)
    ]
    shown = table(rows)
    # differences −1, 0, −1: mean −0.67, deviation 0.577, 4.303 · 0.577 / √3 = 1.43; and −1, 1, 0
    assert "| InfoBatch | 3 | 74.33 | -0.67 ± 1.43 | +0.00 ± 2.48 | 50.0% | 100% | 2 |" in shown
    assert "| standard | 3 | 75.00 | – | +0.67 ± 1.43 | 50.0% | 100% | 2 |" in shown


@pytest.mark.slow  # two processes with torch
def test_the_command_goes_on_where_it_stopped(small: Path, tmp_path: Path) -> None:
    out = tmp_path / "cifar.json"

    def command(*kinds: str) -> str:
        asked = ["--data", str(small), "--out", str(out), "--minutes", "3", "--workers", "1"]
        some = ["--device", "cpu", "--epochs", "2", "--blocks", "1", "--seeds", "0"]
        return subprocess.run(
            [sys.executable, "-m", "benchmarks.cifar", *asked, *some, "--kinds", *kinds],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    assert "standard, seed 0: " in command("standard")
    again = command("standard", "dap (63 %)")
    assert "standard, seed 0: " not in again
    assert "dap (63 %), seed 0: " in again
    assert {row["kind"] for row in Book(out, KEYS).rows} == {
        "standard",
        "dap (63 %)",
    }
    assert "| dap (63 %) | 1 |" in out.with_suffix(".md").read_text()
