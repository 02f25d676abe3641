"""`culling plan --groups`: which cameras should share a student, by their last nights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from culling_pipeline.groups.cross import Crossed, Looks, cross
from culling_pipeline.groups.proposal import Alone, Line, propose, trial
from culling_pipeline.report.words import figure, percent, signed
from culling_pipeline.run.progress import Progress
from culling_pipeline.run.workers import Workers
from jobs.bucket.sharing import open_registry
from jobs.cameras.detectors import pick_device
from jobs.config.settings import Config
from jobs.database.store import Store
from jobs.errors import UsageError
from jobs.nights.members import Candidate, candidate

LEAST = 0.2
"""With a smaller score on its own control slice a student knows too little to be compared: what it
finds elsewhere says nothing of the cameras (docs/log/2026-11.md)."""
FRAMES = 48
"""Control frames of each camera that are looked at, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupLine:
    """A camera in a proposed group: its own student and the average of the group's on its control
    slice, the difference and its 95 % interval, all 0…1. One training on all frames does better
    than the average."""

    camera: str
    own: float
    shared: float
    gain: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A proposed group. `own_training_s` is what its cameras' last nights trained, `training_s`
    what one training takes. `is_one` says that they share a student already."""

    lines: tuple[GroupLine, ...]
    own_training_s: float
    training_s: float
    is_one: bool

    @property
    def cameras(self) -> list[str]:
        """Their names."""
        return [line.camera for line in self.lines]


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups:
    """The proposal: groups, why each other camera is in none, the cross performance (student →
    camera → score) and what it took."""

    groups: tuple[Group, ...]
    alone: dict[str, str]
    scores: dict[str, dict[str, float]]
    looks: int
    seconds: float


def groups_of(config: Config, store: Store, progress: Progress) -> Groups:
    """Look at every camera's last night; nothing is labelled or trained."""
    torch.set_num_threads(1)
    found, alone = _candidates(config, store)
    device = pick_device(config.device)
    groups, scores = list[Group](), dict[str, dict[str, float]]()
    with Workers(1 if device == "cuda" else config.workers) as workers:
        looks = Looks(workers, device=device, progress=progress)
        for some in _sets(found):
            if len(some) == 1:
                alone[some[0].camera.name] = _unlike(some[0], found)
                continue
            crossed = cross([c.member for c in some], looks)
            proposal = propose(between_able(crossed), trial(crossed, looks))
            groups += [_group(some, lines) for lines in proposal.groups]
            alone |= {some[a.camera].camera.name: _why(crossed, a) for a in proposal.alone}
            scores |= _scores(crossed)
    return Groups(
        groups=tuple(groups),
        alone=alone,
        scores=scores,
        looks=looks.images,
        seconds=looks.seconds,
    )


def _candidates(config: Config, store: Store) -> tuple[list[Candidate], dict[str, str]]:
    """The cameras that can be compared, and why the others cannot."""
    registry = open_registry(config, list(config.cameras))
    found, alone = [], {}
    for name in config.cameras:
        try:
            one = candidate(config, name, store, registry)
            found.append(one.with_frames(FRAMES))
        except UsageError as error:
            alone[name] = (
                str(error).removeprefix(f"camera {name!r} ").removeprefix(f"camera {name!r}: ")
            )
    return found, alone


def _sets(found: Sequence[Candidate]) -> list[list[Candidate]]:
    """The cameras in sets of those that can share a student."""
    sets: list[list[Candidate]] = []
    for one in found:
        fits = [some for some in sets if some[0].why_not_with(one) is None]
        if fits:
            fits[0].append(one)
        else:
            sets.append([one])
    return sets


def _unlike(one: Candidate, found: Sequence[Candidate]) -> str:
    others = [other for other in found if other is not one]
    if not others:
        return "there is no other camera to compare it with yet"
    return f"no other camera can share its student: {others[0].why_not_with(one)}"


def between_able(crossed: Crossed) -> NDArray[np.float64]:
    """The distances; infinite from and to a student that knows too little."""
    weak = np.diag(crossed.scores) < LEAST
    apart = np.where(weak[:, None] | weak[None, :], np.inf, crossed.distances)
    np.fill_diagonal(apart, 0.0)
    return apart


def _group(some: Sequence[Candidate], lines: Sequence[Line]) -> Group:
    members = [some[line.camera] for line in lines]
    own_s = sum(member.training_s for member in members)
    return Group(
        lines=tuple(
            GroupLine(
                camera=some[line.camera].camera.name,
                own=line.comparison.before,
                shared=line.comparison.after,
                gain=line.comparison.gain,
                low=line.comparison.low,
                high=line.comparison.high,
            )
            for line in lines
        ),
        own_training_s=own_s,
        training_s=own_s / len(members),
        is_one=len({member.weights for member in members}) == 1,
    )


def _why(crossed: Crossed, alone: Alone) -> str:
    nearest, own = crossed.members[alone.nearest].camera, crossed.scores[alone.camera, alone.camera]
    if own < LEAST:
        return (
            f"its student finds too little yet to be compared ({figure(own)} on its own control "
            f"slice, {figure(LEAST)} is needed): ask again after further nights"
        )
    if alone.tried is not None:
        c = alone.tried.comparison
        return (
            f"the average of its student and that of {nearest!r} does much worse here: "
            f"{in_points(c.gain)} points, 95 % interval {in_points(c.low)} to {in_points(c.high)}"
        )
    if not np.isfinite(alone.distance):
        return "the students of all other cameras find too little yet to be compared"
    return (
        f"the nearest is {nearest!r}: with each other's student the two lose "
        f"{percent(alone.distance)} of their score"
    )


def in_points(share: float) -> str:
    """A difference of scores in points, with its sign."""
    return signed(100 * share, 1)


def _scores(crossed: Crossed) -> dict[str, dict[str, float]]:
    names = [member.camera for member in crossed.members]
    return {
        name: dict(zip(names, map(float, row), strict=True))
        for name, row in zip(names, crossed.scores, strict=True)
    }
