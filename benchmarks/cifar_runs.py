"""The runs of benchmarks/cifar.py: the ways to train that are compared, and one training each."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.book import Row
from benchmarks.cifar_net import BATCH, Data, Learner, draws
from benchmarks.rivals import InfoBatch, SelectiveBackprop
from culling_pipeline.training import Clip, ClipDap, Curriculum, DropAndPick, Schedule, Standard

RATE, DROPS = 0.1, (0.5, 0.75)
SHARE = 0.63
"""DaP's share in its own setting: what the rivals get as well."""
PAPER_EPOCHS = 300
SCORING_SHARE = 0.1
"""The pre-trained model that scores the samples for CLIP trains for this share of the epochs."""


@dataclass(frozen=True)
class Kind:
    """A way to train: `way` is a schedule or a rival, `options` are for 300 epochs."""

    name: str
    way: str
    options: dict[str, Any] = field(default_factory=dict)
    share: float = 1.0
    """Of the epochs (shortened) or of the samples (less data)."""


def dap(name: str, **changes: Any) -> Kind:
    usual = {"warm_up": 40, "interval": 10, "keep": 0.9, "pick": [150], "active": None}
    return Kind(name, "dap", usual | changes)


MAIN = [
    Kind("standard", "standard"),
    dap("dap (63 %)"),
    Kind("shortened to 63 %", "shortened", share=SHARE),
    Kind("InfoBatch", "infobatch"),
    Kind("random dropping, as dap (63 %)", "random", dap("").options),
    dap("dap, p 0.8 (45 %)", keep=0.8),
    dap("dap, I 20 (79 %)", interval=20),
]
OTHERS = [
    Kind("clip, linear", "clip", {"pacing": "linear"}),
    Kind("clip, quadratic", "clip", {"pacing": "quadratic"}),
    Kind("clip-dap", "clip-dap", {"interval": 10, "pick": [150], "pace_end": 40 / 300}),
    Kind("curriculum, quadratic", "curriculum", {}),
    Kind("selective backprop to 63 %", "selective", share=SHARE),
    Kind("shortened to 45 %", "shortened", share=0.45),
    Kind("63 % of the data", "less", share=SHARE),
    Kind("clip, quadratic, hardest left out", "clip", {"prune": "hardest"}),
]
ABLATIONS = [
    dap("a: no warm-up", warm_up=0),
    dap("a: W 90", warm_up=90),
    dap("b: I 5", interval=5),
    dap("c: p 0.7", keep=0.7),
    dap("c: p 0.95", keep=0.95),
    dap("d: active 20", active=20),
    dap("d: active 60", active=60),
    dap("e: no pick", pick=[]),
    dap("e: picks 150, 225", pick=[150, 225]),
    dap("a: W 20", warm_up=20),
    dap("a: W 60", warm_up=60),
    dap("b: I 2", interval=2),
    dap("b: I 15", interval=15),
    dap("b: I 25", interval=25),
    dap("c: p 0.75", keep=0.75),
    dap("c: p 0.85", keep=0.85),
]
KINDS = {kind.name: kind for kind in [*MAIN, *OTHERS, *ABLATIONS]}


def queue_of(seeds: Sequence[int]) -> list[tuple[Kind, int]]:
    """All runs, the most telling first: three seeds of each group, then the main ones' others."""
    first, more = seeds[:3], seeds[3:]
    order = [(k, s) for group in (MAIN, OTHERS, ABLATIONS) for s in first for k in group]
    return order + [(k, s) for s in more for k in MAIN[:5]]


@dataclass(frozen=True)
class Setting:
    """What is the same in all runs."""

    data: Path
    epochs: int
    device: str
    graph: bool
    at_most: int | None
    blocks: int
    width: int
    ends: float
    """The clock (`time.time`) at which everything ends."""

    @property
    def net(self) -> str:
        return f"ResNet-{6 * self.blocks + 2}, {self.width} channels"


class OutOfTime(Exception):
    """The run would not be finished."""


def scaled(options: dict[str, Any], epochs: int) -> dict[str, Any]:
    """Options for 300 epochs, for as many."""
    part = epochs / PAPER_EPOCHS
    given = dict(options)
    for name in ("warm_up", "interval", "active"):
        if given.get(name) is not None:
            least = 0 if name == "warm_up" else 1
            given[name] = max(least, round(given[name] * part))
    if "pick" in given:
        given["pick"] = [max(1, round(epoch * part)) for epoch in given["pick"]]
    return given


def schedule_of(
    kind: Kind, samples: int, epochs: int, seed: int, scores: NDArray[np.float64] | None
) -> Schedule:
    """The schedule of a run, from the public interface."""
    own = scaled(kind.options, epochs)
    if kind.way in ("dap", "random"):
        return DropAndPick(samples, epochs=epochs, seed=seed, **own)
    if kind.way == "infobatch":
        return Schedule(InfoBatch(samples, epochs=epochs, seed=seed), seed=seed)
    if scores is not None:
        with_scores = {"clip": Clip, "clip-dap": ClipDap, "curriculum": Curriculum}[kind.way]
        schedule: Schedule = with_scores(samples, epochs=epochs, scores=scores, seed=seed, **own)
        return schedule
    return Standard(samples, epochs=epochs, seed=seed)


def run(kind: Kind, seed: int, data: Data, setting: Setting) -> Row:
    """Train once: the row."""
    began = time.perf_counter()
    epochs = round(setting.epochs * kind.share) if kind.way == "shortened" else setting.epochs
    samples = np.arange(len(data))
    if kind.way == "less":
        drawn = np.random.default_rng([seed, 61]).permutation(len(data))
        samples = np.sort(drawn[: round(len(data) * kind.share)])
    scores, scoring = None, 0
    if kind.way in ("clip", "clip-dap", "curriculum"):
        scores, scoring = scores_of(seed, data, setting)
    schedule = schedule_of(kind, len(samples), epochs, seed, scores)
    learner = Learner(
        data, seed=seed, graph=setting.graph, blocks=setting.blocks, width=setting.width
    )
    course = train(learner, schedule, kind, seed, samples, setting)
    return {
        "kind": kind.name,
        "seed": seed,
        "epochs": setting.epochs,
        "accuracy": learner.accuracy(),
        **course,
        "share": course["images"] / (len(data) * setting.epochs),
        "scoring_images": scoring,
        "seconds": time.perf_counter() - began,
        "graph": setting.graph,
        "net": setting.net,
    }


def scores_of(seed: int, data: Data, setting: Setting) -> tuple[NDArray[np.float64], int]:
    """How difficult each sample is to a pre-trained model (CLIP, section III), and the images
    that it was trained on."""
    epochs = max(1, round(setting.epochs * SCORING_SHARE))
    learner = Learner(
        data, seed=seed + 1000, graph=setting.graph, blocks=setting.blocks, width=setting.width
    )
    schedule = Standard(len(data), epochs=epochs, seed=seed + 1000)
    every = np.arange(len(data))
    train(learner, schedule, Kind("scoring", "standard"), seed + 1000, every, setting)
    return learner.plain_losses(), len(data) * (epochs + 1)


def train(
    learner: Learner,
    schedule: Schedule,
    kind: Kind,
    seed: int,
    samples: NDArray[np.int64],
    setting: Setting,
) -> Row:
    """The loop: what the public interface asks of one."""
    rng = np.random.default_rng([seed, 62])
    selective = SelectiveBackprop(kind.share, seed=seed) if kind.way == "selective" else None
    sampler = schedule.sampler()
    curve: list[dict[str, float]] = []
    images = looked = 0
    for epoch in schedule:
        if time.time() > setting.ends:
            raise OutOfTime
        rate = RATE * 0.1 ** sum(epoch > drop * schedule.epochs for drop in DROPS)
        order = np.array(list(sampler))
        drawn = draws(len(order), rng)
        if selective:
            losses, trained = selected(learner, selective, order, drawn, rate)
            looked += len(order)
        else:
            weights = infobatch_weights(kind, schedule, epoch, order)
            losses = learner.train(samples[order], drawn, rate=rate, weights=weights)
            trained = len(order)
        schedule.observe(order, rng.random(len(order)) if kind.way == "random" else losses)
        images += trained
        every = max(1, schedule.epochs // 15)
        if epoch % every == 0 or epoch == schedule.epochs:
            point = {"epoch": epoch, "images": images, "loss": float(losses.mean())}
            curve.append({**point, "accuracy": learner.accuracy()})
    return {"images": images, "looked_at": looked, "curve": curve}


def infobatch_weights(
    kind: Kind, schedule: Schedule, epoch: int, order: NDArray[np.int64]
) -> NDArray[np.float64] | None:
    if kind.way != "infobatch":
        return None
    course: Any = schedule.course
    weights: NDArray[np.float64] = course.weights(epoch)[order]
    return weights


def selected(
    learner: Learner,
    selective: SelectiveBackprop,
    order: NDArray[np.int64],
    drawn: NDArray[np.int64],
    rate: float,
) -> tuple[NDArray[np.float64], int]:
    """An epoch of selective backprop: batches are full before they are trained on, but the last.
    The losses of all, and how many were trained on."""
    losses = np.zeros(len(order))
    waiting = np.empty(0, np.int64)
    trained = 0
    for part, found in learner.looks(order, drawn):
        losses[part] = found
        waiting = np.append(waiting, part.start + np.flatnonzero(selective.chosen(found)))
        while len(waiting) >= BATCH or (part.stop == len(order) and len(waiting)):
            now, waiting = waiting[:BATCH], waiting[BATCH:]
            learner.train(order[now], drawn[now], rate=rate)
            trained += len(now)
    return losses, trained
