"""The schedules in a plain torchvision loop with workers, killed and resumed; in two processes."""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.integration import any_loop

# -- a loop with workers, killed and resumed -------------------------------------------------------


def test_a_loop_that_is_killed_within_an_epoch_goes_on_in_the_same_order(tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir()
    parts.mkdir()
    expected = any_loop.train(whole).state_dict()
    spawn = multiprocessing.get_context("spawn")
    for batches in (3, 9):  # within the first epoch, and within a later one
        killed = spawn.Process(target=any_loop.train, args=(parts,), kwargs={"die_after": batches})
        killed.start()
        killed.join()
        assert killed.exitcode == -9
    found = any_loop.train(parts).state_dict()
    assert (parts / "order.txt").read_text() == (whole / "order.txt").read_text()
    sizes = [line.split(":")[0] for line in (whole / "order.txt").read_text().splitlines()]
    assert [sizes.count(str(epoch)) for epoch in range(1, 6)] == [8, 8, 5, 3, 8]
    for name, value in expected.items():
        assert torch.equal(value, found[name]), name


# -- several processes -----------------------------------------------------------------------------


def of_two(folder: Path, stop: int | None = None) -> list[dict[str, Any]]:
    (folder / "meet").unlink(missing_ok=True)
    spawn = multiprocessing.get_context("spawn")
    ranks = [
        spawn.Process(target=any_loop.as_one_of, args=(rank, 2, str(folder), stop))
        for rank in range(2)
    ]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join()
    assert [process.exitcode for process in ranks] == [0, 0]
    return [torch.load(folder / f"rank{rank}.pt", weights_only=True) for rank in range(2)]


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> list[list[tuple[int, list[int], list[int]]]]:
    """What two processes trained on that nothing stopped."""
    return [found["log"] for found in of_two(tmp_path_factory.mktemp("whole"))]


def test_two_processes_agree_on_the_samples_and_share_them(
    logs: list[list[tuple[int, list[int], list[int]]]],
) -> None:
    alone = any_loop.drop_and_pick(any_loop.ODD)
    for epoch in alone:
        seen = [[i for at, _, batch in log if at == epoch for i in batch] for log in logs]
        assert len(seen[0]) == len(seen[1])
        assert not set(seen[0]) & set(seen[1])
        left_out = set(alone.indices.tolist()) - set(seen[0]) - set(seen[1])
        assert len(left_out) == len(alone.indices) % 2
        for log in logs:
            chosen = [subset for at, subset, _ in log if at == epoch]
            assert all(subset == alone.indices.tolist() for subset in chosen)
        both = torch.tensor(seen[0] + seen[1])
        alone.observe(both, any_loop.losses_of(both, epoch))


def test_a_state_that_two_processes_save_within_an_epoch_fits_both(
    tmp_path: Path, logs: list[list[tuple[int, list[int], list[int]]]]
) -> None:
    stopped = of_two(tmp_path, stop=9)
    assert stopped[0]["state"] == stopped[1]["state"]
    torch.save(stopped[0]["state"], tmp_path / "state.pt")
    resumed = of_two(tmp_path)
    for rank in range(2):
        assert stopped[rank]["log"] + resumed[rank]["log"] == logs[rank]
