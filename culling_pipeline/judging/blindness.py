"""What the student does not see at all: found by the teacher, missed by the student.

L_conf cannot tell: where the student finds nothing, it is not unsure. The control slice is drawn at
random over the whole day, so its share of missed objects is an honest one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, tzinfo

import numpy as np
from numpy.typing import NDArray

from culling_pipeline.records.day import StoredFrame
from culling_pipeline.records.labels import BlindSpot, Disagreement

DRAWS = 1000
_HOURS = 4
"""Hours of the clock that are counted together."""

_Counts = dict[int, list[int]]


def blindness(
    frames: Sequence[StoredFrame],
    found: Sequence[Disagreement],
    *,
    blocks: Sequence[int],
    class_names: Sequence[str],
    rng: np.random.Generator,
    zone: tzinfo = UTC,
) -> tuple[BlindSpot, ...]:
    """Missed objects of the control slice: all, by class, and by hours of the day (in `zone`).
    `blocks` names the stretch of time of each frame; the interval draws whole ones. Empty for a
    task whose answers have no classes, or without an object."""
    spots: dict[tuple[str, int | None], _Counts] = defaultdict(lambda: defaultdict(lambda: [0, 0]))
    for frame, errors, block in zip(frames, found, blocks, strict=True):
        hour = frame.wall_time.astimezone(zone).hour // _HOURS * _HOURS
        for label, missed in _objects(errors):
            for name in (("", None), (class_names[label], None), ("", hour)):
                objects = spots[name][block]
                objects[0] += 1
                objects[1] += missed
    return tuple(
        _spot(*name, np.array(list(counts.values()), np.int64), rng)
        for name, counts in sorted(spots.items(), key=lambda item: _order(item[0], class_names))
    )


def _objects(errors: Disagreement) -> Iterator[tuple[int, bool]]:
    """The teacher's objects: class, and whether the student missed it."""
    yield from ((label, False) for label in errors.found_labels)
    yield from ((label, True) for label in errors.missed_labels)


def _order(name: tuple[str, int | None], class_names: Sequence[str]) -> tuple[int, int]:
    label, hour = name
    return (-1 if hour is None else hour, class_names.index(label) if label else -1)


def _spot(
    label: str, hour: int | None, counts: NDArray[np.int64], rng: np.random.Generator
) -> BlindSpot:
    """B×2 int64 objects and missed ones, a row a block, with the bootstrap's 95 % interval."""
    drawn = counts[rng.integers(len(counts), size=(DRAWS, len(counts)))].sum(axis=1)
    low, high = np.quantile(drawn[:, 1] / drawn[:, 0], (0.025, 0.975))
    objects, missed = (int(n) for n in counts.sum(axis=0))
    return BlindSpot(
        label=label,
        hours=None if hour is None else (hour, hour + _HOURS),
        objects=objects,
        missed=missed,
        low=float(low),
        high=float(high),
    )
