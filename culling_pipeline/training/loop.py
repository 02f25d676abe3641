"""Retraining: the loop over epochs, on the samples the schedule picks, with a loss per image."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from culling_pipeline.errors import CullingError
from culling_pipeline.ranges import (
    Count,
    NotNegative,
    Positive,
    PositiveShare,
    WholeFromZero,
    check,
)
from culling_pipeline.records.training import EpochPoint
from culling_pipeline.tasks.base import Task
from culling_pipeline.tasks.samples import Pictures, Prepared, Sample, Variation
from culling_pipeline.training.options import ScheduleName, ScheduleOptions, build_schedule
from culling_pipeline.training.schedule import Schedule
from models.base import Trainable
from models.without_compiler import uncompiled

MAX_GRADIENT_NORM = 5.0


class TrainingError(CullingError):
    """Training failed; the initial weights are unchanged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainPlan:
    """How to train. `learning_rate_steps` are the epochs after which the learning rate is
    multiplied by `learning_rate_drop`; Drop-and-Pick picks everything up again there (sec. 3.3)."""

    schedule: ScheduleName
    epochs: Count
    batch_size: Count
    learning_rate: Positive
    weight_decay: NotNegative
    learning_rate_steps: tuple[Count, ...]
    learning_rate_drop: PositiveShare
    variation: Variation
    seed: WholeFromZero
    options: ScheduleOptions

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """The result: one point per epoch, the number of images trained on, the number of frames that
    only provided objects, and the seconds in the loop."""

    epochs: tuple[EpochPoint, ...]
    images: int
    givers: int
    seconds: float
    computation: float


OnEpoch = Callable[[EpochPoint], None]


@uncompiled()
def fine_tune(
    student: Trainable,
    task: Task,
    samples: Sequence[Sample],
    plan: TrainPlan,
    *,
    others: Iterable[Sample] = (),
    on_epoch: OnEpoch | None = None,
) -> TrainingResult:
    """Train `student` in place, at its own image size, on the samples the schedule picks.

    `others` are labelled frames that are not trained on; if the plan pastes objects, theirs are
    used as well.

    Batch norm keeps its statistics, because a night's few hundred frames are too few for new ones;
    a net without statistics (random weights) computes them.
    A loss that is not finite raises `TrainingError`.
    """
    began = time.perf_counter()
    torch.manual_seed(plan.seed)
    rng = np.random.default_rng([plan.seed, 31])
    model = student.model
    model.to(memory_format=torch.channels_last)  # a tenth faster on a CPU
    pictures = task.pictures(samples, others, size=student.size, variation=plan.variation)
    train_mode(model, measure_norms=lacks_statistics(model))
    learning = Learning(student, task, pictures)
    schedule = build_schedule(
        plan.schedule,
        samples=len(samples),
        epochs=plan.epochs,
        options=plan.options,
        scores=difficulty(learning),
    )
    optimizer = optimizer_for(model, plan)
    points = []
    for epoch in schedule:
        point = _one_epoch(learning, schedule, optimizer, plan, epoch, rng)
        points.append(point)
        if on_epoch is not None:
            on_epoch(point)
    model.eval().to(memory_format=torch.contiguous_format)
    images = sum(p.images for p in points)
    return TrainingResult(
        tuple(points),
        images,
        pictures.givers,
        time.perf_counter() - began,
        images / (len(samples) * plan.epochs),
    )


@dataclass(frozen=True, slots=True)
class Learning:
    """A student and what it is trained on."""

    student: Trainable
    task: Task
    pictures: Pictures

    def losses_of(self, batch: Sequence[Prepared]) -> Tensor:
        """The batch's loss, split by image: N float32."""
        device = self.student.device
        moved = [
            (image.to(device), {name: value.to(device) for name, value in target.items()})
            for image, target in batch
        ]
        with _precision(device):
            return self.task.losses(self.student, moved)


def optimizer_for(model: nn.Module, plan: TrainPlan) -> torch.optim.Optimizer:
    return torch.optim.AdamW(
        [p for p in model.parameters() if p.requires_grad],
        lr=plan.learning_rate,
        weight_decay=plan.weight_decay,
    )


def _one_epoch(
    learning: Learning,
    schedule: Schedule,
    optimizer: torch.optim.Optimizer,
    plan: TrainPlan,
    epoch: int,
    rng: np.random.Generator,
) -> EpochPoint:
    parameters = list(learning.student.model.parameters())
    chosen = schedule.indices  # in an order of our own: the variations come from the same draws
    rate = learning_rate(plan, epoch)
    losses = np.zeros(len(chosen))
    batches = np.array_split(rng.permutation(len(chosen)), -(-len(chosen) // plan.batch_size))
    for number, rows in enumerate(batches):
        for group in optimizer.param_groups:
            group["lr"] = rate * ease_in(epoch, number / len(batches))
        each = learning.losses_of([learning.pictures(int(chosen[row]), rng) for row in rows])
        if not bool(torch.isfinite(each).all()):
            message = f"epoch {epoch}: a loss is not finite; the learning rate may be too high"
            raise TrainingError(message)
        optimizer.zero_grad()
        each.sum().backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(parameters, MAX_GRADIENT_NORM)
        optimizer.step()
        losses[rows] = each.detach().cpu().numpy() * len(rows)
    schedule.observe(chosen, losses)
    return EpochPoint(
        epoch=epoch, images=len(chosen), loss=float(losses.mean()), learning_rate=rate
    )


def learning_rate(plan: TrainPlan, epoch: int) -> float:
    """The rate of an epoch (from 1): falls after each of the steps."""
    falls = sum(epoch > step for step in plan.learning_rate_steps)
    return float(plan.learning_rate * plan.learning_rate_drop**falls)


def ease_in(epoch: int, done: float) -> float:
    """The first epoch starts at a tenth of the rate: AdamW knows no gradient sizes yet."""
    return 0.1 + 0.9 * done if epoch == 1 else 1.0


def difficulty(learning: Learning, *, batch: int = 8) -> NDArray[np.float64]:
    """Each sample's loss before training, by a model in training mode: CLIP's scoring function f
    (Algorithm 1, line 1)."""
    plain, scores = learning.pictures.plain, []
    with torch.no_grad():
        for start in range(0, len(plain), batch):
            part = list(plain[start : start + batch])
            scores.append(learning.losses_of(part).cpu().numpy() * len(part))
    found = np.concatenate(scores).astype(np.float64)
    if not np.isfinite(found).all():
        message = "before training: a loss is not finite; the weights it starts from are damaged"
        raise TrainingError(message)
    return found


@contextlib.contextmanager
def _precision(device: torch.device) -> Iterator[None]:
    """bfloat16 for convolutions where the machine is fast at it, float32 elsewhere."""
    able = torch.cuda.is_bf16_supported() if device.type == "cuda" else _cpu_has_bfloat16()
    with torch.autocast(device.type, torch.bfloat16, enabled=able):
        yield


def _cpu_has_bfloat16() -> bool:
    return bool(torch.cpu.get_capabilities().get("avx512_bf16", False))


def train_mode(model: nn.Module, *, measure_norms: bool) -> None:
    model.train()
    for norm in _norms(model):
        norm.train(measure_norms)


def _norms(model: nn.Module) -> list[nn.BatchNorm2d]:
    return [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]


def lacks_statistics(model: nn.Module) -> bool:
    """Whether batch norm has never seen a picture: its means are all 0, as a new net's are."""
    means = [norm.running_mean for norm in _norms(model) if norm.running_mean is not None]
    return bool(means) and not any(bool(mean.any()) for mean in means)
