"""The arms of `benchmarks/real_days.py`: which frames of a day are labelled, one short function for
each strategy, and what a night of it costs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from culling_pipeline.culling.candidates import Candidates, parts_of_day
from culling_pipeline.culling.strategies import STRATEGIES
from culling_pipeline.culling.strategies.strata import cull_by_disagreement
from culling_pipeline.tasks.boxes.disagreement import disagreement
from jobs.config.night import ConfidenceSettings, CullingSettings
from jobs.config.weights import StudentSettings
from models.boxes.detections import Detections

LOSS = ConfidenceSettings().to_plan()
MIN_SCORE = StudentSettings().min_score
PARTS = CullingSettings().parts
DAY_S = 86_400.0


@dataclass(frozen=True, eq=False)
class View:
    """What a choice may look at: F frames of a day, by row. `looks` (F×D float32) are the pictures
    in little, `known` (K×D) those of the frames trained on before; `labels` may only be read by a
    strategy that pays for all of them."""

    times_s: NDArray[np.float64]
    student: list[Detections]
    looks: NDArray[np.float32]
    known: NDArray[np.float32]
    labels: list[Detections]
    n_classes: int

    @property
    def losses(self) -> NDArray[np.float64]:
        """L_conf of each frame."""
        return np.array([LOSS.loss_of(d) for d in self.student])

    @property
    def candidates(self) -> Candidates:
        """The frames as the program's strategies take them."""
        return Candidates(
            ids=np.arange(len(self.times_s)),
            losses=self.losses,
            parts=parts_of_day(self.times_s, start_s=0.0, end_s=DAY_S, parts=PARTS),
            times_s=self.times_s,
            n_parts=PARTS,
        )

    @property
    def confidence(self) -> NDArray[np.float64]:
        """The mean score of each frame's detections that count in L_conf; 0 without any."""
        counted = [d.above(LOSS.min_score).scores for d in self.student]
        return np.array([float(s.mean()) if len(s) else 0.0 for s in counted])


Selection = Callable[[View, int, np.random.Generator], tuple[int, ...]]
"""Rows to label and train on, at most so many."""


def lottery(view: View, budget: int, rng: np.random.Generator) -> tuple[int, ...]:
    """Drawn at random."""
    return _rows(rng.permutation(len(view.times_s))[:budget])


def survivors(view: View, budget: int, rng: np.random.Generator) -> tuple[int, ...]:
    """In each part of the day those the student is least sure of: the program's default."""
    return STRATEGIES["strata"].survivors(view.candidates, budget, rng)


def half(view: View, budget: int, rng: np.random.Generator) -> tuple[int, ...]:
    """One half by L_conf, the other drawn at random."""
    return STRATEGIES["coverage"].survivors(view.candidates, budget, rng)


def confident(view: View, budget: int, rng: np.random.Generator) -> tuple[int, ...]:
    """Those the student is most sure of, twice as many as wanted, then the most different of them
    (stream-based active distillation)."""
    surest = np.argsort(-view.confidence, kind="stable")[: 2 * budget]
    return _rows(surest[_farthest(view.looks[surest], None, budget)])


def diverse(view: View, budget: int, rng: np.random.Generator) -> tuple[int, ...]:
    """Those least like each other, whatever the student says: no look is needed."""
    return _rows(_farthest(view.looks, None, budget))


def novel(view: View, budget: int, rng: np.random.Generator) -> tuple[int, ...]:
    """Those least like each other and like the frames trained on before: no look is needed."""
    return _rows(_farthest(view.looks, view.known, budget))


def disagreeing(view: View, budget: int, rng: np.random.Generator) -> tuple[int, ...]:
    """All labelled, kept where student and teacher differ most, in each part of the day."""
    found = [
        disagreement(i, s, t, n_classes=view.n_classes, student_min_score=MIN_SCORE)
        for i, (s, t) in enumerate(zip(view.student, view.labels, strict=True))
    ]
    parts = dict(enumerate(view.candidates.parts.tolist()))
    losses = dict(enumerate(view.losses.tolist()))
    return cull_by_disagreement(found, parts, budget, n_parts=PARTS, losses=losses)


@dataclass(frozen=True)
class Arm:
    """A strategy, night after night. `looks`: the student looks at all frames. `labels_all`: all
    are labelled. `trains_all`: all are trained on. `refund`: what looks would cost is spent on
    more labels and images. `replay`: half of the images are of frames chosen before."""

    choose: Selection
    looks: bool = False
    labels_all: bool = False
    trains_all: bool = False
    refund: bool = False
    replay: bool = False


ARMS: Mapping[str, Arm] = {
    "nightly": Arm(survivors, looks=True),
    "lottery": Arm(lottery, refund=True),
    "memory": Arm(lottery, refund=True, replay=True),
    "nightly and memory": Arm(survivors, looks=True, replay=True),
    "everything": Arm(lottery, labels_all=True, trains_all=True),
    "half": Arm(half, looks=True),
    "confident": Arm(confident, looks=True),
    "diverse": Arm(diverse, refund=True),
    "novel": Arm(novel, refund=True),
    "disagreeing": Arm(disagreeing, looks=True, labels_all=True),
}


@dataclass(frozen=True)
class Seconds:
    """CPU seconds of a look, a label and a training image at a place."""

    look: float
    label: float
    image: float

    def cost(self, *, looks: int, labels: int, images: int) -> float:
        """What so many cost together."""
        return looks * self.look + labels * self.label + images * self.image


@dataclass(frozen=True)
class Budget:
    """A night's labels and images shown."""

    labels: int
    images: int

    def of_arm(self, arm: Arm, frames: int, seconds: Seconds) -> Budget:
        """The arm's share at equal total cost: who does not look gets more labels and images, in
        the same proportion."""
        factor = 1.0
        if arm.refund:
            spent = seconds.cost(looks=0, labels=self.labels, images=self.images)
            factor = (spent + frames * seconds.look) / spent
        return Budget(min(frames, round(self.labels * factor)), round(self.images * factor))


def _farthest(
    looks: NDArray[np.float32], known: NDArray[np.float32] | None, budget: int
) -> NDArray[np.int64]:
    """Row numbers, each time the one farthest from all taken (and from `known`); first the one
    nearest to the middle where nothing is known."""
    taken: list[int] = []
    if known is None or not len(known):
        taken.append(int(_distances(looks, looks.mean(axis=0, keepdims=True))[:, 0].argmin()))
        nearest = _distances(looks, looks[taken])[:, 0]
    else:
        nearest = _distances(looks, known).min(axis=1)
    while len(taken) < min(budget, len(looks)):
        nearest[taken] = -1.0
        taken.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, _distances(looks, looks[taken[-1:]])[:, 0])
    return np.array(taken, np.int64)


def _distances(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float64]:
    squares = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1)[None] - 2 * a @ b.T
    return np.asarray(np.sqrt(np.clip(squares, 0, None)), np.float64)


def _rows(rows: NDArray[np.int64]) -> tuple[int, ...]:
    return tuple(sorted(int(row) for row in rows))
