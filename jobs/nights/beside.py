"""What a night takes beside the detectors' work: reading the recording, starting processes."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

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
    """Seconds on the clock: to read all frames of a recording (0: a watched day), to start."""

    reading_s: float
    starting_s: float

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
        return f"Reading the recording takes about {words.duration(self.reading_s)}, {started}. "


NOTHING_BESIDE = Beside(reading_s=0.0, starting_s=0.0)


def beside(camera: CameraConfig, frames: int | None, *, looks: int) -> Beside:
    """Measured on the first frames of a recording of so many (None: there is none to read), of
    which a night looks at so many. Raises what opening its source raises."""
    starting_s = STARTS * seconds_to_start()
    if frames is None:
        return Beside(reading_s=0.0, starting_s=starting_s)
    each_s, singly = seconds_per_frame(camera)
    read = min(frames, looks) if singly else frames
    return Beside(reading_s=read * each_s, starting_s=starting_s)


def seconds_per_frame(camera: CameraConfig, clock: Clock = time.perf_counter) -> tuple[float, bool]:
    """Seconds that reading a sampled frame takes, after the first, which opens the source (0 if
    there is only one); and whether the source gives out single ones, so that the others are not
    read."""
    interval_s = camera.sample_interval_s
    with open_camera(camera) as source:
        there = source.moments(interval_s)
        if there is None:
            frames = source.frames(Sampler(interval_s))
        else:
            frames = source.frames_at(there[:: max(1, len(there) // READ)])
        next(frames, None)
        began, read = clock(), 0
        for _ in islice(frames, READ):
            read += 1
            if clock() - began > READ_FOR_S:
                break
        return (clock() - began) / read if read else 0.0, there is not None


def seconds_to_start() -> float:
    """Seconds until a new process is ready to work with detectors."""
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-c", "import culling_pipeline.run.workers, models.boxes.detector"],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return time.perf_counter() - began
