"""Look, label, training and a demo night on one GPU, and what a day of 86,400 frames comes to.

    sh benchmarks/gpu.sh              # prepares a bare machine first; eight minutes in all
    python -m benchmarks.gpu --tiny   # the same on a CPU, in small

Each part is measured in a process of its own, which has a share of the time that is left; what
does not fit, fails or hangs is a row that says so. `--again` makes the tables anew from gpu.json.
Without `--out`, results go to the folder $OUT, or to benchmarks/results: gpu.json and gpu.md.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.book import markdown
from benchmarks.gpu_parts import NIGHT, Cell, Part, parts

Row = dict[str, Any]
ROOT = Path(__file__).resolve().parents[1]
LIMIT_S = 480.0
RESERVE_S = 12.0
"""Kept for the tables, and for the end of a process that has to be stopped."""
START_S = 12.0
"""What a process takes at most to import torch: a part with less time is left out."""
NEEDED = {
    "cv2": "opencv-python-headless", "safetensors": "safetensors", "pydantic": "pydantic",
    "sqlalchemy": "sqlalchemy", "alembic": "alembic", "mako": "mako", "av": "av",
    "pycocotools": "pycocotools", "jinja2": "jinja2", "typing_inspection": "typing-inspection",
}  # fmt: skip
"""What a night imports beside torch, torchvision and numpy, and the packages that have it."""


class Machine:
    """Measures part after part; `about` is what the processes say of this machine."""

    def __init__(self, device: str, *, tiny: bool) -> None:
        self.about: Row = {}
        self._options = ["--device", device, *["--tiny"] * tiny]

    def rows_of(self, part: Part, seconds: float) -> list[Row]:
        """A part's rows, measured in at most so many seconds."""
        if seconds < START_S:
            return [_left_out(cell, "the time was over") for cell in part.cells]
        with tempfile.TemporaryDirectory() as scratch:
            cells, rows = Path(scratch) / "cells.json", Path(scratch) / "rows.jsonl"
            cells.write_text(json.dumps([asdict(cell) for cell in part.cells]))
            why = self._run(cells, rows, seconds)
            text = rows.read_text() if rows.exists() else ""
        lines = text[: text.rfind("\n") + 1].splitlines()  # the last one may be cut off
        if lines:
            self.about = json.loads(lines[0])
        found = [json.loads(line) for line in lines[1:]]
        return found + [_left_out(cell, why) for cell in part.cells[len(found) :]]

    def _run(self, cells: Path, rows: Path, seconds: float) -> str:
        """Have the cells measured; in words, why there is no row of those without one."""
        until = time.time() + 0.85 * seconds
        files = ["--cells", str(cells), "--rows", str(rows), "--until", f"{until:.1f}"]
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.gpu_work", *files, *self._options],
            cwd=ROOT,
            stdout=sys.stderr,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            _, said = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # a compiler's own processes as well
            process.communicate()
            return f"stopped after {seconds:.0f} s"
        last = (said.strip().splitlines() or ["nothing said"])[-1]
        return f"the process ended with {process.returncode}: {last}"[:300]


def _left_out(cell: Cell, why: str) -> Row:
    return {**asdict(cell), "state": "left out", "why": why}


def measure_all(args: argparse.Namespace) -> Row:
    """Every part, within the limit."""
    began = time.monotonic()
    until = began + args.limit_s - RESERVE_S
    here, rows = Machine(args.device, tiny=args.tiny), list[Row]()
    todo = parts(tiny=args.tiny)
    for number, part in enumerate(todo):
        at = time.monotonic()
        share = part.share / sum(p.share for p in todo[number:])
        found = here.rows_of(part, min(part.cap_s, (until - at) * share))
        measured = sum(row["state"] == "measured" for row in found)
        say = f"{part.name}: {measured} of {len(found)} in {time.monotonic() - at:.0f} s"
        print(say, file=sys.stderr, flush=True)
        known = {key: here.about.get(key, "unknown") for key in ("device", "torch")}
        rows = [{**known, **row} for row in [*rows, *found]]
        _write(args.out, {"machine": here.about, "rows": rows})  # whatever comes
    return {
        "machine": here.about,
        "prepared_s": args.prepared_s,
        "measured_s": time.monotonic() - began,
        "tiny": args.tiny,
        "rows": rows,
    }


def _write(folder: Path, result: Row) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "gpu.json").write_text(json.dumps(result, indent=1) + "\n")


def finish(folder: Path, result: Row) -> None:
    """What follows from the rows, and both files."""
    try:
        from benchmarks.gpu_night import whole_day

        measured = [row for row in result["rows"] if row["state"] == "measured"]
        result["whole_day"] = whole_day(measured)
    except ImportError as error:
        result["whole_day"] = f"left out: {error}; run it again where that is: --again {folder}"
    _write(folder, result)
    (folder / "gpu.md").write_text(tables(result))


def tables(result: Row) -> str:
    """All of it as people read it."""
    about = ", ".join(f"{key} {value}" for key, value in result["machine"].items())
    rows, day = result["rows"], result["whole_day"]
    text = f"# One GPU\n\nMade by `sh benchmarks/gpu.sh`. {about}.\n"
    if result.get("tiny"):
        text += "\nWith `--tiny`: small nets and pictures, to see that it runs; no figures.\n"
    text += "\n## A day of 86,400 frames at the defaults\n\n"
    text += f"{day}\n" if isinstance(day, str) else markdown(day, number=".4g")
    for part in dict.fromkeys(row["part"] for row in rows):
        shown = [_line(row) for row in rows if row["part"] == part]
        text += f"\n## {part}\n\n{markdown(shown, number='.3g')}"
    return text


def _line(row: Row) -> Row:
    """A row of the tables."""
    line: Row = {
        "net": row["net"],
        "size": f"{row['width_px']}×{row['height_px']}",
        "dtype": row["dtype"],
        "layout": "channels last" if row["channels_last"] else "contiguous",
        "batch": row["batch"],
        "way": row["way"],
        "device": row["device"],
        "torch": row["torch"],
    }
    if row["state"] != "measured":
        return {**line, "state": f"{row['state']}: {row['why']}"}
    if row["part"] == NIGHT:
        parts_ = ", ".join(f"{name} {value:.1f}" for name, value in row["work_s"].items())
        return {**line, "seconds": row["night_s"], "frames": row["frames"], "of them": parts_,
                "cost ratio": row["cost_ratio"], "state": "on " + ", ".join(row["on"])}  # fmt: skip
    line |= {"ms an image": row["ms"], "range": f"{row['ms_low']:.3g}–{row['ms_high']:.3g}"}
    if "net_ms" in row:
        line |= {"net alone": row["net_ms"], "boxes": row["boxes"]}
    return {**line, "peak MiB": row["peak_mib"], "repeats": row["repeats"], "state": "measured"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiny", action="store_true", help="small nets and pictures, on the CPU")
    parser.add_argument("--device", choices=["auto", "cuda", "cpu"], default="auto")
    parser.add_argument("--limit-s", type=float, default=LIMIT_S, help="for all of it")
    parser.add_argument("--prepared-s", type=float, default=0.0, help="what came before took this")
    parser.add_argument("--out", type=Path, help="folder of the results")
    parser.add_argument("--again", action="store_true", help="only the tables, from gpu.json there")
    parser.add_argument(
        "--missing", action="store_true", help="only say which packages are missing"
    )
    args = parser.parse_args()
    args.out = args.out or Path(os.environ.get("OUT") or ROOT / "benchmarks" / "results")
    if args.missing:
        print(*(package for name, package in NEEDED.items() if find_spec(name) is None))
        return
    if args.again:
        finish(args.out, json.loads((args.out / "gpu.json").read_text()))
        return
    if args.tiny and args.device == "auto":
        args.device = "cpu"
    finish(args.out, measure_all(args))
    print((args.out / "gpu.md").read_text())


if __name__ == "__main__":
    main()
