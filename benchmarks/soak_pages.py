"""Whether serving pages slows watching: the twelve cameras of `benchmarks.soak` in one `culling
run`, in pairs of stretches with and without somebody who asks for pages all the time.

    python -m benchmarks.soak_pages                          four pairs of 50 s: nine minutes
    python -m benchmarks.soak_pages --pairs 1 --seconds 10   a try

One visitor asks for the cards, a camera, a night, the machine and all pictures in them, one after
the other without a pause. Pairs that are in benchmarks/results/soak_pages.json are not run again.
Frames, what is missing, how late they are and what scoring them took are read from the daybooks;
`cores` is of the whole process, with its pages; `wrong` are answers other than 200.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date, datetime
from http.client import HTTPConnection, HTTPException
from itertools import pairwise
from pathlib import Path
from statistics import mean, median
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

import psutil
import yaml

from benchmarks.book import Book, Row, markdown
from benchmarks.soak import LATE_S, cameras
from benchmarks.testbed.small_night import night_record
from jobs.database.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

RESULTS = Path(__file__).parent / "results"
CAMERA, RUN = "shot-0", "2026-11-20"
PATIENCE_S = 180.0
SETTLE_S = 5.0
"""Between two stretches: what the one left under way is no part of the other."""
SOURCES = re.compile(r'<img[^>]* src="([^"]+)"')


def configure(folder: Path, urls: dict[str, str]) -> Path:
    """The cameras, without nights; and one night of old, to be shown."""
    own = {name: {"source": url, "schedule": None} for name, url in urls.items()}
    content = {
        "data_dir": "data",
        "workers": 2,
        "service": {"port": 0},
        "defaults": {"classes": ["person", "car", "bicycle"]},
        "cameras": own,
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(content))
    with Store(folder / "data") as store:
        night = store.open_night(CAMERA, date.fromisoformat(RUN), run_id=RUN)
        store.finish_night(night.id, night_record(CAMERA, RUN))
    return path


@dataclass
class Visitor:
    """Asks for pages and their pictures, from `with` to its end."""

    address: str
    times_ms: list[float] = field(default_factory=list)
    wrong: int = 0

    def __enter__(self) -> Visitor:
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._ask_all, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join()

    def _ask_all(self) -> None:
        pages = ("", f"camera/{CAMERA}", f"camera/{CAMERA}/night/{RUN}", "system")
        while not self._ends.is_set():
            for page in pages:
                text = self._ask(urljoin(self.address, page))
                for source in SOURCES.findall(text):
                    if self._ends.is_set():
                        return
                    self._ask(urljoin(self.address + page, source.replace("&amp;", "&")))

    def _ask(self, url: str) -> str:
        host, _, path = url.removeprefix("http://").partition("/")
        began_s = time.monotonic()
        with suppress(OSError, HTTPException):
            connection = HTTPConnection(host, timeout=60)
            connection.request("GET", f"/{path}")
            answer = connection.getresponse()
            body = answer.read()
            connection.close()
            self.times_ms.append(1000 * (time.monotonic() - began_s))
            if answer.status == 200:
                return body.decode(errors="replace")
        self.wrong += 1
        return ""


@contextmanager
def running(folder: Path, config: Path) -> Iterator[tuple[psutil.Process, str]]:
    """`culling run` at work, and the address of its pages; every camera has had frames."""
    command = [sys.executable, "-m", "jobs.cli", "run", "--config", str(config)]
    log = folder / "log"
    with log.open("wb") as stderr, subprocess.Popen(command, stderr=stderr) as process:
        try:
            names = yaml.safe_load(config.read_text())["cameras"]
            deadline_s = time.monotonic() + PATIENCE_S
            while not all(len(frames(folder, name)) > 3 for name in names):
                if time.monotonic() > deadline_s or process.poll() is not None:
                    raise SystemExit(log.read_text())
                time.sleep(0.5)
            found = re.search(r"http://127\.0\.0\.1:\d+/\w+/", log.read_text())
            assert found is not None
            yield psutil.Process(process.pid), found[0]
        finally:
            process.terminate()
            process.wait(60)


def stretch(process: psutil.Process, seconds: float, visitor: Visitor | None) -> Row:
    """So long a time, with the visitor or without; when it was, and what the process took."""
    time.sleep(SETTLE_S)
    before, began_s = sum(process.cpu_times()[:2]), time.time()
    if visitor is None:
        time.sleep(seconds)
    else:
        with visitor:
            time.sleep(seconds)
    return {
        "began_s": began_s,
        "ended_s": time.time(),
        "cpu_s": sum(process.cpu_times()[:2]) - before,
    }


def frames(folder: Path, camera: str) -> list[dict[str, Any]]:
    """All whole lines of a camera's daybooks, with their moments."""
    found = []
    for path in sorted((folder / "data" / "days" / camera).glob("*/daybook.jsonl")):
        for text in path.read_text().splitlines(keepends=True):
            if text.endswith("\n") and "event" not in (line := json.loads(text)):
                found.append({**line, "at_s": datetime.fromisoformat(line["at"]).timestamp()})
    return found


def judged(folder: Path, names: list[str], part: Row) -> Row:
    """What became of the frames of all cameras in a stretch."""
    count, missing, gaps, scored = 0, 0, [], []
    for name in names:
        own = [f for f in frames(folder, name) if part["began_s"] <= f["at_s"] <= part["ended_s"]]
        count += len(own)
        scored += [f["s"] for f in own if f["s"]]
        between = [b["at_s"] - a["at_s"] for a, b in pairwise(own)]
        gaps += between
        missing += sum(max(0, round(gap) - 1) for gap in between if gap > LATE_S)
    late_ms = sorted(1000 * abs(gap - 1) for gap in gaps)
    seconds = part["ended_s"] - part["began_s"]
    return {
        "seconds": round(seconds, 1),
        "frames": count,
        "frames_per_s": round(count / seconds, 3),
        "missing": missing,
        "late_ms_median": round(median(late_ms), 1),
        "late_ms_p95": round(late_ms[int(0.95 * (len(late_ms) - 1))], 1),
        "score_ms": round(1000 * mean(scored), 2),
        "cores": round(part["cpu_s"] / seconds, 3),
    }


def run_pair(
    folder: Path, service: tuple[psutil.Process, str], number: int, args: Any
) -> list[Row]:
    """A stretch with the visitor and one without; which comes first changes from pair to pair."""
    process, address = service
    names = list(yaml.safe_load((folder / "config.yaml").read_text())["cameras"])
    rows = []
    for asked in (True, False) if number % 2 else (False, True):
        visitor = Visitor(address) if asked else None
        part = stretch(process, args.seconds, visitor)
        time.sleep(SETTLE_S)  # until the last frames of the stretch are written
        row: Row = {"pair": number, "pages": asked, **judged(folder, names, part)}
        if visitor is not None:
            row |= {
                "answers": len(visitor.times_ms),
                "wrong": visitor.wrong,
                "answer_ms_median": round(median(visitor.times_ms), 1),
            }
        rows.append(row)
    return rows


def ratios(rows: list[Row]) -> list[Row]:
    """With over without, pair by pair."""
    found = []
    for number in sorted({row["pair"] for row in rows}):
        pair = {row["pages"]: row for row in rows if row["pair"] == number}
        keys = ("frames_per_s", "late_ms_median", "late_ms_p95", "score_ms", "cores")
        found.append(
            {"pair": number} | {key: round(pair[True][key] / pair[False][key], 3) for key in keys}
        )
    return found


def main() -> None:
    """Run the pairs that are missing; write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=50.0, help="of each stretch")
    parser.add_argument("--results", type=Path, default=RESULTS)
    args = parser.parse_args()
    args.results.mkdir(exist_ok=True)
    book = Book(args.results / "soak_pages.json", ("pair", "pages"))
    wanted = [n for n in range(1, args.pairs + 1) if not book.has(pair=n, pages=False)]
    minutes = len(wanted) * 2 * (args.seconds + 2 * SETTLE_S) / 60 + PATIENCE_S / 60
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        with (
            cameras(folder, minutes) as (urls, _),
            running(folder, configure(folder, urls)) as service,
        ):
            for number in wanted:
                for row in run_pair(folder, service, number, args):
                    book.add(row)
                    print(row, flush=True)
    text = markdown(book.rows) + "\nWith the visitor over without:\n\n"
    text += markdown(ratios(book.rows))
    (args.results / "soak_pages.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
