"""A training loop as anybody has one: a plain torchvision net, a loader with two workers. Also run
as a process of its own, to be killed."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from culling_pipeline.training import DropAndPick, Indexed, Schedule
from models.without_compiler import spare_the_compiler, uncompiled

SAMPLES, EPOCHS, BATCH = 30, 5, 4
ODD = 27


def dataset() -> TensorDataset:
    images = torch.rand(SAMPLES, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    return TensorDataset(images, torch.arange(SAMPLES) % 3)


def drop_and_pick(samples: int = SAMPLES) -> DropAndPick:
    return DropAndPick(samples, epochs=EPOCHS, warm_up=1, interval=1, keep=0.6, pick=[4], seed=7)


@uncompiled()
def train(folder: Path, *, die_after: int | None = None) -> nn.Module:
    """Train from `folder`'s checkpoint on, if there is one; the order of the samples is logged, a
    line a batch. `die_after`: batches until this process is killed."""
    spare_the_compiler()
    from torchvision.models import shufflenet_v2_x0_5  # small: it is saved at every batch

    torch.set_num_threads(1)
    torch.manual_seed(0)
    data = dataset()
    model = shufflenet_v2_x0_5(num_classes=3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    schedule = drop_and_pick()
    loader = DataLoader(Indexed(data), BATCH, sampler=schedule.sampler(data), num_workers=2)
    checkpoint = folder / "checkpoint.pt"
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.restore(state["schedule"])
    for epoch in schedule:
        for indices, (images, labels) in loader:
            losses = nn.functional.cross_entropy(model(images), labels, reduction="none")
            optimizer.zero_grad()
            losses.mean().backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.observe(indices, losses)
            _save(checkpoint, model, optimizer, schedule)
            with (folder / "order.txt").open("a") as file:
                file.write(f"{epoch}: {indices.tolist()}\n")
            if die_after is not None:
                die_after -= 1
                if not die_after:
                    os.kill(os.getpid(), signal.SIGKILL)
    return model


def _save(path: Path, model: nn.Module, optimizer: Any, schedule: Schedule) -> None:
    part = path.with_suffix(".part")
    parts = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
    torch.save({**parts, "schedule": schedule.state()}, part)
    part.replace(path)


def losses_of(indices: Tensor, epoch: int) -> Tensor:
    """Losses that depend on the sample and the epoch only."""
    return ((indices * 37 + epoch * 11) % 29).float()


def as_one_of(rank: int, ranks: int, folder: str, stop: int | None) -> None:
    """One of several processes: no net, losses made up. From a saved state on, if there is one; it
    stops after `stop` batches, with a state saved by all."""
    dist.init_process_group("gloo", f"file://{folder}/meet", rank=rank, world_size=ranks)
    schedule = drop_and_pick(ODD)
    schedule.shard(rank, ranks)
    saved = Path(folder) / "state.pt"
    if saved.exists():
        schedule.restore(torch.load(saved, weights_only=True))
    log: list[tuple[int, list[int], list[int]]] = []
    done = 0
    for epoch in schedule:
        for indices in DataLoader(range(ODD), 2, sampler=schedule.sampler()):  # type: ignore[arg-type]
            schedule.observe(indices, losses_of(indices, epoch))
            log.append((epoch, schedule.indices.tolist(), indices.tolist()))
            done += 1
            if done == stop:
                break
        if done == stop:
            break
    state = schedule.state() if stop is not None else {}
    torch.save({"log": log, "state": state}, Path(folder) / f"rank{rank}.pt")
    dist.destroy_process_group()
