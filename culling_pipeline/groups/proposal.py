"""Which cameras should share one student, and what each would gain or lose by it.

    cross performance → clusters → the average of each cluster's students, tried on its cameras

A cluster is a guess: where one camera's student does well on another camera, the two look alike.
It is tried with the average of their students, which knows of each camera's day only a part: it is
worse than the student that one training on all frames makes, and says what sharing costs at most.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from culling_pipeline.groups.average import save_average
from culling_pipeline.groups.clusters import Cluster, clusters
from culling_pipeline.groups.cross import Crossed, Looks
from culling_pipeline.tasks.metric import Comparison

NEAR = 0.5
"""Cameras come into one cluster while they lose less than this share of their score, on average,
with each other's students."""
ALLOWED = 0.25
"""The average of students loses up to a tenth of a camera's score where a student trained on all
frames loses nothing, and nine tenths where that one loses half (docs/log/2026-11.md)."""

Try = Callable[[Cluster], Sequence[Comparison]]
"""What one student for these cameras does on each of them, against the camera's own."""


@dataclass(frozen=True, slots=True)
class Line:
    """One camera in a group: its own student against the average, on its control slice."""

    camera: int
    comparison: Comparison

    @property
    def loses(self) -> bool:
        """Whether the average loses more here than averaging does by itself."""
        return self.comparison.gain < -ALLOWED * self.comparison.before


@dataclass(frozen=True, slots=True)
class Alone:
    """A camera that should keep a student of its own: the camera nearest to it, their distance
    and, if it was tried in a group, what it would have lost."""

    camera: int
    nearest: int
    distance: float
    tried: Line | None = None


@dataclass(frozen=True, slots=True)
class Proposal:
    """Groups, as lines of cameras (by their number), and the cameras that stay alone."""

    groups: tuple[tuple[Line, ...], ...]
    alone: tuple[Alone, ...]


def propose(distances: NDArray[np.float64], together: Try, *, near: float = NEAR) -> Proposal:
    """Groups of the cameras with these N×N distances. In each, no camera `loses`: the one that
    loses most is taken out until that is so."""
    groups, failed = [], dict[int, Line]()
    for cluster in clusters(distances, below=near):
        rest = cluster
        while len(rest) > 1:
            lines = tuple(Line(c, r) for c, r in zip(rest, together(rest), strict=True))
            losers = [line for line in lines if line.loses]
            if not losers:
                groups.append(lines)
                break
            worst = min(losers, key=lambda line: line.comparison.gain)
            failed[worst.camera] = worst
            rest = tuple(camera for camera in rest if camera != worst.camera)
    grouped = {line.camera for lines in groups for line in lines}
    alone = [c for c in range(len(distances)) if c not in grouped]
    return Proposal(
        tuple(groups), tuple(_alone(distances, camera, failed.get(camera)) for camera in alone)
    )


def trial(crossed: Crossed, looks: Looks) -> Try:
    """Tries the average of cameras' students on their control slices."""

    def together(cluster: Cluster) -> list[Comparison]:
        members = [crossed.members[i] for i in cluster]
        with TemporaryDirectory() as scratch:
            shared = Path(scratch) / "shared.safetensors"
            save_average(shared, [member.student for member in members])
            said = looks.of(shared, members, name="shared")
        own = [crossed.answers[i][i] for i in cluster]
        return [m.compare(o, s) for m, o, s in zip(members, own, said, strict=True)]

    return together


def _alone(distances: NDArray[np.float64], camera: int, tried: Line | None) -> Alone:
    others = np.where(np.arange(len(distances)) == camera, np.inf, distances[camera])
    nearest = int(np.argmin(others))
    return Alone(camera, nearest, float(others[nearest]), tried)
