"""The schedules for a training loop: which samples each epoch trains on, and in which order.

schedule = DropAndPick(len(dataset), epochs=300, warm_up=40, interval=10, keep=0.9, pick=[150])
loader = DataLoader(Indexed(dataset), batch_size=128, sampler=schedule.sampler())
for epoch in schedule:
    for indices, (images, labels) in loader:
        ...  # losses: one for each sample
        schedule.observe(indices, losses)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Sized
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from culling_pipeline.training.arguments import whole
from culling_pipeline.training.course import Course, Indices, PapersCourse
from culling_pipeline.training.cycles import Cycles, imagenet_setting
from culling_pipeline.training.observed import Observed, as_array
from culling_pipeline.training.pacing import EpsilonMode, Pace, Pacing, PruneEnd


class Schedule:
    """A course of training for a loop of your own; `Standard` to `ClipDap` are the courses of the
    papers, and `Schedule(course)` takes any other.

    Iterate over it for the epochs, from 1. In each, the `sampler` yields the epoch's samples in
    random order, and `observe` takes their losses. When the body of the loop ends, the course
    decides about the next epoch. If the body is left early, the epoch is not over: the next
    iteration goes on with what is left of it.
    """

    def __init__(self, course: Course, *, seed: int = 0) -> None:
        whole("seed", seed, least=0)
        self._course, self._seed = course, seed
        self._observed = Observed(course.samples)
        self._rank, self._ranks = 0, 1
        self._members: tuple[int, NDArray[np.bool_]] | None = None

    @property
    def course(self) -> Course:
        """What decides which samples an epoch sees."""
        return self._course

    @property
    def samples(self) -> int:
        """How many samples the training set has."""
        return self._course.samples

    @property
    def epochs(self) -> int:
        """How many epochs there are."""
        return self._course.epochs

    @property
    def epoch(self) -> int:
        """The epoch that is trained now, from 1; `epochs` + 1 when all are over."""
        return self._course.next_epoch

    @property
    def indices(self) -> Indices:
        """The samples of this epoch, of all ranks, rising."""
        return self._course.indices(self.epoch)

    def __iter__(self) -> Iterator[int]:
        while self.epoch <= self.epochs:
            epoch = self.epoch
            if self._observed.any and not len(self.remaining()):
                self._close(epoch)  # the state was saved when its last batch was trained
                continue
            yield epoch
            self._close(epoch)

    def shard(self, rank: int, ranks: int) -> None:
        """Train as one of several processes: all agree on the samples of an epoch, and each has
        its own share of them. Losses are exchanged once an epoch, with `torch.distributed`."""
        whole("ranks", ranks, least=1)
        whole("rank", rank, least=0)
        if rank >= ranks:
            message = f"rank: got {rank}, must be below the number of ranks, {ranks}"
            raise ValueError(message)
        self._rank, self._ranks = rank, ranks

    def sampler(self, dataset: Sized | None = None) -> Sampler:
        """Yields this epoch's indices, for `DataLoader(sampler=…)`. With `dataset`, each epoch
        begins with a check that it still has as many samples."""
        return Sampler(self, dataset)

    def observe(self, indices: ArrayLike, losses: ArrayLike) -> None:
        """Note a batch's losses, one for each sample: arrays, or tensors on any device. A loss that
        is not finite counts as not known. Of a sample that comes twice the mean counts."""
        self._observed.add(self._seen_now(), as_array(indices), as_array(losses))

    def steps(self, batch_size: int, *, accumulate: int = 1, drop_last: bool = False) -> int:
        """The optimizer's steps of the whole training, for a learning rate that ends where the
        training ends. A loader with `drop_last`, and a loop that steps after every `accumulate`
        batches and at the end of an epoch, make this many."""
        whole("batch_size", batch_size, least=1)
        whole("accumulate", accumulate, least=1)
        total = 0
        for size in self._course.sizes():
            mine = _share_size(size, self._ranks)
            batches = mine // batch_size if drop_last else -(-mine // batch_size)
            total += -(-batches // accumulate)
        return total

    def state(self) -> dict[str, Any]:
        """The position, also within an epoch, as JSON values. With several ranks all must call it
        together; the state is the same in all, and fits any number of them."""
        return {
            "course": self._course.state(),
            "seed": self._seed,
            "observed": self._observed.state(self._ranks),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a `state`, in a schedule that was made with the same arguments."""
        if state.get("seed") != self._seed:
            message = (
                f"this schedule has the seed {self._seed}, the saved state {state.get('seed')}: "
                "use the same, or start the run again"
            )
            raise ValueError(message)
        self._course.restore(state["course"])
        self._members = None
        self._observed.restore(state["observed"])

    def remaining(self) -> Indices:
        """This rank's samples of this epoch that are not yet observed, in the order of training."""
        if self.epoch > self.epochs:
            return np.empty(0, np.int64)
        order = np.random.default_rng([self._seed, 19, self.epoch]).permutation(self.indices)
        ranks = self._ranks
        order = np.resize(order, _share_size(len(order), ranks) * ranks)
        order = order[~self._observed.before[order]]
        share = order[self._rank :: ranks][: len(order) // ranks]
        left: Indices = share[~self._observed.own[share]]
        return left

    def _seen_now(self) -> NDArray[np.bool_]:
        """Which samples are of this epoch: N flags, made once an epoch."""
        if self._members is None or self._members[0] != self.epoch:
            flags = np.zeros(self.samples, np.bool_)
            flags[self.indices] = True
            self._members = self.epoch, flags
        return self._members[1]

    def _close(self, epoch: int) -> None:
        """The end of an epoch: the course gets the losses."""
        if self.epoch != epoch:
            return  # a state was restored within the loop
        self._course.record(epoch, self._observed.losses(self._ranks)[self.indices])
        self._observed.next_epoch()


class Sampler:
    """The order of an epoch, for a `DataLoader`: new in each epoch, the same in each run with the
    same seed. Its length is what was left of the epoch when it was last begun."""

    def __init__(self, schedule: Schedule, dataset: Sized | None = None) -> None:
        self._schedule, self._dataset = schedule, dataset
        self._begun: tuple[int, int] | None = None  # epoch and length

    def __iter__(self) -> Iterator[int]:
        self._check()
        order = self._schedule.remaining().tolist()
        self._begun = self._schedule.epoch, len(order)
        return iter(order)

    def __len__(self) -> int:
        if self._begun is not None and self._begun[0] == self._schedule.epoch:
            return self._begun[1]
        return len(self._schedule.remaining())

    def _check(self) -> None:
        made_for = self._schedule.samples
        if self._dataset is not None and len(self._dataset) != made_for:
            message = (
                f"dataset: has {len(self._dataset)} samples in epoch {self._schedule.epoch}, the "
                f"schedule was made for {made_for}: make a new schedule when the data set changes"
            )
            raise ValueError(message)


class Standard(Schedule):
    """Every sample in every epoch."""

    def __init__(self, samples: int, *, epochs: int, seed: int = 0) -> None:
        pacing = Pacing(samples=samples, epochs=epochs)
        super().__init__(PapersCourse("standard", pacing), seed=seed)


class Curriculum(Schedule):
    """From the easiest samples to all of them, none left out (Wu et al., "When do curricula work").

    `scores`, `pacing`, `start` and `pace_end` as in `Clip`.
    """

    def __init__(
        self,
        samples: int,
        *,
        epochs: int,
        scores: ArrayLike,
        pacing: Pace = "quadratic",
        start: float = 0.25,
        pace_end: float = 0.5,
        seed: int = 0,
    ) -> None:
        growth = Pacing(
            samples=samples, epochs=epochs, pacing=pacing, start=start, pace_end=pace_end
        )
        super().__init__(PapersCourse("curriculum", growth, scores=_scores(scores)), seed=seed)


class Clip(Schedule):
    """CLIP, Algorithm 1: from the easiest samples to more, and a share ε of each subset left out.

    `scores`: how difficult each sample is, by any function (a pre-trained model's loss in the
    paper). `pacing`: how the subset grows, from the share `start` of all samples (Wu et al.'s b)
    until the share `pace_end` of the epochs is over (their a). `prune_ratio` ε, the share left out;
    `epsilon_mode`: fixed, growing to ε or shrinking from it; `prune`: which end is left out. The
    batches are drawn uniformly in the subset, each sample once an epoch.
    """

    def __init__(
        self,
        samples: int,
        *,
        epochs: int,
        scores: ArrayLike,
        pacing: Pace = "quadratic",
        start: float = 0.25,
        pace_end: float = 0.5,
        prune_ratio: float = 0.05,
        epsilon_mode: EpsilonMode = "fixed",
        prune: PruneEnd = "easiest",
        seed: int = 0,
    ) -> None:
        growth = Pacing(
            samples=samples,
            epochs=epochs,
            pacing=pacing,
            start=start,
            pace_end=pace_end,
            prune_ratio=prune_ratio,
            epsilon_mode=epsilon_mode,
            prune=prune,
        )
        super().__init__(PapersCourse("clip", growth, scores=_scores(scores)), seed=seed)


class DropAndPick(Schedule):
    """Drop-and-Pick (DaP), Algorithm 1: from all samples to the hardest, and all again at a pick.

    The paper's Table 1: `warm_up` W, epochs on everything at the start; `interval` I, epochs
    between drops; `keep` p, the share kept at a drop; `pick` R, the epochs after which all are
    picked up again (where the learning rate falls, section 3.3); `active` α, drops stop this many
    epochs after a pick (None: they do not stop). `imagenet` is the authors' setting for
    pre-training.
    """

    def __init__(
        self,
        samples: int,
        *,
        epochs: int,
        warm_up: int,
        interval: int,
        keep: float = 0.9,
        pick: Sequence[int] = (),
        active: int | None = None,
        seed: int = 0,
    ) -> None:
        cycles = Cycles(
            epochs, warm_up=warm_up, interval=interval, keep=keep, pick=pick, active=active
        )
        pacing = Pacing(samples=samples, epochs=epochs)
        super().__init__(PapersCourse("dap", pacing, cycles), seed=seed)

    @classmethod
    def imagenet(
        cls, samples: int, *, epochs: int = 120, pick: Sequence[int] = (30, 60, 90), seed: int = 0
    ) -> DropAndPick:
        """The authors' setting for ImageNet (section 4.3.1); `pick`: where the rate falls."""
        setting = imagenet_setting(epochs)
        return cls(samples, epochs=epochs, keep=0.9, pick=pick, seed=seed, **setting)


class ClipDap(Schedule):
    """CLIP, and from its full size on Drop-and-Pick: the growth is the warm-up. In neither paper.

    The arguments are those of `Clip` and of `DropAndPick`.
    """

    def __init__(
        self,
        samples: int,
        *,
        epochs: int,
        scores: ArrayLike,
        interval: int,
        keep: float = 0.9,
        pick: Sequence[int] = (),
        active: int | None = None,
        pacing: Pace = "quadratic",
        start: float = 0.25,
        pace_end: float = 0.5,
        prune_ratio: float = 0.05,
        seed: int = 0,
    ) -> None:
        growth = Pacing(
            samples=samples,
            epochs=epochs,
            pacing=pacing,
            start=start,
            pace_end=pace_end,
            prune_ratio=prune_ratio,
        )
        cycles = Cycles(
            epochs,
            warm_up=growth.full_after,
            interval=interval,
            keep=keep,
            pick=pick,
            active=active,
        )
        course = PapersCourse("clip-dap", growth, cycles, scores=_scores(scores))
        super().__init__(course, seed=seed)


def _share_size(size: int, ranks: int) -> int:
    """Samples of one rank: as many in all, since ranks step together. Up to `ranks` − 1 samples sit
    an epoch out, others in each; fewer samples than ranks come more than once."""
    return max(1, size // ranks)


def _scores(scores: ArrayLike) -> NDArray[np.float64]:
    return as_array(scores).astype(np.float64)
