"""Wrong, odd and hostile inputs by the thousand, each in a child process under a deadline: no
exception other than ours, no part of a planted secret in anything that is said or written, no
input that takes longer than ten seconds (commands: sixty), no crash, less than 1 GiB of memory over
the baseline.

    python -m benchmarks.fuzz configs addresses --count 500
    python -m benchmarks.fuzz

Each case has a seed that makes it again (`--first`). Results: a row for each part in
benchmarks/results/fuzz.json and fuzz.md. A run that is interrupted keeps what it has done; seeds
that follow on the row's are added to it.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.fuzz.case import PARTS
from benchmarks.fuzz.watch import Found, fuzz

RESULTS = Path(__file__).parents[1] / "results"
MOST_MIB = 1024

LONG = {
    "configs": 20_000,
    "addresses": 5_000,
    "commands": 40,
    "playlists": 5_000,
    "pages": 3_000,
    "coco": 3_000,
    "pictures": 1_500,
    "clips": 500,
    "models": 1_000,
    "requests": 5_000,
    "changes": 3_000,
}
"""Cases of each part in the long form."""

HEAD = """# Hostile inputs

Made by `python -m benchmarks.fuzz`. An exception is any error that is not one of ours with its one
line, a leak any four characters of a planted secret in anything said or written, a hang a case of
more than ten seconds (a command: sixty) in which nothing waits for a processor. Memory is the most
that the process ever had beyond what it had when the first case began.

| part | seeds | cases | refused | exceptions | leaks | hangs | crashes | memory, MiB | seconds |
|---|---|---|---|---|---|---|---|---|---|
"""


def main() -> int:
    """Fuzz the parts; 1 if anything was found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--count", type=int, help="cases of each part; by default the long form's")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--dry", action="store_true", help="write no results")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if unknown := set(given.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    faults = 0
    for part in given.parts or PARTS:
        count = given.count or LONG[part] - given.first
        found = fuzz(part, count, first=given.first)
        print(json.dumps({part: asdict(found)}, indent=1, ensure_ascii=False), flush=True)
        faults += found.faults + (found.peak_mib >= MOST_MIB)
        if not given.dry:
            _write(part, found)
        if found.count < count:
            break
    return int(bool(faults))


def _write(part: str, found: Found) -> None:
    path = RESULTS / "fuzz.json"
    rows = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if found.first and part in rows:
        found = found.after(Found(**rows[part]))
    rows[part] = asdict(found)
    rows = {name: rows[name] for name in PARTS if name in rows}
    path.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    lines = [_row(name, row) for name, row in rows.items()]
    (RESULTS / "fuzz.md").write_text(HEAD + "\n".join(lines) + "\n", encoding="utf-8")


def _row(name: str, row: dict[str, Any]) -> str:
    seeds = f"{row['first']}–{row['first'] + row['count'] - 1}"
    keys = ("count", "refused", "exceptions", "leaks", "hangs", "crashes", "peak_mib")
    figures = " | ".join(f"{row[key]:,}" for key in keys)
    return f"| {name} | {seeds} | {figures} | {row['seconds']:.0f} |"


if __name__ == "__main__":
    sys.exit(main())
