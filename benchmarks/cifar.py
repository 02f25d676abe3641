"""What the schedules buy on CIFAR10-5000, beside what people would use instead.

    python -m benchmarks.cifar --data cifar10_5000.npz --out benchmarks/results/cifar.json \\
        --minutes 8 --workers 4

Drop-and-Pick's Table 2 (a–f) and Table 4 in miniature: a ResNet-20, 300 epochs, batches of 128, the
learning rate of 0.1 falls to a tenth after half and after three quarters of them; shifted and
mirrored pictures. Then CLIP, and the rivals of benchmarks/rivals.py. All go through the interface
of `culling_pipeline.training`. Needs torch and NumPy only, and runs on a bare machine: `--device
auto` takes a GPU if there is one. A finished run is a row in the file at once; the same command
goes on where it stopped. Ends by itself before the minutes are over, with a table beside the file.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import platform
import queue
import time
import traceback
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.book import Book, Row
from benchmarks.cifar_net import BATCH, Data, Learner, draws
from benchmarks.rivals import InfoBatch, SelectiveBackprop
from culling_pipeline.training import Clip, ClipDap, Curriculum, DropAndPick, Schedule, Standard

RATE, DROPS = 0.1, (0.5, 0.75)
SHARE = 0.63
"""DaP's share in its own setting: what the rivals get as well."""
PAPER_EPOCHS = 300
SCORING_SHARE = 0.1
"""The pre-trained model that scores the samples for CLIP trains for this share of the epochs."""
KEYS = ("kind", "seed", "epochs", "net")
SAVING_S = 10.0
"""Seconds before the end that are left for writing."""


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
        return with_scores(samples, epochs=epochs, scores=scores, seed=seed, **own)
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


# ------------------------------------------------------------------ the processes


def work(setting: Setting, todo: Any, done: Any) -> None:
    """One process: runs until there is none left, or no time for one."""
    torch.set_num_threads(1)
    torch.backends.cudnn.benchmark = True
    try:
        data = Data(setting.data, torch.device(setting.device), at_most=setting.at_most)
        longest = 0.0
        while True:
            name, seed = todo.get(timeout=5)  # without a wait, a busy queue looks empty
            began = time.time()
            if began + longest > setting.ends:
                break
            row = run(KINDS[name], seed, data, setting)
            done.put(json.loads(json.dumps(row, default=plain)))
            longest = max(longest, 0.5 * (time.time() - began))  # half: others may be shorter
    except (queue.Empty, OutOfTime):
        pass
    except Exception:
        done.put({"failed": traceback.format_exc()})
    done.put(None)


def plain(value: Any) -> Any:
    """A NumPy number as JSON has it: a run on a GPU must not be lost by its last line."""
    if isinstance(value, np.generic):
        return value.item()
    message = f"{type(value).__name__} has no place in a row"
    raise TypeError(message)


def measure(setting: Setting, runs: Sequence[tuple[Kind, int]], book: Book, workers: int) -> None:
    """Have the runs done by processes; a row is written as soon as it is there."""
    context = multiprocessing.get_context("spawn")
    todo, done = context.Queue(), context.Queue()
    for kind, seed in runs:
        todo.put((kind.name, seed))
    here = {"device": device_name(setting.device), "torch": str(torch.__version__)}
    processes = [context.Process(target=work, args=(setting, todo, done)) for _ in range(workers)]
    for process in processes:
        process.start()
    working = len(processes)
    while working and time.time() < setting.ends:
        try:
            row = done.get(timeout=max(0.1, setting.ends - time.time()))
        except queue.Empty:
            break
        if row is None:
            working -= 1
        elif "failed" in row:
            print(row["failed"], flush=True)
        else:
            book.add(row | here | {"workers": workers})
            print(f"{row['kind']}, seed {row['seed']}: {row['accuracy']:.4f}, "
                  f"{row['share']:.1%}, {row['seconds']:.0f} s", flush=True)  # fmt: skip
    todo.cancel_join_thread()
    for process in processes:
        process.terminate()
        process.join()


def device_name(device: str) -> str:
    cuda = device.startswith("cuda")
    return torch.cuda.get_device_name() if cuda else f"CPU ({platform.machine()})"


def graph_works(setting: Setting) -> bool:
    """Whether a step can be captured here, and does what the plain one does."""
    if not setting.graph:
        return False
    try:
        data = Data(setting.data, torch.device(setting.device), at_most=4 * BATCH)
        order = np.arange(len(data))
        drawn = draws(len(order), np.random.default_rng(0))
        found = []
        for graph in (False, True):
            learner = Learner(data, seed=0, graph=graph, blocks=setting.blocks, width=setting.width)
            for _ in range(3):
                losses = learner.train(order, drawn, rate=0.01)
            found.append(float(losses.mean()))
        print(f"mean loss of the plain step {found[0]:.4f}, of the captured {found[1]:.4f}")
        return alike(*found)
    except Exception:
        print("a step cannot be captured here:", traceback.format_exc(), sep="\n", flush=True)
        return False


def alike(plain: float, captured: float) -> bool:
    """Whether two steps did the same, but for the order of their sums."""
    return abs(plain - captured) < 0.05 * plain


# ------------------------------------------------------------------ the table

QUANTILES = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
"""Student's t at 97.5 % for 1 to 9 degrees of freedom."""


def table(rows: Sequence[Row]) -> str:
    """Mean accuracy by kind, and the difference from standard training of the same seed in points,
    with its 95 % interval (Student's t over the seeds)."""
    by_kind: dict[str, dict[int, Row]] = defaultdict(dict)
    for row in rows:
        by_kind[row["kind"]][row["seed"]] = row
    base = by_kind.get("standard", {})
    lines = [
        "| kind | runs | accuracy, % | against standard, points | images, share | seconds |",
        "|---|---|---|---|---|---|",
    ]
    for name in [name for name in KINDS if name in by_kind]:
        found = by_kind[name]
        mean = 100 * float(np.mean([r["accuracy"] for r in found.values()]))
        pairs = [
            100 * (row["accuracy"] - base[seed]["accuracy"])
            for seed, row in found.items()
            if seed in base and name != "standard"
        ]
        share = float(np.mean([r["share"] for r in found.values()]))
        seconds = float(np.mean([r["seconds"] for r in found.values()]))
        lines.append(
            f"| {name} | {len(found)} | {mean:.2f} | {interval(pairs)} "
            f"| {share:.1%} | {seconds:.0f} |"
        )
    return "\n".join(lines) + "\n"


def interval(values: Sequence[float]) -> str:
    if len(values) < 2:
        return f"{values[0]:+.2f}" if values else "–"
    quantile = QUANTILES[min(len(values) - 1, len(QUANTILES)) - 1]
    half = quantile * np.std(values, ddof=1) / np.sqrt(len(values))
    return f"{np.mean(values):+.2f} ± {half:.2f}"


def main() -> None:
    began = time.time()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=8.0, help="ends before they are over")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--epochs", type=int, default=PAPER_EPOCHS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--kinds", nargs="+", choices=[*KINDS], metavar="KIND", help="only these")
    parser.add_argument("--eager", action="store_true", help="no CUDA graphs")
    parser.add_argument("--samples", type=int, help="only so many: to try it out")
    parser.add_argument("--blocks", type=int, default=3, help="6 · blocks + 2 layers")
    parser.add_argument("--width", type=int, default=16, help="channels of the first layers")
    args = parser.parse_args()
    device = args.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    ends = began + 60 * args.minutes - SAVING_S
    setting = Setting(
        args.data, args.epochs, device, device == "cuda" and not args.eager, args.samples,
        args.blocks, args.width, ends,
    )  # fmt: skip
    setting = Setting(**{**vars(setting), "graph": graph_works(setting)})
    book = Book(args.out, KEYS)
    runs = [
        (kind, seed)
        for kind, seed in queue_of(args.seeds)
        if (not args.kinds or kind.name in args.kinds)
        and not book.has(kind=kind.name, seed=seed, epochs=args.epochs, net=setting.net)
    ]
    measure(setting, runs, book, args.workers)
    same = {"epochs": args.epochs, "net": setting.net}
    text = table([row for row in book.rows if all(row[k] == v for k, v in same.items())])
    args.out.with_suffix(".md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
