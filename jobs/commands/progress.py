"""Progress on stderr: a bar for people, plain lines for logs."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import IO

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars

from culling_pipeline.run.progress import Advance, NoProgress, Progress

UPDATE_INTERVAL_S = 30.0
"""A log gets at most one line about a running stage in this time."""


def open_progress(*, quiet: bool = False, stream: IO[str] | None = None) -> Progress:
    """Bars if stderr is a terminal, lines if it is not, nothing if `quiet`."""
    if quiet:
        return NoProgress()
    stream = sys.stderr if stream is None else stream
    if stream.isatty():
        return BarProgress(stream)
    return LineProgress(stream)


class BarProgress:
    """One bar a stage, drawn with rich."""

    def __init__(self, stream: IO[str]) -> None:
        self._console = Console(file=stream)

    @contextmanager
    def stage(self, name: str, total: int | None = None) -> Iterator[Advance]:
        """Draw a bar until the stage is left; it stays with its time."""
        columns = (
            SpinnerColumn(finished_text="·"),
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        with Bars(*columns, console=self._console) as bars:
            task = bars.add_task(name, total=total)
            yield lambda done: bars.advance(task, done)
            if total is None:
                bars.update(task, total=bars.tasks[0].completed)

    def note(self, text: str) -> None:
        """Print the line as it is."""
        self._console.print(text, markup=False, highlight=False)


def _left(seconds: float) -> str:
    return f", about {max(seconds, 0.0):.0f} s left"


class LineProgress:
    """A line when a stage begins, one when it ends, and one now and then between."""

    def __init__(self, stream: IO[str], *, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock_s = clock_s

    @contextmanager
    def stage(self, name: str, total: int | None = None) -> Iterator[Advance]:
        """Write the lines of one stage."""
        of = "" if total is None else f"/{total}"
        started = last = self._clock_s()
        count = 0

        def advance(done: int) -> None:
            nonlocal count, last
            count += done
            now = self._clock_s()
            if now - last >= UPDATE_INTERVAL_S:
                last, took_s = now, now - started
                left = "" if not (total and count) else _left(took_s * (total - count) / count)
                self.note(f"{name}: {count}{of}, {took_s:.0f} s{left}")

        self.note(f"{name}: begins" + ("" if total is None else f" ({total})"))
        yield advance
        self.note(f"{name}: done, {count}{of}, {self._clock_s() - started:.1f} s")

    def note(self, text: str) -> None:
        """Write one line, at once; a night does not fail because nobody reads of it any more."""
        with suppress(OSError, UnicodeError):
            self._stream.write(text + "\n")
            self._stream.flush()
