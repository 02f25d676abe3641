"""Which samples an epoch trains on: standard training, CLIP, Drop-and-Pick and the two together.

CLIP (Algorithm 1) starts with the easiest samples and adds harder ones; Drop-and-Pick (DaP,
Algorithm 1) starts with all and repeatedly drops the easiest, and picks everything up at a
learning-rate step. This module only decides: no image, no loss function, no clock.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from culling_pipeline.ranges import (
    Count,
    OneOrTwo,
    PositiveShare,
    ShareBelowOne,
    WholeFromZero,
    check,
)

ScheduleName = Literal["standard", "curriculum", "clip", "dap", "clip-dap"]
SCHEDULES: tuple[str, ...] = get_args(ScheduleName)
"""All schedules by the name they have in the configuration."""

_ROUNDING = 1e-9
"""Added before cutting to whole samples: 100 · 0.29 is 28.999… in binary, and means 29."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleOptions:
    """The settings of all schedules; each uses its own and ignores the others'.

    Drop-and-Pick (its Table 1): `warm_up` W, epochs on everything at the start; `interval` I,
    epochs between drops; `keep` p, the share kept at a drop; `pick` R, the epochs after which
    everything is picked up again; `active` α, drops stop this many epochs after a pick (None: they
    do not). CLIP: `start` g₀, the share of the easiest to begin with; `pace_power` p, 1 linear or 2
    quadratic growth; `pace_end` a, the share of the training after which growth is complete;
    `prune_ratio` ε, the share left out; `epsilon_mode`, whether ε is there from the beginning,
    grows to its value or shrinks from it; `prune`, which end of the list is left out.
    """

    warm_up: WholeFromZero
    interval: Count
    keep: PositiveShare
    pick: tuple[Count, ...]
    active: Count | None
    start: PositiveShare
    pace_power: OneOrTwo
    pace_end: PositiveShare
    prune_ratio: ShareBelowOne
    epsilon_mode: Literal["fixed", "increasing", "decreasing"]
    prune: Literal["easiest", "hardest"]

    def __post_init__(self) -> None:
        check(self)
        if any(a >= b for a, b in pairwise(self.pick)):
            message = f"pick: got {self.pick}, must be epochs in rising order, each once"
            raise ValueError(message)


EVERYTHING = ScheduleOptions(
    warm_up=0,
    interval=1,
    keep=1.0,
    pick=(),
    active=None,
    start=1.0,
    pace_power=1,
    pace_end=1.0,
    prune_ratio=0.0,
    epsilon_mode="fixed",
    prune="easiest",
)
"""Every sample in every epoch under any schedule: for a training without a choice of samples."""


class Schedule(Protocol):
    """Decides, epoch after epoch, what to train on. For epoch = 1, 2, …: train on `indices`, then
    `record` the losses. `state` after any epoch and `restore` into a fresh schedule, built with
    the same arguments, continue the same course."""

    def indices(self, epoch: int) -> NDArray[np.int64]:
        """The samples (0…N − 1, rising, each once, never none) that this epoch trains on."""

    def record(self, epoch: int, losses: NDArray[np.float64]) -> None:
        """Each sample's loss in this epoch, in the order of `indices(epoch)`."""

    def state(self) -> dict[str, Any]:
        """The schedule's position, as JSON values."""

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a `state`."""


@dataclass(frozen=True, slots=True)
class ScheduleCourse:
    """What a schedule trains on, without training: images in each epoch, and their share of
    standard training's (`computation`, as the papers count it)."""

    name: str
    samples: int
    epochs: int
    per_epoch: tuple[int, ...]
    computation: float


def build_schedule(
    name: str,
    *,
    samples: int,
    epochs: int,
    options: ScheduleOptions,
    scores: NDArray[np.float64] | None = None,
) -> Schedule:
    """The schedule `name` for training sets of `samples` and `epochs` epochs.

    `scores` (N float64) say how difficult each sample is to a pre-training model; CLIP and the
    curriculum sort by them, ties by index. Without scores they sort by index, which is no
    curriculum: enough for counting, wrong for training.
    """
    _check(name, samples, epochs, options)
    pacing = _pacing(name, samples, epochs, options)
    order = _order(samples, scores)

    def whole(epoch: int) -> NDArray[np.int64]:
        return np.sort(order[pacing.window(epoch)])

    cycles = _Cycles.of(name, epochs, options)
    return _Course(name, samples=samples, epochs=epochs, whole=whole, cycles=cycles)


def show(name: str, samples: int, epochs: int, options: ScheduleOptions) -> ScheduleCourse:
    """The course of a schedule without training: how many samples it takes never depends on
    their losses, only which. Counts and lists nothing, so ImageNet takes no longer than a night."""
    _check(name, samples, epochs, options)
    sizes = tuple(_sizes(name, samples, epochs, options))
    return ScheduleCourse(name, samples, epochs, sizes, sum(sizes) / (samples * epochs))


@dataclass(frozen=True, slots=True)
class _Pacing:
    """CLIP's Algorithm 1 in numbers: which stretch of the list, easy to hard, an epoch sees.

    g(t) = N · (g₀ + (1 − g₀) · min(1, t / (a·T))^p), t the epoch from 1; the paper gives no
    formula, this is Wu et al.'s ("When do curricula work"), whose p = 1 and 2 look like its Fig. 1.
    size(t) = g(t) − ε(t)·g(t).

    Algorithm 1 then takes X[1…size], which cuts the *hardest* of the g(t); the text wants the
    samples gone that contribute least, the *easiest*. `prune` says which.
    """

    samples: int
    epochs: int
    options: ScheduleOptions

    def window(self, epoch: int) -> slice:
        """The stretch of the sorted list: at least one sample."""
        o = self.options
        reached = min(1.0, epoch / (o.pace_end * self.epochs))
        pool = self.samples * (o.start + (1 - o.start) * reached**o.pace_power)
        end = max(1, int(pool + _ROUNDING))
        size = max(1, int(pool - self._epsilon(epoch) * pool + _ROUNDING))
        return slice(0, size) if o.prune == "hardest" else slice(end - size, end)

    def size(self, epoch: int) -> int:
        window: slice = self.window(epoch)
        return int(window.stop - window.start)

    def _epsilon(self, epoch: int) -> float:
        """ε(t): "fixed, or an increasing function with decreasing rate (or vice versa)". The paper
        names no function; ours are ε·√(t/T), and its mirror ε·√(1 − t/T)."""
        share = epoch / self.epochs
        factor = {
            "fixed": 1.0,
            "increasing": math.sqrt(share),
            "decreasing": math.sqrt(1 - share),
        }
        return self.options.prune_ratio * factor[self.options.epsilon_mode]


@dataclass(slots=True)
class _Cycles:
    """Drop-and-Pick's Algorithm 1 as a clock: what happens after each epoch.

    As printed, T_previous is not reset when everything is picked up again: the next drop then
    comes too early or, where α had stopped the drops, never, and many figures of Tables 2, 3 and
    7 do not come out. We reset it, never to before the end of the warm-up, and compare
    τ − T_start < α strictly: 30 of the 32 figures come out to the rounded per cent.
    """

    warm_up: int
    interval: int
    keep: float
    picks: frozenset[int]
    active: float
    started: int
    previous: int

    @classmethod
    def of(cls, name: str, epochs: int, options: ScheduleOptions) -> _Cycles | None:
        """The clock of schedule `name`; None for those that never drop. With CLIP, the growth is
        the warm-up: the cycles begin when CLIP has reached its full size."""
        if name not in ("dap", "clip-dap"):
            return None
        grown = math.ceil(options.pace_end * epochs - _ROUNDING)
        warm_up = grown if name == "clip-dap" else options.warm_up
        active = math.inf if options.active is None else options.active
        return cls(
            warm_up,
            options.interval,
            options.keep,
            frozenset(options.pick),
            active,
            started=warm_up,
            previous=warm_up,
        )

    def after(self, epoch: int) -> Literal["drop", "pick"] | None:
        """Moves on past `epoch`."""
        if epoch <= self.warm_up:
            return None  # everything is in use: a pick changes nothing
        if epoch in self.picks:
            self.started = self.previous = epoch
            return "pick"
        if epoch - self.previous == self.interval and epoch - self.started < self.active:
            self.previous = epoch
            return "drop"
        return None

    def kept(self, size: int) -> int:
        """How many of `size` samples a drop leaves: int(size · p), at least one."""
        return max(1, int(size * self.keep + _ROUNDING))


class _Course:
    """All schedules: `whole` gives what an epoch would see if nothing were dropped, and `cycles`,
    for some, drop from it and pick it up again."""

    def __init__(
        self,
        name: str,
        *,
        samples: int,
        epochs: int,
        whole: Callable[[int], NDArray[np.int64]],
        cycles: _Cycles | None,
    ) -> None:
        self._name, self._samples, self._epochs = name, samples, epochs
        self._whole = whole
        self._cycles = cycles
        self._epoch = 1
        self._active: NDArray[np.int64] | None = None  # None: nothing is dropped

    def indices(self, epoch: int) -> NDArray[np.int64]:
        self._expect(epoch)
        return self._whole(epoch) if self._active is None else self._active.copy()

    def record(self, epoch: int, losses: NDArray[np.float64]) -> None:
        now = self.indices(epoch)
        if losses.shape != now.shape:
            message = (
                f"epoch {epoch} trains on {len(now)} samples, got losses of shape {losses.shape}"
            )
            raise ValueError(message)
        if not np.isfinite(losses).all():
            index = int(now[np.flatnonzero(~np.isfinite(losses))[0]])
            message = f"epoch {epoch}: the loss of sample {index} is not finite"
            raise ValueError(message)
        self._epoch = epoch + 1
        event = self._cycles.after(epoch) if self._cycles else None
        if event == "pick":
            self._active = None
        elif event == "drop" and self._cycles is not None:
            hardest = np.argsort(-losses, kind="stable")[: self._cycles.kept(len(now))]
            self._active = np.sort(now[hardest])

    def state(self) -> dict[str, Any]:
        return {
            "name": self._name,
            "samples": self._samples,
            "epochs": self._epochs,
            "next_epoch": self._epoch,
            "started": self._cycles.started if self._cycles else None,
            "previous": self._cycles.previous if self._cycles else None,
            "active": None if self._active is None else self._active.tolist(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        own = {"name": self._name, "samples": self._samples, "epochs": self._epochs}
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

    def _expect(self, epoch: int) -> None:
        if epoch != self._epoch:
            message = (
                f"epoch: got {epoch}, must be {self._epoch}: record each epoch before the next"
            )
            raise ValueError(message)
        if epoch > self._epochs:
            message = f"epoch: got {epoch}, the schedule ends after {self._epochs}"
            raise ValueError(message)


def _sizes(name: str, samples: int, epochs: int, options: ScheduleOptions) -> Iterator[int]:
    """As `_Course`, counting only."""
    pacing = _pacing(name, samples, epochs, options)
    cycles = _Cycles.of(name, epochs, options)
    active: int | None = None
    for epoch in range(1, epochs + 1):
        size = pacing.size(epoch) if active is None else active
        yield size
        event = cycles.after(epoch) if cycles else None
        if event == "pick":
            active = None
        elif event == "drop" and cycles is not None:
            active = cycles.kept(size)


def _pacing(name: str, samples: int, epochs: int, options: ScheduleOptions) -> _Pacing:
    """CLIP's pacing, with what `name` lacks of it switched off: the curriculum does not prune;
    standard training and DaP see everything from the first epoch on."""
    if name == "curriculum":
        options = replace(options, prune_ratio=0.0)
    elif name in ("standard", "dap"):
        options = replace(options, prune_ratio=0.0, start=1.0)
    return _Pacing(samples, epochs, options)


def _order(samples: int, scores: NDArray[np.float64] | None) -> NDArray[np.int64]:
    """All samples, easy to hard."""
    if scores is None:
        return np.arange(samples)
    if scores.shape != (samples,) or not np.isfinite(scores).all():
        message = f"scores: must be {samples} finite numbers, got shape {scores.shape}"
        raise ValueError(message)
    return np.argsort(scores, kind="stable")


def _check(name: str, samples: int, epochs: int, options: ScheduleOptions) -> None:
    if name not in SCHEDULES:
        message = f"schedule: got {name!r}, must be one of {', '.join(SCHEDULES)}"
        raise ValueError(message)
    for key, value in (("samples", samples), ("epochs", epochs)):
        if value < 1:
            message = f"{key}: got {value}, must be 1 or more"
            raise ValueError(message)
    if name in ("dap", "clip-dap") and options.pick and options.pick[-1] > epochs:
        message = f"pick: got {options.pick[-1]}, must be at most the last epoch, {epochs}"
        raise ValueError(message)
