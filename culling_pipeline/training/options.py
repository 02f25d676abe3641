"""The schedules by name, with all their settings in one: as a night, a command or a preset knows
them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal, get_args

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
from culling_pipeline.training.course import PapersCourse, sizes
from culling_pipeline.training.cycles import Cycles, imagenet_setting
from culling_pipeline.training.pacing import EpsilonMode, Pacing, PruneEnd
from culling_pipeline.training.schedule import Schedule

ScheduleName = Literal["standard", "curriculum", "clip", "dap", "clip-dap"]
SCHEDULES: tuple[str, ...] = get_args(ScheduleName)
"""All schedules by the name they have in the configuration."""


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
    epsilon_mode: EpsilonMode
    prune: PruneEnd

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


def imagenet_options(epochs: int, pick: tuple[int, ...]) -> ScheduleOptions:
    """Drop-and-Pick as its authors pre-train on ImageNet (`imagenet_setting`); everything is picked
    up again after `pick`, where the learning rate falls (section 3.3)."""
    own = imagenet_setting(epochs)
    return replace(
        EVERYTHING,
        warm_up=own["warm_up"],
        interval=own["interval"],
        active=own["active"],
        keep=0.9,
        pick=pick,
    )


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
    seed: int = 0,
) -> Schedule:
    """The schedule `name` for training sets of `samples` and `epochs` epochs; `scores` as in
    `PapersCourse`."""
    course = build_course(name, samples=samples, epochs=epochs, options=options, scores=scores)
    return Schedule(course, seed=seed)


def build_course(
    name: str,
    *,
    samples: int,
    epochs: int,
    options: ScheduleOptions,
    scores: NDArray[np.float64] | None = None,
) -> PapersCourse:
    """What the schedule `name` decides, epoch after epoch."""
    pacing, cycles = _parts(name, samples, epochs, options)
    return PapersCourse(name, pacing, cycles, scores=scores)


def show(name: str, samples: int, epochs: int, options: ScheduleOptions) -> ScheduleCourse:
    """The course of a schedule without training: how many samples it takes never depends on
    their losses, only which. Counts and lists nothing, so ImageNet takes no longer than a night."""
    per_epoch = tuple(sizes(*_parts(name, samples, epochs, options)))
    return ScheduleCourse(name, samples, epochs, per_epoch, sum(per_epoch) / (samples * epochs))


def _parts(
    name: str, samples: int, epochs: int, options: ScheduleOptions
) -> tuple[Pacing, Cycles | None]:
    """CLIP's pacing and DaP's cycles, with what `name` lacks of them switched off. With CLIP, the
    growth is the warm-up: the cycles begin when CLIP has reached its full size."""
    if name not in SCHEDULES:
        message = f"schedule: got {name!r}, must be one of {', '.join(SCHEDULES)}"
        raise ValueError(message)
    if name == "curriculum":
        options = replace(options, prune_ratio=0.0)
    elif name in ("standard", "dap"):
        options = replace(options, prune_ratio=0.0, start=1.0)
    pacing = Pacing(
        samples=samples,
        epochs=epochs,
        pacing="linear" if options.pace_power == 1 else "quadratic",
        start=options.start,
        pace_end=options.pace_end,
        prune_ratio=options.prune_ratio,
        epsilon_mode=options.epsilon_mode,
        prune=options.prune,
    )
    if name not in ("dap", "clip-dap"):
        return pacing, None
    cycles = Cycles(
        epochs,
        warm_up=pacing.full_after if name == "clip-dap" else options.warm_up,
        interval=options.interval,
        keep=options.keep,
        pick=options.pick,
        active=options.active,
    )
    return pacing, cycles
