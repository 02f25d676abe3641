"""The process that watches over a part's cases: it counts what came of them, and goes on in a new
child after one that hung or died."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

LONGEST_S = {"commands": 60.0}
USUAL_LONGEST_S = 10.0
"""A case that takes longer hangs. While one of its threads or processes waits for a processor, the
time does not count. A command imports torch, opens models and measures them."""

CHILD = "from benchmarks.fuzz.child import main; main()"
LOOK_EVERY_S = 0.5
PREPARING_S = 300.0
SHOWN = 50
"""As many examples of what went wrong are kept."""


@dataclass
class Found:
    """What came of a part's cases, and which seeds went wrong."""

    first: int = 0
    count: int = 0
    refused: int = 0
    exceptions: int = 0
    leaks: int = 0
    hangs: int = 0
    crashes: int = 0
    peak_mib: int = 0
    """Memory beyond what the process had when its first case began."""
    seconds: float = 0.0
    examples: list[str] = field(default_factory=list)
    kinds: dict[str, int] = field(default_factory=dict)

    @property
    def faults(self) -> int:
        """All that must be 0."""
        return self.exceptions + self.leaks + self.hangs + self.crashes

    def note(self, seed: int, problem: str) -> None:
        """Something went wrong."""
        kind, _, rest = problem.partition(":")
        counter = {"leak": "leaks", "hang": "hangs", "crash": "crashes"}.get(kind, "exceptions")
        setattr(self, counter, getattr(self, counter) + 1)
        name = f"{kind}:{rest.partition(':')[0]}" if counter == "exceptions" else kind
        self.kinds[name] = self.kinds.get(name, 0) + 1
        if len(self.examples) < SHOWN:
            self.examples.append(f"{seed}: {problem}")

    def after(self, before: Found) -> Found:
        """Both in one, where these seeds follow on those of `before`; else only this."""
        if self.first != before.first + before.count:
            return self
        kinds = {
            kind: self.kinds.get(kind, 0) + before.kinds.get(kind, 0)
            for kind in {**before.kinds, **self.kinds}
        }
        names = ("count", "refused", "exceptions", "leaks", "hangs", "crashes", "seconds")
        return Found(
            first=before.first,
            **{name: getattr(before, name) + getattr(self, name) for name in names},
            peak_mib=max(before.peak_mib, self.peak_mib),
            examples=(before.examples + self.examples)[:SHOWN],
            kinds=kinds,
        )


def fuzz(part: str, count: int, *, first: int = 0) -> Found:
    """`count` cases of a part from the seed `first` on; fewer when it is interrupted."""
    found, began_s = Found(first=first), time.monotonic()
    following = first
    with suppress(KeyboardInterrupt):
        while following < first + count:
            following = _one_child(part, range(following, first + count), found)
    found.seconds = round(time.monotonic() - began_s, 1)
    return found


def _one_child(part: str, seeds: range, found: Found) -> int:
    """Run these seeds until the child ends; the first that it has not done."""
    readable, writable = os.pipe()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        command = [sys.executable, "-c", CHILD, part]
        command += [str(seeds.start), str(len(seeds)), str(writable), folder]
        nowhere = subprocess.DEVNULL
        child = subprocess.Popen(
            command, pass_fds=[writable], cwd=ROOT, stdin=nowhere, stdout=nowhere
        )
        os.close(writable)
        with os.fdopen(readable, "rb") as report:
            try:
                longest_s = LONGEST_S.get(part, USUAL_LONGEST_S)
                lines = _lines(report.fileno(), child.pid, longest_s)
                return _follow(lines, child, seeds, found)
            finally:
                child.kill()
                child.wait()


def _follow(
    lines: Iterator[dict[str, Any] | None],
    child: subprocess.Popen[bytes],
    seeds: range,
    found: Found,
) -> int:
    ready = next(lines, None)
    if ready is None or "ready" not in ready:
        message = f"{(ready or {}).get('failed', '')}\nthe child did not begin"
        raise RuntimeError(message)
    at, peak_mib = seeds.start, ready["peak_mib"]
    for line in lines:
        if line is None:
            found.note(at, "hang: no end within its time")
            found.count += 1
            return at + 1
        found.peak_mib = max(found.peak_mib, line.get("peak_mib", 0) - peak_mib)
        if "begins" in line:
            at = line["begins"]
            continue
        found.count += 1
        found.refused += line["refused"]
        if line["problem"]:
            found.note(line["seed"], line["problem"])
        at = line["seed"] + 1
    if at < seeds.stop:
        found.count += 1
        found.note(at, f"crash: the process ended with {child.wait(10)}")
    return min(at + 1, seeds.stop)


def _lines(descriptor: int, pid: int, longest_s: float) -> Iterator[dict[str, Any] | None]:
    """What the child tells; None, at the last, when it has said nothing for too long."""
    rest, limit_s = b"", PREPARING_S
    while _says_more(descriptor, pid, limit_s):
        data = os.read(descriptor, 65536)
        if not data:
            return
        *whole, rest = (rest + data).split(b"\n")
        for line in whole:
            yield json.loads(line)
        limit_s = longest_s
    yield None


def _says_more(descriptor: int, pid: int, limit_s: float) -> bool:
    """Whether there is more to read, or the end, within this time of the child's own."""
    left_s, at_s, waits = limit_s, time.monotonic(), _waits(pid)
    while left_s > 0:
        if select.select([descriptor], [], [], min(left_s, LOOK_EVERY_S))[0]:
            return True
        (before_s, at_s), (before, waits) = (at_s, time.monotonic()), (waits, _waits(pid))
        waited = max((ns - before.get(task, 0) for task, ns in waits.items()), default=0)
        left_s -= max(0.0, at_s - before_s - waited / 1e9)
    return False


def _waits(pid: int) -> dict[str, int]:
    """How long each thread of the process, and of those that it started, was ready to run while
    others had the processors; nothing where nobody says."""
    found, rest = {}, [str(pid)]
    while rest:
        for task in Path(f"/proc/{rest.pop()}/task").glob("*"):
            with suppress(OSError, IndexError, ValueError):
                found[task.name] = int((task / "schedstat").read_text().split()[1])
                rest += (task / "children").read_text().split()
    return found
