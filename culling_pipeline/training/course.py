"""Which samples each epoch sees: the course of a training. It knows indices and losses only: no
image, no loss function, no clock."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from culling_pipeline.training.cycles import Cycles
from culling_pipeline.training.pacing import Pacing

Indices = NDArray[np.int64]
Losses = NDArray[np.float64]


class Course(Protocol):
    """Decides, epoch after epoch, what to train on. For epoch = 1, 2, …: train on `indices`, then
    `record` the losses. `state` after any epoch and `restore` into a fresh course, built with the
    same arguments, continue the same course. `Schedule` gives a course to a training loop."""

    @property
    def samples(self) -> int:
        """How many samples the training set has."""

    @property
    def epochs(self) -> int:
        """How many epochs there are."""

    @property
    def next_epoch(self) -> int:
        """The epoch that is to be trained now, from 1; `epochs` + 1 at the end."""

    def indices(self, epoch: int) -> Indices:
        """The samples (0…N − 1, rising, each once, never none) that this epoch trains on."""

    def record(self, epoch: int, losses: Losses) -> None:
        """Each sample's loss in this epoch, in the order of `indices(epoch)`; NaN: not known."""

    def sizes(self) -> Iterable[int]:
        """The number of samples in each epoch, from the first, if no loss can change it."""

    def state(self) -> dict[str, Any]:
        """The position, as JSON values."""

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a `state`."""


class PapersCourse:
    """CLIP starts with the easiest samples and adds harder ones (`pacing`); Drop-and-Pick starts
    with all, repeatedly drops the easiest, and picks everything up again (`cycles`). Each without
    the other, both, or neither: standard training.

    `scores` (N numbers) say how difficult each sample is; the list is sorted by them, ties by
    index. Without scores it is sorted by index: enough for counting, wrong for training.
    """

    def __init__(
        self,
        name: str,
        pacing: Pacing,
        cycles: Cycles | None = None,
        *,
        scores: Losses | None = None,
    ) -> None:
        self._name, self._pacing = name, pacing
        self._order = _order(pacing.samples, scores)
        self._first = cycles
        self._cycles = copy.copy(cycles)
        self._epoch = 1
        self._active: Indices | None = None  # None: nothing is dropped

    @property
    def samples(self) -> int:
        return self._pacing.samples

    @property
    def epochs(self) -> int:
        return self._pacing.epochs

    @property
    def next_epoch(self) -> int:
        return self._epoch

    def indices(self, epoch: int) -> Indices:
        self._expect(epoch)
        if self._active is not None:
            return self._active.copy()
        return np.sort(self._order[self._pacing.window(epoch)])

    def record(self, epoch: int, losses: Losses) -> None:
        now = self.indices(epoch)
        if losses.shape != now.shape:
            message = (
                f"epoch {epoch} trains on {len(now)} samples, got losses of shape {losses.shape}"
            )
            raise ValueError(message)
        ahead = copy.copy(self._cycles)
        event = ahead.after(epoch) if ahead else None
        if event == "drop" and ahead is not None:
            self._active = _hardest(epoch, now, losses, ahead.kept(len(now)))
        elif event == "pick":
            self._active = None
        self._cycles, self._epoch = ahead, epoch + 1

    def sizes(self) -> Iterator[int]:
        return sizes(self._pacing, self._first)

    def state(self) -> dict[str, Any]:
        return {
            **self._own(),
            "next_epoch": self._epoch,
            "started": self._cycles.started if self._cycles else None,
            "previous": self._cycles.previous if self._cycles else None,
            "active": None if self._active is None else self._active.tolist(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        own = self._own()
        theirs = {key: state.get(key) for key in own}
        if theirs != own:
            message = f"this schedule is {own}, the saved state is of {theirs}: start the run again"
            raise ValueError(message)
        self._epoch = int(state["next_epoch"])
        if self._cycles:
            self._cycles.started = int(state["started"])
            self._cycles.previous = int(state["previous"])
        active = state["active"]
        self._active = None if active is None else np.array(active, np.int64)

    def _own(self) -> dict[str, Any]:
        return {"name": self._name, "samples": self.samples, "epochs": self.epochs}

    def _expect(self, epoch: int) -> None:
        if epoch != self._epoch:
            message = (
                f"epoch: got {epoch}, must be {self._epoch}: record each epoch before the next"
            )
            raise ValueError(message)
        if epoch > self.epochs:
            message = f"epoch: got {epoch}, the schedule ends after {self.epochs}"
            raise ValueError(message)


def sizes(pacing: Pacing, cycles: Cycles | None) -> Iterator[int]:
    """As `PapersCourse`, counting only: ImageNet takes no longer than a night."""
    cycles = copy.copy(cycles)
    active: int | None = None
    for epoch in range(1, pacing.epochs + 1):
        size = pacing.size(epoch) if active is None else active
        yield size
        event = cycles.after(epoch) if cycles else None
        if event == "pick":
            active = None
        elif event == "drop" and cycles is not None:
            active = cycles.kept(size)


def _hardest(epoch: int, now: Indices, losses: Losses, kept: int) -> Indices:
    """The samples that a drop keeps. One whose loss is not known may be hard: it stays."""
    known = np.isfinite(losses)
    if not known.any():
        message = (
            f"epoch {epoch}: the easiest samples are to be dropped now, but none of the "
            f"{len(now)} has a finite loss: call observe(indices, losses) after each batch"
        )
        raise ValueError(message)
    order = np.argsort(-np.where(known, losses, np.inf), kind="stable")
    return np.sort(now[order[:kept]])


def _order(samples: int, scores: Losses | None) -> Indices:
    """All samples, easy to hard."""
    if scores is None:
        return np.arange(samples)
    if scores.shape != (samples,) or not np.isfinite(scores).all():
        message = f"scores: must be {samples} finite numbers, got shape {scores.shape}"
        raise ValueError(message)
    return np.argsort(scores, kind="stable")
