"""The process in which a part's cases run, one after another. It tells its parent of each case when
it begins and what came of it; a case that hangs, crashes or takes all memory takes only this one
with it."""

from __future__ import annotations

import json
import logging
import os
import re
import resource
import sys
import tempfile
import traceback
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, TextIO

from benchmarks.fuzz.case import Case
from jobs.errors import describe
from jobs.logs import log_to_stderr

ROOM_BYTES = 6 * 1024**3
"""Of addresses beyond what the process has when it begins; a bomb must not take the machine."""

LONGEST_EXAMPLE = 300
_UNEXPECTED = re.compile(r"unexpected ([A-Z]\w+: .*)")
"""As `jobs.errors.describe` says of an error that is not ours."""

_STATUS = Path("/proc/self/status")


class Outputs:
    """All that this process and the libraries in it write to stdout and stderr."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115, as long as the process
        for number in (1, 2):
            os.dup2(self._file.fileno(), number)
        self._read = 0

    def new(self) -> str:
        """What was written since this was last asked."""
        sys.stdout.flush()
        sys.stderr.flush()
        size = os.fstat(self._file.fileno()).st_size
        data = os.pread(self._file.fileno(), size - self._read, self._read)
        self._read = size
        return data.decode("utf-8", "replace")


def peak_mib() -> int:
    """The most memory that this process has ever had."""
    if _STATUS.exists():  # getrusage also counts what the parent had
        return int(re.search(r"VmHWM:\s+(\d+) kB", _STATUS.read_text())[1]) // 1024  # type: ignore[index]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // (1024**2 if sys.platform == "darwin" else 1024)


def _limit_room() -> None:
    if not _STATUS.exists():
        return
    now = int(re.search(r"VmSize:\s+(\d+) kB", _STATUS.read_text())[1]) * 1024  # type: ignore[index]
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (now + ROOM_BYTES, hard))


def judge(case: Case, ours: tuple[type[Exception], ...], outputs: Outputs) -> dict[str, Any]:
    """Do it: whether it was refused, and what was wrong with that."""
    said, problem, refused = [], "", False
    try:
        said += case.run()
    except ours as error:
        refused = True
        said.append(describe(error))
        if not str(error).strip():
            problem = f"exception: {type(error).__name__} without a word"
    except Exception as error:  # that is what is looked for
        problem = f"exception: {type(error).__name__}: {error}"
    printed = outputs.new()
    text = "\n".join([*said, printed])
    if not problem and "Traceback (most recent call last)" in printed:
        problem = f"exception: printed: {printed[-LONGEST_EXAMPLE:]}"
    if not problem and (found := _UNEXPECTED.search(text)):
        problem = f"exception: {found.group(1)}"
    if not problem and (shown := text.encode("utf-8", "replace").decode("utf-8")) != text:
        problem = f"exception: a text that cannot be written: {shown}"
    if leaks := case.leaks(text):
        line = next((t for t in text.splitlines() if leaks[0] in t), "")
        problem = f"leak: {leaks[0]} in: {line}"
    return {"refused": refused, "problem": _short(problem)}


def _short(problem: str) -> str:
    if len(problem) > LONGEST_EXAMPLE:
        problem = f"{problem[:LONGEST_EXAMPLE]}…"
    return problem.encode("utf-8", "backslashreplace").decode("utf-8")


def run(part: Any, seeds: range, report: TextIO, folder: Path) -> None:
    """All these cases."""

    def tell(**what: object) -> None:
        report.write(json.dumps({**what, "peak_mib": peak_mib()}) + "\n")
        report.flush()

    outputs = Outputs()
    log_to_stderr()
    try:
        make: Callable[[int], Case] = part.prepare(folder)
    except Exception:
        tell(failed=traceback.format_exc())
        raise
    outputs.new()
    _limit_room()
    tell(ready=True)
    for seed in seeds:
        tell(begins=seed)
        tell(seed=seed, **judge(make(seed), part.OURS, outputs))
    logging.shutdown()


def main() -> None:
    """Its arguments are PART FIRST COUNT DESCRIPTOR FOLDER; `benchmarks.fuzz.watch` starts it."""
    name, first, count, descriptor, folder = sys.argv[1:]
    seeds = range(int(first), int(first) + int(count))
    with open(int(descriptor), "w", encoding="utf-8") as report:
        run(import_module(f"benchmarks.fuzz.{name}"), seeds, report, Path(folder))
        report.flush()
        os._exit(0)  # whatever threads are still at it
