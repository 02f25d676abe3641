"""Which frames of the day to keep: the culling strategies, one small class each.

A strategy decides twice. `survivors` picks, by what the student alone says, the frames the teacher
gets to see; `keep` picks from those, knowing where the two differ, the frames to train on. To add
a strategy, write such a class here and name it in `STRATEGIES`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from culling_pipeline.coverage import cull_by_coverage
from culling_pipeline.records import Disagreement, StoredFrame

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """The day's frames to choose from, one row each: N int64 `ids`, N float64 `losses` (L_conf),
    N int64 `parts` of the day (0…`n_parts` − 1) and N float64 `times_s`. N may be 0.

    `drawn_ids` are those of them that are a plain random draw of the day, for the strategies that
    want one: on disk lie mostly the hard frames. None: all of them are (nothing was thrown away).
    """

    ids: NDArray[np.int64]
    losses: NDArray[np.float64]
    parts: NDArray[np.int64]
    times_s: NDArray[np.float64]
    n_parts: int
    drawn_ids: frozenset[int] | None = None

    def __post_init__(self) -> None:
        rows = {len(self.ids), len(self.losses), len(self.parts), len(self.times_s)}
        if len(rows) != 1:
            message = f"ids, losses, parts and times_s must be of one length, got {sorted(rows)}"
            raise ValueError(message)
        if len(np.unique(self.ids)) != len(self.ids):
            message = "ids must be unique: a frame would be kept twice"
            raise ValueError(message)

    @classmethod
    def from_frames(
        cls,
        frames: Sequence[StoredFrame],
        *,
        n_parts: int,
        drawn_ids: frozenset[int] | None = None,
    ) -> Candidates:
        """The frames of an ingest record as candidates."""
        return cls(
            ids=np.array([frame.id for frame in frames], np.int64),
            losses=np.array([frame.confidence_loss for frame in frames], np.float64),
            parts=np.array([frame.part for frame in frames], np.int64),
            times_s=np.array([frame.time_s for frame in frames], np.float64),
            n_parts=n_parts,
            drawn_ids=drawn_ids,
        )

    @property
    def drawn(self) -> NDArray[np.int64]:
        """Row numbers of the random draw, by id."""
        rows = np.argsort(self.ids)
        if self.drawn_ids is None:
            return rows
        return rows[np.isin(self.ids[rows], list(self.drawn_ids))]

    def hardest_first(self) -> NDArray[np.int64]:
        """Row numbers by L_conf, highest first, ties by id."""
        return np.lexsort((self.ids, -self.losses))


class Strategy(Protocol):
    """How to cull. Both steps return frame ids, hardest first (or in the order the strategy
    has, where it knows no hardness): at most `budget`, all there are when there are fewer."""

    @property
    def uses_teacher(self) -> bool:
        """Whether `keep` looks at the disagreements. Where it does not, let the teacher label
        only as many frames as are kept: the rest would be paid for nothing."""

    def survivors(
        self, candidates: Candidates, budget: int, rng: np.random.Generator
    ) -> tuple[int, ...]:
        """The frames that the teacher is to label."""

    def keep(
        self,
        candidates: Candidates,
        disagreements: Sequence[Disagreement],
        budget: int,
        rng: np.random.Generator,
    ) -> tuple[int, ...]:
        """The frames to train on, out of those with a disagreement."""


def parts_of_day(
    times_s: NDArray[np.float64], *, start_s: float, end_s: float, parts: int
) -> NDArray[np.int64]:
    """The equal part of the day (0…`parts` − 1) that each time lies in: N int64.

    A part includes its beginning and not its end. Times outside the day, of a frame that came a
    little early or late, belong to the first or the last part.
    """
    if parts < 1:
        message = f"parts: got {parts}, must be 1 or more"
        raise ValueError(message)
    if not end_s > start_s:
        message = f"end_s: got {end_s}, must be after start_s = {start_s}"
        raise ValueError(message)
    position = (np.asarray(times_s, np.float64) - start_s) / (end_s - start_s) * parts
    part: NDArray[np.int64] = np.clip(np.floor(position), 0, parts - 1).astype(np.int64)
    return part


def cull_by_confidence(
    losses: NDArray[np.float64],
    parts: NDArray[np.int64],
    budget: int,
    *,
    n_parts: int,
) -> NDArray[np.int64]:
    """Row numbers of the `budget` frames to survive, hardest first, ties by row.

    Every part of the day gets the same share, filled with its hardest frames by L_conf; what a
    part cannot fill, and the remainder of the division, goes to the hardest of the rest.

    Why not simply the hardest of the day: L_conf is a sum over detections and correlates 0.82
    with the number of objects in the frame, so the whole budget would go to the rush hour, and
    the night, where the student is worst, would be left out.
    """
    _check(budget, n_parts)
    if len(parts) and not ((parts >= 0) & (parts < n_parts)).all():
        message = f"parts: got {parts.min()}…{parts.max()}, must lie in 0…{n_parts - 1}"
        raise ValueError(message)
    order = np.argsort(-losses, kind="stable")
    rank_in_part = np.empty(len(order), np.int64)
    for part in range(n_parts):
        mine = order[parts[order] == part]
        rank_in_part[mine] = np.arange(len(mine))
    share = budget // n_parts
    has_place = rank_in_part[order] < share
    chosen = np.concatenate([order[has_place], order[~has_place]])[:budget]
    return chosen[np.lexsort((chosen, -losses[chosen]))]


def cull_by_disagreement(
    disagreements: Sequence[Disagreement],
    parts: Mapping[int, int],
    budget: int,
    *,
    n_parts: int,
    losses: Mapping[int, float],
) -> tuple[int, ...]:
    """Ids of the `budget` frames to train on, hardest first; `parts` and `losses` go by frame id.

    A frame is as hard as the number of objects the student missed or invented in it, ties by
    L_conf, then by id. Every part of the day gets the same share of frames with an error. Each
    place that a part cannot fill goes to the part with the most errors still left. Only when no
    erring frame is left is the budget filled with frames without one, by L_conf.

    Why not the paper's average precision: precision is a ratio, so a frame with its one object
    missed (AP 0) goes before a frame with three of ten missed, from which there is three times
    as much to learn. Over a whole day the paper's order lost to random frames when measured.
    """
    _check(budget, n_parts)
    errors = {d.frame_id: d.missed + d.invented for d in disagreements}
    order = sorted(errors, key=lambda i: (-errors[i], -losses[i], i))
    queues = [[i for i in order if errors[i] > 0 and parts[i] == part] for part in range(n_parts)]
    share = budget // n_parts
    kept = {i for queue in queues for i in queue[:share]}
    left = [queue[share:] for queue in queues]
    kept |= set(_by_errors_left(left, errors, budget - len(kept)))
    clean = [i for i in order if errors[i] == 0]  # by L_conf already
    kept |= set(clean[: budget - len(kept)])
    return tuple(i for i in order if i in kept)


def _by_errors_left(queues: list[list[int]], errors: Mapping[int, int], places: int) -> list[int]:
    """Hands out `places` one by one: each to the first frame of the queue with most errors."""
    waiting = [list(reversed(queue)) for queue in queues]
    sums = [sum(errors[i] for i in queue) for queue in queues]
    chosen: list[int] = []
    while len(chosen) < places and any(sums):
        part = sums.index(max(sums))
        chosen.append(waiting[part].pop())
        sums[part] -= errors[chosen[-1]]
    return chosen


@dataclass(frozen=True, slots=True)
class Coverage:
    """Half of the frames the teacher sees are the hardest of each part of the day, half are drawn
    at random, for L_conf is blind to what the student does not see at all; kept are those that
    together show the most of what the student gets wrong. See `cull_by_coverage`."""

    uses_teacher: bool = True
    random_share: float = 0.5

    def survivors(
        self, candidates: Candidates, budget: int, rng: np.random.Generator
    ) -> tuple[int, ...]:
        _check(budget)
        by_id = np.argsort(candidates.ids)
        hard = cull_by_confidence(
            candidates.losses[by_id],
            candidates.parts[by_id],
            budget - int(budget * self.random_share),
            n_parts=candidates.n_parts,
        )
        hard = by_id[hard]
        drawn = candidates.drawn
        rest = rng.permutation(drawn[~np.isin(drawn, hard)])[: budget - len(hard)]
        ids, losses = candidates.ids, candidates.losses
        rows = np.concatenate([hard, rest])
        return _ids(ids[rows[np.lexsort((ids[rows], -losses[rows]))]])

    def keep(
        self,
        candidates: Candidates,
        disagreements: Sequence[Disagreement],
        budget: int,
        rng: np.random.Generator,
    ) -> tuple[int, ...]:
        return cull_by_coverage(
            disagreements,
            _by_id(candidates, candidates.parts.tolist()),
            budget,
            losses=_by_id(candidates, candidates.losses.tolist()),
        )


@dataclass(frozen=True, slots=True)
class ConfidenceOnly:
    """The first stage of Dataset Culling alone, over the whole day (its Table 2, "confidence"):
    the hardest frames by L_conf. The teacher labels no more than what is kept."""

    uses_teacher: bool = False

    def survivors(
        self, candidates: Candidates, budget: int, rng: np.random.Generator
    ) -> tuple[int, ...]:
        _check(budget)
        return _ids(candidates.ids[candidates.hardest_first()[:budget]])

    def keep(
        self,
        candidates: Candidates,
        disagreements: Sequence[Disagreement],
        budget: int,
        rng: np.random.Generator,
    ) -> tuple[int, ...]:
        _check(budget)
        labelled = {d.frame_id for d in disagreements}
        hardest = candidates.ids[candidates.hardest_first()].tolist()
        return tuple(i for i in hardest if i in labelled)[:budget]


@dataclass(frozen=True, slots=True)
class Strata:
    """The default: equal parts of the day, in each the hardest by L_conf, then by the number of
    objects missed or invented. See `cull_by_confidence` and `cull_by_disagreement` for why."""

    uses_teacher: bool = True

    def survivors(
        self, candidates: Candidates, budget: int, rng: np.random.Generator
    ) -> tuple[int, ...]:
        by_id = np.argsort(candidates.ids)  # so that ties by row are ties by id
        rows = cull_by_confidence(
            candidates.losses[by_id], candidates.parts[by_id], budget, n_parts=candidates.n_parts
        )
        return _ids(candidates.ids[by_id][rows])

    def keep(
        self,
        candidates: Candidates,
        disagreements: Sequence[Disagreement],
        budget: int,
        rng: np.random.Generator,
    ) -> tuple[int, ...]:
        return cull_by_disagreement(
            disagreements,
            _by_id(candidates, candidates.parts.tolist()),
            budget,
            n_parts=candidates.n_parts,
            losses=_by_id(candidates, candidates.losses.tolist()),
        )


@dataclass(frozen=True, slots=True)
class Paper:
    """Dataset Culling, sec. 2.1, as printed: the whole day at once, by L_conf, then by the lowest
    average precision, ties by L_conf. It crowds where the day is busiest and, precision being a
    ratio, prefers frames with one missed object; kept to compare with."""

    uses_teacher: bool = True

    def survivors(
        self, candidates: Candidates, budget: int, rng: np.random.Generator
    ) -> tuple[int, ...]:
        _check(budget)
        return _ids(candidates.ids[candidates.hardest_first()[:budget]])

    def keep(
        self,
        candidates: Candidates,
        disagreements: Sequence[Disagreement],
        budget: int,
        rng: np.random.Generator,
    ) -> tuple[int, ...]:
        _check(budget)
        losses = _by_id(candidates, candidates.losses.tolist())
        order = sorted(
            disagreements, key=lambda d: (d.average_precision, -losses[d.frame_id], d.frame_id)
        )
        return tuple(d.frame_id for d in order[:budget])


@dataclass(frozen=True, slots=True)
class Random:
    """Frames drawn at random: what every strategy has to beat at the same cost."""

    uses_teacher: bool = False

    def survivors(
        self, candidates: Candidates, budget: int, rng: np.random.Generator
    ) -> tuple[int, ...]:
        _check(budget)
        return _ids(rng.permutation(candidates.ids[candidates.drawn])[:budget])

    def keep(
        self,
        candidates: Candidates,
        disagreements: Sequence[Disagreement],
        budget: int,
        rng: np.random.Generator,
    ) -> tuple[int, ...]:
        _check(budget)
        ids = np.sort(np.array([d.frame_id for d in disagreements], np.int64))
        return _ids(rng.permutation(ids)[:budget])


@dataclass(frozen=True, slots=True)
class Uniform:
    """Frames evenly spaced in time, in order of time: the paper's "intermittent sampling"."""

    uses_teacher: bool = False

    def survivors(
        self, candidates: Candidates, budget: int, rng: np.random.Generator
    ) -> tuple[int, ...]:
        _check(budget)
        drawn = candidates.drawn
        rows = _evenly(candidates.times_s[drawn], candidates.ids[drawn], budget)
        return _ids(candidates.ids[drawn][rows])

    def keep(
        self,
        candidates: Candidates,
        disagreements: Sequence[Disagreement],
        budget: int,
        rng: np.random.Generator,
    ) -> tuple[int, ...]:
        _check(budget)
        times = _by_id(candidates, candidates.times_s.tolist())
        ids = np.array([d.frame_id for d in disagreements], np.int64)
        times_s = np.array([times[i] for i in ids.tolist()], np.float64)
        return _ids(ids[_evenly(times_s, ids, budget)])


STRATEGIES: dict[str, Strategy] = {
    "strata": Strata(),
    "coverage": Coverage(),
    "paper": Paper(),
    "confidence_only": ConfidenceOnly(),
    "random": Random(),
    "uniform": Uniform(),
}
"""All strategies by the name they have in the configuration; the first is the default."""


def build_strategy(name: str) -> Strategy:
    """The strategy of that name; `ValueError` names those there are."""
    if name not in STRATEGIES:
        message = f"strategy: got {name!r}, must be one of {', '.join(STRATEGIES)}"
        raise ValueError(message)
    return STRATEGIES[name]


def _evenly(times_s: NDArray[np.float64], ids: NDArray[np.int64], budget: int) -> NDArray[np.int64]:
    """Rows of `budget` different frames, in order of time: for each of `budget` equally distant
    moments the nearest frame that is later than the one before. Each moment lies in the middle
    of its share of the time covered."""
    order = np.lexsort((ids, times_s))
    if budget >= len(order):
        return order
    times = times_s[order]
    if budget == 0:
        return order[:0]
    moments = times[0] + (np.arange(budget) + 0.5) / budget * (times[-1] - times[0])
    chosen: list[int] = []
    last = -1
    for done, moment in enumerate(moments):
        nearest = int(np.abs(times - moment).argmin())
        latest = len(order) - (budget - done)  # the frames after must do for the moments after
        last = min(max(nearest, last + 1), latest)
        chosen.append(last)
    return order[chosen]


def _by_id(candidates: Candidates, values: Sequence[_Value]) -> dict[int, _Value]:
    return dict(zip(candidates.ids.tolist(), values, strict=True))


def _ids(ids: NDArray[np.int64]) -> tuple[int, ...]:
    return tuple(int(i) for i in ids)


def _check(budget: int, n_parts: int = 1) -> None:
    if budget < 0:
        message = f"budget: got {budget}, must be 0 or more"
        raise ValueError(message)
    if n_parts < 1:
        message = f"n_parts: got {n_parts}, must be 1 or more"
        raise ValueError(message)
