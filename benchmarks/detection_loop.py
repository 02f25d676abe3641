"""One training of `benchmarks/detection_schedules.py`: the night's recipe under any schedule.

The loop is written with the public interface of `culling_pipeline.training`; under a schedule of
the program it trains the same weights, bit for bit, as a night's own loop (a test holds it).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from benchmarks.book import Row
from benchmarks.rivals import InfoBatch, SelectiveBackprop
from benchmarks.tried.early import Plateau
from benchmarks.tried.soft_labels import drawn_by_score
from culling_pipeline.tasks.base import Task
from culling_pipeline.tasks.samples import Prepared, Sample
from culling_pipeline.training import Schedule
from culling_pipeline.training.loop import (
    MAX_GRADIENT_NORM,
    Learning,
    TrainPlan,
    difficulty,
    ease_in,
    lacks_statistics,
    learning_rate,
    optimizer_for,
    train_mode,
)
from culling_pipeline.training.options import build_schedule, show
from jobs.config.night import TrainingSettings
from models.boxes.detector import TorchDetector

INFOBATCH_SHARE = 0.74
"""What InfoBatch trains on of the epochs it has, if three fifths of the samples lie below the mean
loss. It depends on the losses: on the PETS clip it was 0.82, so it has a little more than its share
there."""


@dataclass(frozen=True)
class Kind:
    """A way to train. `schedule` is one of the program's; `full`: at standard training's length."""

    name: str
    way: str = "course"
    schedule: str = "standard"
    full: bool = False


KINDS = {
    kind.name: kind
    for kind in (
        Kind("standard", full=True),
        Kind("clip-dap", schedule="clip-dap"),
        Kind("shortened"),
        Kind("infobatch", "infobatch"),
        Kind("random dropping", "random", "dap"),
        Kind("dap", schedule="dap"),
        Kind("clip", schedule="clip"),
        Kind("selective backprop", "selective", full=True),
        Kind("early stop", "early", full=True),
        Kind("soft labels", "soft"),
    )
}
DEFAULT = TrainingSettings().schedule


@dataclass(frozen=True)
class Length:
    """Standard training's epochs, and the share of its images that the others get."""

    epochs: int
    share: float


def epochs_of(kind: Kind, samples: int, length: Length) -> int:
    """The most epochs with which this way shows no more than its share of the images."""
    if kind.full:
        return length.epochs
    images = length.share * samples * length.epochs + 1e-9
    if kind.way == "infobatch":
        return int(images / (INFOBATCH_SHARE * samples))
    fitting = [
        epochs
        for epochs in range(1, 4 * length.epochs)
        if _shown(kind.schedule, samples, epochs) <= images
    ]
    return max(fitting)


def _shown(schedule: str, samples: int, epochs: int) -> int:
    options = TrainingSettings(epochs=epochs).to_options()
    return sum(show(schedule, samples, epochs, options).per_epoch)


@dataclass
class Training:
    """A student, what it is trained on, and how; `shown` counts the images trained on, `looked`
    those that only a forward pass was spent on."""

    student: TorchDetector
    task: Task
    samples: Sequence[Sample]
    others: Sequence[Sample]
    kind: Kind
    plan: TrainPlan
    share: float
    shown: int = 0
    looked: int = 0
    curve: list[Row] = field(default_factory=list)
    cpu_s: float = 0.0

    def run(self, held_out: Callable[[Learning], float]) -> None:
        """Train in place. `held_out` measures after each epoch; it is not counted."""
        began = time.process_time()
        torch.manual_seed(self.plan.seed)
        self._rng = np.random.default_rng([self.plan.seed, 31])
        model = self.student.model
        model.to(memory_format=torch.channels_last)
        learning = self._learning(self.samples)
        train_mode(model, measure_norms=lacks_statistics(model))
        schedule = self._schedule(learning)
        self._optimizer = optimizer_for(model, self.plan)
        self._plateau = Plateau() if self.kind.way == "early" else None
        self._selective = SelectiveBackprop(self.share, seed=self.plan.seed)
        for epoch in schedule:
            if self.kind.way == "soft":
                learning = self._learning(drawn_by_score(self.samples, self._rng))
            loss = self._epoch(learning, schedule, epoch)
            self.cpu_s += time.process_time() - began
            point = {"epoch": epoch, "images": self.shown, "loss": loss}
            self.curve.append({**point, "held_out": held_out(learning)})
            began = time.process_time()
            if self._plateau is not None and self._plateau.over(epoch, loss):
                break
        model.eval().to(memory_format=torch.contiguous_format)

    def _learning(self, samples: Sequence[Sample]) -> Learning:
        variation, size = self.plan.variation, self.student.size
        pictures = self.task.pictures(samples, self.others, size=size, variation=variation)
        return Learning(self.student, self.task, pictures)

    def _schedule(self, learning: Learning) -> Schedule:
        samples, plan = len(self.samples), self.plan
        if self.kind.way == "infobatch":
            return Schedule(InfoBatch(samples, epochs=plan.epochs, seed=plan.seed))
        return build_schedule(
            plan.schedule,
            samples=samples,
            epochs=plan.epochs,
            options=plan.options,
            scores=difficulty(learning),
        )

    def _epoch(self, learning: Learning, schedule: Schedule, epoch: int) -> float:
        """One pass over what the schedule chose; the mean loss."""
        chosen = schedule.indices
        weights = np.ones(self.plan.batch_size * len(self.samples))
        if isinstance(schedule.course, InfoBatch):
            weights = schedule.course.weights(epoch)
        losses = np.zeros(len(chosen))
        order = self._rng.permutation(len(chosen))
        batches = np.array_split(order, -(-len(chosen) // self.plan.batch_size))
        waiting: list[Prepared] = []
        for number, rows in enumerate(batches):
            self._set_rate(epoch, number / len(batches))
            batch = [learning.pictures(int(chosen[row]), self._rng) for row in rows]
            if self.kind.way == "selective":
                losses[rows] = found = self._look(learning, batch)
                waiting += [batch[i] for i in np.flatnonzero(self._selective.chosen(found))]
                while len(waiting) >= self.plan.batch_size or (
                    waiting and number + 1 == len(batches)
                ):
                    now, waiting = waiting[: self.plan.batch_size], waiting[self.plan.batch_size :]
                    self._step(learning, now, np.ones(len(now)))
            else:
                losses[rows] = self._step(learning, batch, weights[chosen[rows]])
        random = self.kind.way == "random"
        schedule.observe(chosen, self._rng.random(len(chosen)) if random else losses)
        return float(losses.mean())

    def _set_rate(self, epoch: int, done: float) -> None:
        rate = learning_rate(self.plan, epoch)
        if self._plateau is not None:
            rate = self.plan.learning_rate * self._plateau.share(self.plan.learning_rate_drop)
        for group in self._optimizer.param_groups:
            group["lr"] = rate * ease_in(epoch, done)

    def _look(self, learning: Learning, batch: Sequence[Prepared]) -> NDArray[np.float64]:
        self.looked += len(batch)
        with torch.no_grad():
            found: NDArray[np.float64] = learning.losses_of(batch).cpu().numpy() * len(batch)
        return found

    def _step(
        self, learning: Learning, batch: Sequence[Prepared], weights: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        self.shown += len(batch)
        each = learning.losses_of(batch)
        self._optimizer.zero_grad()
        (each * torch.from_numpy(weights).to(each)).sum().backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.student.model.parameters(), MAX_GRADIENT_NORM)
        self._optimizer.step()
        losses: NDArray[np.float64] = each.detach().cpu().numpy() * len(batch)
        return losses


def held_out_loss(prepared: Sequence[Prepared]) -> Callable[[Learning], float]:
    """The mean loss on these pictures; the same draws of regions each time, and none of the
    training's."""

    def measure(learning: Learning) -> float:
        norms = [m for m in learning.student.model.modules() if isinstance(m, nn.BatchNorm2d)]
        states = [norm.training for norm in norms]
        for norm in norms:
            norm.eval()
        with torch.random.fork_rng(), torch.no_grad():
            torch.manual_seed(0)
            losses = [float(learning.losses_of([picture]).sum()) for picture in prepared]
        for norm, state in zip(norms, states, strict=True):
            norm.train(state)
        return float(np.mean(losses))

    return measure
