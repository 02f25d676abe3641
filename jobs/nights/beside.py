"""What a night takes beside the detectors' work: reading the recording, starting processes."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from culling_pipeline.report import words
from jobs.cameras.sources import open_camera
from jobs.config.settings import CameraConfig
from jobs.nights.span import Span
from streams.sampler import Sampler

READ, READ_FOR_S = 40, 3.0
"""A trial of reading ends after so many frames or seconds."""
STARTS = 3
"""A night waits for the program, for its processes and for what they load of each detector: about
as long each."""

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """Seconds on the clock: to read all frames of a recording (0: a watched day), to start; and
    how many bytes are fetched from a server for that (None: there is none)."""

    reading_s: float
    starting_s: float
    fetched: int | None = None

    def reading(self, looking: Span, *, processes: int) -> Span:
        """Seconds to go through the recording, while the student looks at some of its frames: one
        process reads, the others look, and all share the cores."""
        return Span(
            *(max(self.reading_s, self.reading_s / processes + seconds) for seconds in looking)
        )

    def in_words(self) -> str:
        """As a sentence with a space behind it; nothing if it is nothing."""
        if not self.starting_s:
            return ""
        started = f"starting takes about {words.duration(self.starting_s)}"
        if not self.reading_s:
            return f"{started.capitalize()}. "
        fetched = "" if self.fetched is None else f" and fetches about {words.size(self.fetched)}"
        reading = f"takes about {words.duration(self.reading_s)}{fetched}"
        return f"Reading the recording {reading}, {started}. "


NOTHING_BESIDE = Beside(reading_s=0.0, starting_s=0.0)


def beside(camera: CameraConfig, frames: int | None, *, looks: int) -> Beside:
    """Measured on the first frames of a recording of so many (None: there is none to read), of
    which a night looks at so many. Raises what opening its source raises."""
    starting_s = STARTS * seconds_to_start()
    if frames is None:
        return Beside(reading_s=0.0, starting_s=starting_s)
    trial = reading_of(camera, looks=looks)
    return Beside(
        reading_s=(min(frames, looks) if trial.singly else frames) * trial.each_s,
        starting_s=starting_s,
        fetched=trial.fetched,
    )


class Trial(NamedTuple):
    """Seconds that reading a sampled frame takes, after the first, which opens the source (0 if
    there is only one); whether only those are read that are looked at; and how many bytes a night
    fetches (None: there is no server)."""

    each_s: float
    singly: bool
    fetched: int | None


def reading_of(camera: CameraConfig, *, looks: int, clock: Clock = time.perf_counter) -> Trial:
    """Reads a few frames as a night with so many looks does."""
    interval_s = camera.sample_interval_s
    with open_camera(camera) as source:
        there = source.moments(interval_s) or ()
        if singly := looks < len(there):
            frames = source.frames_at(there[:: max(1, len(there) // READ)])
            each = source.look_bytes(interval_s)
            fetched = None if each is None else looks * each
        else:
            frames = source.frames(Sampler(interval_s))
            fetched = source.to_fetch(interval_s)
        next(frames, None)
        began, read = clock(), 0
        for _ in islice(frames, READ):
            read += 1
            if clock() - began > READ_FOR_S:
                break
        return Trial((clock() - began) / read if read else 0.0, singly, fetched)


def seconds_to_start() -> float:
    """Seconds until a new process is ready to work with detectors."""
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-c", "import culling_pipeline.run.workers, models.boxes.detector"],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return time.perf_counter() - began
