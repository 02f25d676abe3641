"""The measuring half of benchmarks/gpu.py: one part's cells, one after the other, in this process.

    python -m benchmarks.gpu_work --cells cells.json --rows rows.jsonl --device cuda

The first line says what machine this is. A row is in the file as soon as it is measured, so that a
process that is stopped has lost none. A cell that fails is a row that says why.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import torchvision

from benchmarks.gpu_nets import Bench
from benchmarks.gpu_parts import LOOP, NIGHT, TRAIN, Cell
from benchmarks.gpu_ways import looking, training_step

Row = dict[str, Any]
WARM_UP, LEAST, MOST = 2, 3, 9
"""Runs before the clock, and repeats on it: at least and at most, as `Bench.cell_s` allows."""


def machine(device: str) -> Row:
    """What every row says of where it was measured."""
    cuda = device == "cuda"
    return {
        "device": torch.cuda.get_device_name() if cuda else f"CPU ({platform.machine()})",
        "torch": str(torch.__version__),
        "torchvision": str(torchvision.__version__),
        "cuda": torch.version.cuda if cuda else None,
        "cudnn": torch.backends.cudnn.version() if cuda else None,  # type: ignore[no-untyped-call]
        "tf32_convolutions": torch.backends.cudnn.allow_tf32 if cuda else None,
        "tf32_products": torch.backends.cuda.matmul.allow_tf32 if cuda else None,
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
    }


def measure(bench: Bench, cell: Cell, *, tiny: bool) -> Row:
    """One cell's figures."""
    if cell.part == NIGHT:
        from benchmarks.gpu_night import demo_night

        return demo_night(bench.device, tiny=tiny)
    if cell.part == LOOP:
        from benchmarks.gpu_night import own_loop

        return own_loop(bench, cell, tiny=tiny)
    bench.forget_peak()
    if cell.work == TRAIN:
        step = training_step(bench, cell)
        return {**timed(bench, step, cell.batch), "peak_mib": bench.peak_mib()}
    work = looking(bench, cell)
    figures, alone = (timed(bench, run, cell.batch) for run in (work.whole, work.net))
    return {
        **figures,
        "net_ms": alone["ms"],
        "boxes": len(work.whole()[0]),
        "peak_mib": bench.peak_mib(),
    }


def timed(bench: Bench, run: Callable[[], object], images: int) -> Row:
    """Milliseconds an image: median and range of some repeats, each waited for to its end."""
    began = time.perf_counter()
    for _ in range(WARM_UP):
        run()
        bench.wait()
        last, began = time.perf_counter() - began, time.perf_counter()
    repeats = max(LEAST, min(MOST, int(bench.cell_s / max(last, 1e-6))))
    taken = []
    for _ in range(repeats):
        began = time.perf_counter()
        run()
        bench.wait()
        taken.append(1000 * (time.perf_counter() - began) / images)
    return {
        "ms": statistics.median(taken),
        "ms_low": min(taken),
        "ms_high": max(taken),
        "repeats": repeats,
    }


def row_of(bench: Bench, cell: Cell, about: Row, *, tiny: bool, until: float) -> Row:
    """A cell's row, whatever comes of it."""
    row = {**asdict(cell), **about}
    if time.time() >= until:
        return {**row, "state": "left out", "why": "the part's time was over"}
    why = bench.why_not(cell)
    if why is not None:
        return {**row, "state": "left out", "why": why}
    began = time.monotonic()
    try:
        row |= {"state": "measured", **measure(bench, cell, tiny=tiny)}
    except Exception as error:  # a row like any other: the next cell may well work
        first = (str(error).strip().splitlines() or [""])[0]
        row |= {"state": "failed", "why": f"{type(error).__name__}: {first}"[:300]}
        row["where"] = _where(error)
        bench.start_anew()
    return {**row, "spent_s": time.monotonic() - began}


def _where(error: Exception) -> list[str]:
    """The innermost lines that an error went through: enough to find it without the machine."""
    return [
        f"{Path(frame.filename).name}:{frame.lineno} {frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)[-5:]
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=Path, required=True, help="a JSON list")
    parser.add_argument("--rows", type=Path, required=True, help="a JSON object a line")
    parser.add_argument("--until", type=float, default=math.inf, help="no cell begins after it")
    parser.add_argument("--device", choices=["auto", "cuda", "cpu"], default="auto")
    parser.add_argument("--tiny", action="store_true")
    args = parser.parse_args()
    device = args.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu":
        torch.set_num_threads(1)
    about = machine(device)
    bench = Bench(device, tiny=args.tiny)
    shown = {key: about[key] for key in ("device", "torch")}
    with args.rows.open("w") as rows:
        rows.write(json.dumps(about) + "\n")
        rows.flush()
        for values in json.loads(args.cells.read_text()):
            row = row_of(bench, Cell(**values), shown, tiny=args.tiny, until=args.until)
            rows.write(json.dumps(row) + "\n")
            rows.flush()


if __name__ == "__main__":
    main()
