"""The schedules in anybody's loop: losses as they come, steps, states and wrong use."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from culling_pipeline.training import (
    Clip,
    ClipDap,
    Curriculum,
    DropAndPick,
    Indexed,
    Schedule,
    Standard,
)
from culling_pipeline.training.options import show
from culling_pipeline.training.pacing import Pace, Pacing, grown
from jobs.config.night import TrainingSettings
from tests.unit.plans import schedule_options

ROOT = Path(__file__).resolve().parents[2]
SCORES = np.random.default_rng(5).random(23)
ALL: dict[str, Callable[[], Schedule]] = {
    "standard": lambda: Standard(23, epochs=9, seed=3),
    "curriculum": lambda: Curriculum(23, epochs=9, scores=SCORES, seed=3),
    "clip": lambda: Clip(23, epochs=9, scores=SCORES, seed=3),
    "dap": lambda: DropAndPick(
        23, epochs=9, warm_up=1, interval=2, keep=0.6, pick=[5], active=4, seed=3
    ),
    "clip-dap": lambda: ClipDap(
        23, epochs=9, scores=SCORES, interval=1, keep=0.7, pick=[7], seed=3
    ),
}


def trained_on(schedule: Schedule, *, batch: int = 4) -> list[list[int]]:
    """The order of every epoch, each sample's loss being its number."""
    course = []
    for _ in schedule:
        order = list(schedule.sampler())
        for start in range(0, len(order), batch):
            part = order[start : start + batch]
            schedule.observe(part, np.array(part, np.float64))
        course.append(order)
    return course


# -- several processes -----------------------------------------------------------------------------


def test_fewer_samples_than_ranks_come_to_every_rank() -> None:
    shares = []
    for rank in range(3):
        schedule = Standard(2, epochs=1)
        schedule.shard(rank, 3)
        shares.append(schedule.remaining().tolist())
    assert [len(share) for share in shares] == [1, 1, 1]
    assert {share[0] for share in shares} == {0, 1}


@pytest.mark.parametrize(
    ("rank", "ranks", "message"),
    [
        (2, 2, "rank: got 2, must be below the number of ranks, 2"),
        (-1, 2, "rank: got -1, must be 0 or more"),
        (0, 0, "ranks: got 0, must be 1 or more"),
    ],
)
def test_ranks_that_there_are_not(rank: int, ranks: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Standard(4, epochs=1).shard(rank, ranks)


def test_ranks_without_a_process_group_are_refused_when_they_have_to_talk() -> None:
    schedule = Standard(4, epochs=1)
    schedule.shard(0, 2)
    with pytest.raises(ValueError, match=r"shard: got 2 ranks, but torch\.distributed has 1: call"):
        list(schedule)
    with pytest.raises(ValueError, match=r"shard: got 2 ranks"):
        schedule.state()


# -- every schedule --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
def test_every_schedule_trains_on_what_is_shown(name: str) -> None:
    schedule = ALL[name]()
    course = trained_on(schedule)
    options = {
        "dap": schedule_options(warm_up=1, interval=2, keep=0.6, pick=(5,), active=4),
        "clip-dap": schedule_options(interval=1, keep=0.7, pick=(7,)),
    }.get(name, schedule_options())
    assert tuple(map(len, course)) == show(name, 23, 9, options).per_epoch
    assert all(len(set(order)) == len(order) for order in course)
    assert schedule.epoch == 10
    assert list(schedule) == []
    assert len(schedule.sampler()) == 0
    assert trained_on(ALL[name]()) == course


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("stop", [1, 6, 13, 17])
def test_a_state_within_an_epoch_gives_the_same_order(name: str, stop: int) -> None:
    def log(schedule: Schedule, stop: int | None = None) -> list[tuple[int, int]]:
        seen = []
        for epoch in schedule:
            for index in schedule.sampler():
                schedule.observe([index], [float(index % 7)])
                seen.append((epoch, index))
                if len(seen) == stop:
                    return seen
        return seen

    first = ALL[name]()
    before = log(first, stop)
    saved = json.dumps(first.state())
    second = ALL[name]()
    second.restore(json.loads(saved))
    assert before + log(second) == log(ALL[name]())
    assert log(first) == log(ALL[name]())[stop:]  # left early, and gone on with


def test_orders_differ_by_epoch_and_seed() -> None:
    one, two, *_ = trained_on(Standard(40, epochs=2, seed=1))
    assert sorted(one) == sorted(two) == list(range(40))
    assert len({tuple(one), tuple(two), tuple(trained_on(Standard(40, epochs=1, seed=2))[0])}) == 3


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize(("batch", "accumulate", "ranks"), [(4, 1, 1), (5, 3, 1), (3, 2, 2)])
def test_steps_are_those_that_a_loop_makes(
    name: str, drop_last: bool, batch: int, accumulate: int, ranks: int
) -> None:
    schedule = ALL[name]()
    made = 0
    loader = DataLoader(Indexed(range(23)), batch, sampler=schedule.sampler(), drop_last=drop_last)
    for _ in schedule:
        for number, (indices, _items) in enumerate(loader, start=1):
            schedule.observe(indices, indices.float())
            made += number % accumulate == 0 or number == len(loader)
    assert ALL[name]().steps(batch, accumulate=accumulate, drop_last=drop_last) == made
    shared = ALL[name]()
    shared.shard(0, ranks)
    per_epoch = [size // ranks for size in schedule.course.sizes()]
    batches = [n // batch if drop_last else -(-n // batch) for n in per_epoch]
    expected = sum(-(-n // accumulate) for n in batches)
    assert shared.steps(batch, accumulate=accumulate, drop_last=drop_last) == expected


def test_a_rate_that_counts_steps_ends_where_the_training_ends() -> None:
    schedule = ALL["dap"]()
    total = schedule.steps(4)
    weight = torch.nn.Parameter(torch.zeros(()))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    rate = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=total)
    for indices in (part for order in trained_on(schedule) for part in _batches(order)):
        assert rate.get_last_lr()[0] > 0, indices
        optimizer.step()
        rate.step()
    assert rate.get_last_lr() == [0.0]


def test_mixed_precision_and_accumulated_gradients() -> None:
    """A loop with both: it makes the steps that were promised, and the drops go by its losses."""
    torch.manual_seed(0)
    data = torch.utils.data.TensorDataset(torch.randn(23, 8), torch.arange(23) % 2)
    model = torch.nn.Linear(8, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu")
    schedule = halving(23)
    loader = DataLoader(Indexed(data), 4, sampler=schedule.sampler(data))
    made, hardest = 0, {}
    for epoch in schedule:
        seen: dict[int, float] = {}
        for number, (indices, (images, labels)) in enumerate(loader, start=1):
            with torch.autocast("cpu", torch.bfloat16):
                found = model(images)
            losses = torch.nn.functional.cross_entropy(found, labels, reduction="none")
            scaler.scale(losses.mean() / 2).backward()  # type: ignore[no-untyped-call]
            schedule.observe(indices, losses)
            seen |= dict(zip(indices.tolist(), losses.tolist(), strict=True))
            if number % 2 == 0 or number == len(loader):
                scaler.step(optimizer)
                scaler.update()
                optimizer.zero_grad()
                made += 1
        assert epoch == 1 or set(seen) == hardest[epoch - 1]
        hardest[epoch] = set(sorted(seen, key=lambda i: -seen[i])[: len(seen) // 2])
    assert made == halving(23).steps(4, accumulate=2)


def _batches(order: list[int]) -> list[list[int]]:
    return [order[start : start + 4] for start in range(0, len(order), 4)]


# -- losses as they come ---------------------------------------------------------------------------


def halving(samples: int, **changes: Any) -> DropAndPick:
    given: dict[str, Any] = {"epochs": 4, "warm_up": 0, "interval": 1, "keep": 0.5}
    return DropAndPick(samples, **(given | changes))


def clip(samples: int, **changes: Any) -> Clip:
    return Clip(samples, **({"epochs": 4, "scores": range(samples)} | changes))


def second_epoch(schedule: Schedule, *batches: tuple[Any, Any]) -> list[int]:
    """What the second epoch sees if the first observes these batches."""
    for epoch in schedule:
        if epoch == 2:
            break
        for indices, losses in batches:
            schedule.observe(indices, losses)
    return schedule.indices.tolist()


def test_tensors_of_any_precision_are_losses() -> None:
    losses = torch.tensor([3.0, 1.0, 2.0, 0.0], dtype=torch.bfloat16, requires_grad=True)
    assert second_epoch(halving(4), (torch.arange(4), losses)) == [0, 2]


def test_losses_that_differ_in_double_precision_only_are_told_apart() -> None:
    losses = torch.tensor([1.0, 1.0 + 1e-12, 1.0, 1.0 + 2e-12], dtype=torch.float64)
    assert second_epoch(halving(4), (torch.arange(4), losses)) == [1, 3]


@pytest.mark.parametrize("unknown", [float("nan"), float("inf"), None])
def test_a_sample_without_a_finite_loss_may_be_hard_and_stays(unknown: float | None) -> None:
    indices, losses = [0, 1, 2, 3], [5.0, 4.0, 1.0, unknown]
    if unknown is None:  # its batch was left out
        indices, losses = indices[:3], losses[:3]
    assert second_epoch(halving(4), (indices, losses)) == [0, 3]


def test_a_loss_that_is_missing_is_the_last_that_is_known() -> None:
    schedule = halving(4, warm_up=1)
    for epoch in schedule:
        if epoch == 3:
            break
        schedule.observe([0, 1, 2, 3], [9.0, 8.0, 0.0, 7.0])
        if epoch == 2:
            schedule.observe([2], [0.5])
    assert schedule.indices.tolist() == [0, 1]
    schedule = halving(4, warm_up=1)
    for epoch in schedule:
        if epoch == 3:
            break
        if epoch == 1:
            schedule.observe([0, 1, 2, 3], [1.0, 8.0, 0.0, 9.0])
        else:
            schedule.observe([0, 1, 2], [2.0, float("nan"), 3.0])
    assert schedule.indices.tolist() == [1, 3]


def test_the_mean_counts_of_a_sample_that_comes_twice() -> None:
    batches = [([0, 1, 2, 0], [9.0, 4.0, 3.5, 0.0]), ([3, 3], [0.0, 7.0])]
    assert second_epoch(halving(4), *batches) == [0, 1]  # 4.5, 4, 3.5, 3.5


def test_a_drop_without_any_loss_is_refused_and_nothing_is_lost() -> None:
    schedule = halving(4)
    with pytest.raises(ValueError, match=r"epoch 1: the easiest .* none of the 4 has a finite"):
        list(schedule)
    assert schedule.epoch == 1
    assert second_epoch(schedule, (range(4), [1.0, 2, 3, 4])) == [2, 3]


def test_standard_training_needs_no_losses() -> None:
    assert list(Standard(3, epochs=2)) == [1, 2]


def test_no_drop_leaves_nothing() -> None:
    assert list(map(len, trained_on(halving(3, keep=0.01)))) == [3, 1, 1, 1]
    assert trained_on(halving(1)) == [[0]] * 4
    clip = Clip(5, epochs=3, scores=range(5), start=0.01, prune_ratio=0.9, pace_end=1.0)
    assert all(trained_on(clip))


def test_fewer_samples_than_a_batch() -> None:
    schedule = halving(3)
    loader = DataLoader(Indexed(["a", "b", "c"]), 8, sampler=schedule.sampler())
    sizes = []
    for _ in schedule:
        for indices, items in loader:
            assert [["a", "b", "c"].index(item) for item in items] == indices.tolist()
            schedule.observe(indices, indices)
            sizes.append(len(indices))
    assert sizes == [3, 1, 1, 1]
    assert schedule.steps(8) == 4


def test_a_data_set_that_grows_is_refused() -> None:
    data = list("abcd")
    schedule = Standard(4, epochs=2)
    sampler = schedule.sampler(data)
    epochs = iter(schedule)
    next(epochs)
    schedule.observe(list(sampler), np.zeros(4))
    data.append("e")
    next(epochs)
    with pytest.raises(ValueError, match=r"has 5 samples in epoch 2, the schedule was made for 4"):
        list(sampler)


@pytest.mark.parametrize(
    ("indices", "losses", "message"),
    [
        ([4], [1.0], "got index 4, the schedule was made for 4 samples: make a new schedule"),
        ([-1], [1.0], "got index -1, the schedule"),
        ([0, 1], 0.5, r"got \(2,\) indices and \(\) losses, must be one loss for each sample"),
        ([0, 1], [[1.0], [2.0]], r"\(2, 1\) losses, must be one"),
        ([0.0], [1.0], "indices must be whole numbers, got float64"),
        ([1], [1.0], "sample 1 is not among the 2 of this epoch: pass the indices that the"),
    ],
)
def test_wrong_use_is_named(indices: Any, losses: Any, message: str) -> None:
    schedule = halving(4)
    second_epoch(schedule, (range(4), [4.0, 1, 3, 2]))
    with pytest.raises(ValueError, match=message):
        schedule.observe(indices, losses)
    schedule.observe([], [])


def test_a_state_of_another_seed_is_refused() -> None:
    saved = Standard(4, epochs=1, seed=1).state()
    with pytest.raises(ValueError, match="has the seed 2, the saved state 1: use the same"):
        Standard(4, epochs=1, seed=2).restore(saved)


# -- the arguments ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("warm_up", -1),
        ("interval", 0),
        ("interval", 1.5),
        ("interval", True),
        ("keep", 0.0),
        ("keep", 1.1),
        ("keep", float("nan")),
        ("pick", (3, 3)),
        ("pick", (9, 3)),
        ("active", 0),
        ("start", 0.0),
        ("pace_end", 0.0),
        ("prune_ratio", 1.0),
        ("prune_ratio", -0.1),
        ("epsilon_mode", "wild"),
        ("prune", "middle"),
    ],
)
def test_bad_arguments_are_named_as_in_the_settings(option: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"^{option}: got ") as settings:
        schedule_options(**{option: value})
    dap = option in ("warm_up", "interval", "keep", "pick", "active")
    build: Callable[..., Schedule] = halving if dap else clip
    with pytest.raises(ValueError, match=f"^{option}: got ") as own:
        build(4, epochs=9, **{option: value})
    assert str(own.value) == str(settings.value)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Standard(0, epochs=1), "samples: got 0, must be 1 or more"),
        (lambda: Standard(1, epochs=0), "epochs: got 0, must be 1 or more"),
        (lambda: Standard(1, epochs=1, seed=-1), "seed: got -1, must be 0 or more"),
        (lambda: halving(2, pick=[5]), "pick: got 5, must be at most the last epoch, 4"),
        (lambda: Clip(2, epochs=1, scores=[1.0]), "scores: must be 2 finite numbers, got shape"),
        (
            lambda: Clip(2, epochs=1, scores=[1, 2], pacing="cubic"),  # type: ignore[arg-type]
            "pacing: got 'cubic', must be one of 'linear', 'quadratic', .* or 'logarithmic'",
        ),
        (lambda: Standard(4, epochs=1).steps(0), "batch_size: got 0, must be 1 or more"),
    ],
)
def test_what_cannot_be_scheduled(build: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()


def test_clip_s_defaults_are_the_night_s() -> None:
    night = TrainingSettings()
    pacing = Clip(9, epochs=9, scores=range(9)).course._pacing  # type: ignore[attr-defined]
    for name in ("start", "pace_end", "prune_ratio", "epsilon_mode", "prune"):
        assert getattr(pacing, name) == getattr(night, name), name
    assert (pacing.pacing, night.pace_power) == ("quadratic", 2)


def test_any_numbers_are_scores() -> None:
    objects = [3, 0, 2, 9]
    for scores in (objects, np.array(objects), torch.tensor(objects)):
        schedule = Clip(4, epochs=4, scores=scores, start=0.5, pacing="step", prune_ratio=0.0)
        assert schedule.indices.tolist() == [1, 2]


# -- pacing (Wu et al., appendix B) ----------------------------------------------------------------


def test_pacing_worked_by_hand() -> None:
    # N 1000, T 10, b 0.1, a 0.8: t/(aT) at t = 2, 4, 6 is 1/4, 1/2, 3/4, and 1 from t = 8 on
    expected = {
        "linear": [325, 550, 775, 1000, 1000],
        "quadratic": [156, 325, 606, 1000, 1000],
        "root": [550, 736, 879, 1000, 1000],
        "step": [100, 100, 100, 1000, 1000],
        # (e^(10/4) − 1)/(e^10 − 1) = 11.18/22025, (e^5 − 1)/… = 147.4/22025, (e^7.5 − 1)/…
        "exponential": [100, 106, 173, 1000, 1000],
        # 1 + ln(1/4)/10 = 0.8614, 1 + ln(1/2)/10 = 0.9307, 0.9712
        "logarithmic": [875, 937, 974, 1000, 1000],
    }
    assert set(expected) == set(get_args(Pace))
    for pacing, sizes in expected.items():
        own = Pacing(samples=1000, epochs=10, pacing=pacing, start=0.1, pace_end=0.8)  # type: ignore[arg-type]
        assert [own.size(epoch) for epoch in range(2, 11, 2)] == sizes, pacing


@pytest.mark.parametrize("pacing", get_args(Pace))
def test_pacing_rises_from_nothing_to_everything(pacing: Pace) -> None:
    course = [grown(pacing, reached) for reached in np.linspace(0, 1, 101)]
    assert all(a <= b for a, b in pairwise(course))
    assert course[0] == pytest.approx(0, abs=1e-9)
    assert course[-1] == 1


def test_the_authors_own_setting_is_possible() -> None:
    """CLIP's code for crowd counting: a = 0.01, b = 0.3. Everything is in use at once."""
    clip = Clip(1000, epochs=100, scores=range(1000), pace_end=0.01, start=0.3, prune_ratio=0.05)
    assert set(clip.course.sizes()) == {950}


# -- the package -----------------------------------------------------------------------------------


def test_the_schedules_need_numpy_only() -> None:
    code = (
        "import sys; import culling_pipeline.training; "
        "print([m for m in ('torch', 'pydantic', 'cv2') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_the_guide_s_loop_runs_as_it_stands() -> None:
    text = (ROOT / "docs" / "guide" / "schedules.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", text, re.S)
    assert code is not None
    images = torch.rand(20, 6, generator=torch.Generator().manual_seed(0))
    model = torch.nn.Linear(6, 2)
    before = model.weight.detach().clone()
    names = {
        "dataset": torch.utils.data.TensorDataset(images, torch.arange(20) % 2),
        "model": model,
        "optimizer": torch.optim.SGD(model.parameters(), lr=0.1),
    }
    exec(code[1], names)
    schedule: Any = names["schedule"]
    assert schedule.epoch == 13
    assert not torch.equal(model.weight, before)


def test_the_guide_s_shares_are_right() -> None:
    def share(schedule: Schedule) -> int:
        return round(100 * sum(schedule.course.sizes()) / (schedule.samples * schedule.epochs))

    scores = range(50_000)
    dap = {"epochs": 300, "warm_up": 40, "interval": 10, "keep": 0.9, "pick": [150]}
    shown = {
        "DropAndPick": share(DropAndPick(50_000, **dap)),  # type: ignore[arg-type]
        "Clip": share(Clip(50_000, epochs=300, scores=scores)),
        "Curriculum": share(Curriculum(50_000, epochs=300, scores=scores)),
    }
    text = (ROOT / "docs" / "guide" / "schedules.md").read_text(encoding="utf-8")
    for name, percent in shown.items():
        (row,) = re.findall(rf"^\| `{name}\(n, .*\|$", text, re.M)
        assert f"{percent} %" in row, row
