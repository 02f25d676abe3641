"""Runs the students of all cameras: frames of cameras with the same student and picture size are
scored in one batch."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from culling_pipeline.tasks.answers import Answer
from culling_pipeline.tasks.base import Task
from models.base import Model
from models.files import META_FILE, load_meta

BATCH = 8
MAX_WAIT_S = 2.0
"""How long a frame waits at most for others to fill its batch."""

_Ticket = TypeVar("_Ticket")


@dataclass(frozen=True, slots=True)
class Student:
    """A version of a camera's student; `kind` is the same for all versions with the same
    weights."""

    version: str
    kind: str
    detector: Model


class Students:
    """The detectors in use, one for all versions with the same weights."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._opened: dict[str, Model] = {}

    def open(self, folder: Path, task: Task) -> Student:
        """The student whose version lies in `folder`, run as the task says."""
        files = sorted(path for path in folder.iterdir() if path.name != META_FILE)
        spec = load_meta(folder)["spec"]  # the size that it works at is part of what it is
        digest = hashlib.sha256(json.dumps([spec, task.backend], sort_keys=True).encode())
        for path in files:
            digest.update(path.read_bytes())
        kind = digest.hexdigest()
        if kind not in self._opened:
            opener = task.student_opener(folder, device=self._device, ignoring=False)
            self._opened[kind] = opener()
        return Student(folder.name, kind, self._opened[kind])

    def keep_only(self, kinds: set[str]) -> None:
        """Drop all others: students change every night."""
        self._opened = {k: d for k, d in self._opened.items() if k in kinds}


@dataclass(slots=True)
class _Batch(Generic[_Ticket]):
    student: Student
    began_s: float
    images: list[NDArray[np.uint8]] = field(default_factory=list)
    tickets: list[_Ticket] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Scored(Generic[_Ticket]):
    """The detections in one image, and its share of the seconds that its batch took."""

    ticket: _Ticket
    found: Answer
    seconds: float


class Scorer(Generic[_Ticket]):
    """Gathers images into batches and scores them in `threads` threads, one core each."""

    def __init__(self, threads: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="score")
        self._most_under_way = 2 * threads
        self._clock = clock
        self._gathering: dict[tuple[str, tuple[int, ...]], _Batch[_Ticket]] = {}
        self._under_way: list[tuple[Future[list[Scored[_Ticket]]], _Batch[_Ticket]]] = []
        self._failed: list[tuple[_Ticket, Exception]] = []

    def close(self) -> None:
        """Cancel what has not begun."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    @property
    def is_full(self) -> bool:
        """Whether to wait for results before adding more."""
        return len(self._under_way) >= self._most_under_way

    def add(self, student: Student, image: NDArray[np.uint8], ticket: _Ticket) -> None:
        """Queue an image (H×W×3 uint8 RGB) for scoring."""
        key = (student.kind, image.shape)
        batch = self._gathering.setdefault(key, _Batch(student, self._clock()))
        batch.images.append(image)
        batch.tickets.append(ticket)
        if len(batch.images) >= BATCH:
            self._start(key)

    def collect(self, *, flush: bool = False) -> list[Scored[_Ticket]]:
        """The results since the last call; with `flush`, of everything that was added. What could
        not be scored is in `failures`."""
        for key, batch in list(self._gathering.items()):
            if flush or self._clock() - batch.began_s >= MAX_WAIT_S:
                self._start(key)
        under_way, self._under_way = self._under_way, []
        results: list[Scored[_Ticket]] = []
        for future, batch in under_way:
            if not (flush or future.done()):
                self._under_way.append((future, batch))
                continue
            try:
                results += future.result()
            except Exception as error:  # other batches have other students
                self._failed += [(ticket, error) for ticket in batch.tickets]
        return results

    def failures(self) -> list[tuple[_Ticket, Exception]]:
        """What could not be scored since the last call, and why."""
        failed, self._failed = self._failed, []
        return failed

    def wait(self) -> None:
        """Wait until the oldest running batch is done."""
        if self._under_way:
            self._under_way[0][0].exception()

    def _start(self, key: tuple[str, tuple[int, ...]]) -> None:
        batch = self._gathering.pop(key)
        self._under_way.append((self._pool.submit(_score, batch), batch))


def _score(batch: _Batch[_Ticket]) -> list[Scored[_Ticket]]:
    began = time.perf_counter()
    found = batch.student.detector.predict(batch.images)
    seconds = (time.perf_counter() - began) / len(found)
    return [Scored(t, d, seconds) for t, d in zip(batch.tickets, found, strict=True)]
