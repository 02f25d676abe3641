"""Training a detector on a large labelled set, in one process or in several (`torchrun`).

The recipe is torchvision's reference for Faster R-CNN (references/detection): SGD at 0.02 for 16
pictures a step, 26 epochs, the rate falls to a tenth after 16 and 22, the first 1,000 steps warm
up, batches of similar aspect ratio, every other picture mirrored. Each step's random numbers follow
from the seed, the epoch and the step, so a killed training continues with the same result."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Dataset

from culling_pipeline.ranges import Count, NotNegative, Positive, Share, WholeFromZero, check
from culling_pipeline.run.progress import Progress
from culling_pipeline.tasks.boxes.coco_dataset import Labelled
from culling_pipeline.training.checkpoint import Checkpoint
from culling_pipeline.training.loop import TrainingError, lacks_statistics, train_mode
from culling_pipeline.training.options import EVERYTHING, build_schedule, imagenet_options
from culling_pipeline.training.schedule import Schedule
from models.boxes.losses import image_losses
from models.images import to_tensor
from models.without_compiler import built, uncompiled

PICTURES_OF_RATE = 16
"""The rate is for this many pictures a step, and is scaled with their number (Goyal et al.,
2017)."""
WARM_UP_STEPS, WARM_UP_START = 1000, 0.001
ASPECTS = 2 ** np.linspace(-1, 1, 7)
"""Limits of width over height between the groups of pictures (aspect-ratio-group-factor 3)."""

Batch = list[tuple[int, bool]]
"""Pictures by number, and whether each is mirrored."""
Loaded = tuple[list[Tensor], list[dict[str, Tensor]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class PretrainPlan:
    """How to train; `batch_size` is of one process, `save_s` the seconds between checkpoints. With
    `schedule` "dap" the easiest pictures are dropped again and again, as Drop-and-Pick's authors
    pre-train on ImageNet."""

    epochs: Count
    learning_rate: Positive
    batch_size: Count
    momentum: Share = 0.9
    weight_decay: NotNegative = 1e-4
    seed: WholeFromZero = 0
    save_s: NotNegative
    loaders: WholeFromZero
    schedule: Literal["standard", "dap"] = "standard"

    def __post_init__(self) -> None:
        check(self)

    @property
    def steps(self) -> tuple[int, int]:
        """The epochs after which the rate falls: 16 and 22 of 26."""
        return round(self.epochs * 16 / 26), round(self.epochs * 22 / 26)


@dataclass(frozen=True, slots=True)
class Group:
    """Which process this is (`rank`), of how many."""

    rank: int = 0
    size: int = 1


@uncompiled()
def pretrain(
    model: nn.Module,
    pictures: Sequence[Labelled],
    plan: PretrainPlan,
    *,
    group: Group,
    device: torch.device,
    checkpoint: Path,
    progress: Progress,
) -> None:
    """Train `model` in place, from `checkpoint` on if it is there. The first process writes it, now
    and then and after every epoch. A loss that is not finite raises `TrainingError`, a checkpoint
    of another training `WeightsError`."""
    train_mode(model, measure_norms=lacks_statistics(model))
    optimizer = torch.optim.SGD(
        [p for p in model.parameters() if p.requires_grad],
        lr=plan.learning_rate,
        momentum=plan.momentum,
        weight_decay=plan.weight_decay,
    )
    schedule = schedule_of(plan, len(pictures), group)
    drops = plan.schedule != "standard"
    saved = Checkpoint(
        checkpoint, model, optimizer, _recipe(plan, pictures, group), schedule if drops else None
    )
    begin, first = saved.restore(device)
    if (begin, first) != (1, 0):
        progress.note(f"going on from {checkpoint}: epoch {begin}, step {first}")
    net = _EachLoss(model) if drops else model
    shared: nn.Module = DistributedDataParallel(net) if group.size > 1 else net
    due = _Due(plan, group, device, together=drops and group.size > 1)
    for epoch in schedule:
        if epoch < begin:
            continue  # standard training: it needs no losses to get there
        batches = batches_of(pictures, plan, group, epoch, schedule.indices)
        with progress.stage(f"epoch {epoch} of {plan.epochs}", len(batches)) as advance:
            advance(first)
            loaded = _loaded(pictures, batches[first:], plan.loaders)
            for step, (images, targets) in enumerate(loaded, start=first):
                rate = learning_rate(plan, group, epoch, step, len(batches))
                at = (plan, group, epoch, step)
                each = _step(shared, optimizer, images, targets, rate, device, at)
                if each is not None:
                    schedule.observe([number for number, _ in batches[step]], each * len(each))
                advance(1)
                if step + 1 < len(batches) and due():
                    saved.save(group.rank, at=(epoch, step + 1))
        first = 0
        saved.save(group.rank, at=(epoch + 1, 0))
    model.eval()


def schedule_of(plan: PretrainPlan, pictures: int, group: Group) -> Schedule:
    """Which pictures each epoch trains on; the rate falls after the epochs of a pick."""
    options = EVERYTHING
    if plan.schedule == "dap":
        options = imagenet_options(plan.epochs, tuple(sorted({max(1, e) for e in plan.steps})))
    schedule = build_schedule(
        plan.schedule, samples=pictures, epochs=plan.epochs, options=options, seed=plan.seed
    )
    schedule.shard(group.rank, group.size)
    return schedule


def learning_rate(plan: PretrainPlan, group: Group, epoch: int, step: int, steps: int) -> float:
    """The rate of a step (from 0) of an epoch (from 1) with `steps` steps."""
    rate = plan.learning_rate * plan.batch_size * group.size / PICTURES_OF_RATE
    rate *= 0.1 ** sum(epoch > fall for fall in plan.steps)
    warm_up = min(WARM_UP_STEPS, steps - 1)
    if epoch == 1 and step < warm_up:
        rate *= WARM_UP_START + (1 - WARM_UP_START) * step / warm_up
    return rate


def batches_of(
    pictures: Sequence[Labelled],
    plan: PretrainPlan,
    group: Group,
    epoch: int,
    chosen: NDArray[np.int64] | None = None,
) -> list[Batch]:
    """One process's batches of an epoch, of the `chosen` pictures (None: of all): all processes
    have the same number, of different pictures. The pictures of a batch have similar aspect ratios;
    if a group does not fill its last batch, some pictures come twice."""
    rng = np.random.default_rng([plan.seed, 71, epoch])
    together = plan.batch_size * group.size
    aspect = np.array([p.width_px / p.height_px for p in pictures])
    kinds = np.digitize(aspect, ASPECTS)
    whole: list[NDArray[np.int64]] = []
    chosen = np.arange(len(pictures)) if chosen is None else chosen
    for kind in np.unique(kinds[chosen]):
        own = rng.permutation(chosen[kinds[chosen] == kind])
        filled = np.resize(own, -(-len(own) // together) * together)
        whole += list(filled.reshape(-1, together))
    mirrored = rng.random((len(whole), together)) < 0.5
    mine = slice(group.rank * plan.batch_size, (group.rank + 1) * plan.batch_size)
    return [
        list(zip(whole[k][mine].tolist(), mirrored[k, mine].tolist(), strict=True))
        for k in rng.permutation(len(whole))
    ]


def _step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    images: list[Tensor],
    targets: list[dict[str, Tensor]],
    rate: float,
    device: torch.device,
    at: tuple[PretrainPlan, Group, int, int],
) -> Tensor | None:
    """One step; the share of each picture in the loss, if the model says it."""
    plan, group, epoch, step = at
    seed = np.random.SeedSequence([plan.seed, 72, epoch, step, group.rank]).generate_state(1)
    torch.manual_seed(int(seed[0]))  # which proposals are sampled
    for parameters in optimizer.param_groups:
        parameters["lr"] = rate
    losses: Mapping[str, Tensor] = model(
        [image.to(device) for image in images],
        [{name: value.to(device) for name, value in target.items()} for target in targets],
    )
    total = torch.stack(list(losses.values())).sum()
    if not bool(torch.isfinite(total)):
        message = f"epoch {epoch}, step {step}: the loss is not finite; lower the learning rate"
        raise TrainingError(message)
    optimizer.zero_grad()
    total.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return losses.get(_EACH)


_EACH = "each picture's"


class _EachLoss(nn.Module):
    """A detector whose forward pass gives each picture's share in the loss: what a schedule drops
    by. A module of its own, so that processes exchange gradients as for any other."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: list[Tensor], targets: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        parts = image_losses(self.model, images, targets)
        return {_EACH: torch.stack(list(parts.values())).sum(dim=0)}


class _Due:
    """Whether to write a checkpoint now: by the first process's clock. Where a checkpoint has the
    losses of all processes, all ask, and all get the first one's answer."""

    def __init__(
        self, plan: PretrainPlan, group: Group, device: torch.device, *, together: bool
    ) -> None:
        self._plan, self._group, self._device = plan, group, device
        self._together = together
        self._saved_s = time.monotonic()

    def __call__(self) -> bool:
        due = time.monotonic() - self._saved_s >= self._plan.save_s
        if self._together:
            answer = torch.tensor(int(due), device=self._device)
            dist.broadcast(answer, 0)
            due = bool(answer)
        elif self._group.rank:
            return False
        if due:
            self._saved_s = time.monotonic()
        return due


class _Pictures(Dataset[tuple[Tensor, dict[str, Tensor]]]):
    """Pictures and targets as torchvision's detectors take them: labels from 1."""

    def __init__(self, pictures: Sequence[Labelled]) -> None:
        self._pictures = pictures

    def __reduce__(self) -> tuple[Any, ...]:
        return built, (type(self).__module__, type(self).__name__, self._pictures)

    def __getitem__(self, asked: tuple[int, bool]) -> tuple[Tensor, dict[str, Tensor]]:
        number, mirrored = asked
        picture = self._pictures[number]
        image, boxes = picture.read(), picture.boxes_xyxy.copy()
        if mirrored:
            image = np.ascontiguousarray(image[:, ::-1])
            boxes[:, [0, 2]] = image.shape[1] - picture.boxes_xyxy[:, [2, 0]]
        labels = torch.from_numpy(picture.labels) + 1
        return to_tensor(image), {"boxes": torch.from_numpy(boxes), "labels": labels}


def _loaded(
    pictures: Sequence[Labelled], batches: Sequence[Batch], loaders: int
) -> Iterator[Loaded]:
    """The batches, read in `loaders` processes (0: in this one)."""
    yield from DataLoader(
        _Pictures(pictures),
        batch_sampler=batches,
        num_workers=loaders,
        collate_fn=_together,
        multiprocessing_context="spawn" if loaders else None,
    )


def _together(samples: Sequence[tuple[Tensor, dict[str, Tensor]]]) -> Loaded:
    return [image for image, _ in samples], [target for _, target in samples]


def _recipe(plan: PretrainPlan, pictures: Sequence[Labelled], group: Group) -> dict[str, Any]:
    """What must be the same to continue a training."""
    chosen = {k: v for k, v in asdict(plan).items() if k not in ("save_s", "loaders")}
    return {**chosen, "processes": group.size, "pictures": len(pictures)}
