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
import multiprocessing
import platform
import queue
import time
import traceback
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.book import Book, Row
from benchmarks.cifar_net import BATCH, Data, Learner, draws
from benchmarks.cifar_runs import KINDS, PAPER_EPOCHS, Kind, OutOfTime, Setting, queue_of, run

KEYS = ("kind", "seed", "epochs", "net")
SAVING_S = 10.0
"""Seconds before the end that are left for writing."""


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
            done.put(run(KINDS[name], seed, data, setting))
            longest = max(longest, 0.5 * (time.time() - began))  # half: others may be shorter
    except (queue.Empty, OutOfTime):
        pass
    except Exception:
        done.put({"failed": traceback.format_exc()})
    done.put(None)


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


FAIR = "shortened to 63 %"
"""The rival that anybody has: all data in fewer epochs."""


def table(rows: Sequence[Row]) -> str:
    """Mean accuracy by kind, and the differences from standard training and from the shortened one,
    of the same seed, in points with the 95 % interval (Student's t over the seeds). `further` are
    images that were looked at for a decision or trained on for the scores, as a share."""
    by_kind: dict[str, dict[int, Row]] = defaultdict(dict)
    for row in rows:
        by_kind[row["kind"]][row["seed"]] = row
    lines = [
        f"| kind | runs | accuracy, % | against standard, points | against {FAIR} "
        "| images, share | further | seconds |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in [name for name in KINDS if name in by_kind]:
        found = by_kind[name]
        against = [interval(apart(found, by_kind.get(base, {}))) for base in ("standard", FAIR)]
        means = {
            key: float(np.mean([row[key] for row in found.values()]))
            for key in ("accuracy", "share", "images", "looked_at", "scoring_images", "seconds")
        }
        further = (means["looked_at"] + means["scoring_images"]) * means["share"] / means["images"]
        lines.append(
            f"| {name} | {len(found)} | {100 * means['accuracy']:.2f} | {' | '.join(against)} "
            f"| {means['share']:.1%} | {further:.0%} | {means['seconds']:.0f} |"
        )
    return "\n".join(lines) + "\n"


def apart(found: dict[int, Row], base: dict[int, Row]) -> list[float]:
    """Points of accuracy between two kinds, by seed; none between a kind and itself."""
    if found is base:
        return []
    shared = [seed for seed in found if seed in base]
    return [100 * (found[seed]["accuracy"] - base[seed]["accuracy"]) for seed in shared]


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
