"""The day's candidates, its parts, and the cuts by L_conf that several strategies share.

What a strategy makes of them is in `strategies/`, one file each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from culling_pipeline.records.day import StoredFrame
from culling_pipeline.records.labels import Disagreement

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
    check_budget(budget, n_parts)
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


def check_budget(budget: int, n_parts: int = 1) -> None:
    """`ValueError` where a budget or a number of parts makes no sense."""
    if budget < 0:
        message = f"budget: got {budget}, must be 0 or more"
        raise ValueError(message)
    if n_parts < 1:
        message = f"n_parts: got {n_parts}, must be 1 or more"
        raise ValueError(message)


def hardest_of_day(candidates: Candidates, budget: int) -> NDArray[np.int64]:
    """Row numbers of the `budget` hardest frames of the whole day, hardest first."""
    check_budget(budget)
    return candidates.hardest_first()[:budget]


def hardest_of_parts(candidates: Candidates, budget: int) -> NDArray[np.int64]:
    """Row numbers of the `budget` hardest frames, each part of the day having its share."""
    by_id = np.argsort(candidates.ids)  # so that ties by row are ties by id
    rows = cull_by_confidence(
        candidates.losses[by_id], candidates.parts[by_id], budget, n_parts=candidates.n_parts
    )
    return by_id[rows]


def hard_and_drawn(
    candidates: Candidates, budget: int, random_share: float, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Row numbers of `budget` frames, hardest first: some the hardest of each part of the day, and
    a share of them drawn at random."""
    hard = hardest_of_parts(candidates, budget - int(budget * random_share))
    drawn = candidates.drawn
    rest = rng.permutation(drawn[~np.isin(drawn, hard)])[: budget - len(hard)]
    order = candidates.hardest_first()
    return order[np.isin(order, [*hard, *rest])]


def labelled_of(
    candidates: Candidates, disagreements: Sequence[Disagreement], budget: int
) -> tuple[int, ...]:
    """The candidates that the teacher has labelled, hardest first by L_conf, at most `budget`."""
    check_budget(budget)
    labelled = {d.frame_id for d in disagreements}
    hardest = candidates.ids[candidates.hardest_first()].tolist()
    return tuple(i for i in hardest if i in labelled)[:budget]


def by_id(candidates: Candidates, values: Sequence[_Value]) -> dict[int, _Value]:
    """These values, one a candidate, by frame id."""
    return dict(zip(candidates.ids.tolist(), values, strict=True))


def as_ids(ids: NDArray[np.int64]) -> tuple[int, ...]:
    """Frame ids as plain numbers."""
    return tuple(int(i) for i in ids)
