"""Detectors at work in several processes, and one job beside the main one.

Each process uses one torch thread: two threads that share two cores with anything else were
measured 10 to 30 times slower than one (docs/LOG.md).
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from models.base import Detector
from models.boxes import Detections

Images = Sequence[NDArray[np.uint8]]
BuildDetector = Callable[[], Detector]
_Result = TypeVar("_Result")

_detector: Detector | None = None
"""The detector of a worker process, built when the process starts."""


def _start_worker() -> None:
    """One torch thread, and an end with the parent: a night killed by force leaves no orphan."""
    torch.set_num_threads(1)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    os._exit(1)


def _start_detector(build: BuildDetector) -> None:
    global _detector
    _start_worker()
    _detector = build()


def _predict(images: Images) -> tuple[list[Detections], float]:
    assert _detector is not None
    return _timed(_detector, images)


def _class_names() -> tuple[str, ...]:
    assert _detector is not None
    return _detector.class_names


def _timed(detector: Detector, images: Images) -> tuple[list[Detections], float]:
    began = time.perf_counter()
    found = detector.predict(images)
    return found, time.perf_counter() - began


class DetectorPool:
    """A detector in `workers` processes (1: in this one). Use as a context manager.

    `seconds` sums what the detector itself took over all processes, for the ledger.
    """

    def __init__(self, build: BuildDetector, *, workers: int = 1) -> None:
        self.seconds = 0.0
        self.images = 0
        self._workers = workers
        self._own = build() if workers <= 1 else None
        self._pool: ProcessPoolExecutor | None = None
        if workers > 1:
            self._pool = _executor(workers, _start_detector, build)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=exc_type is None, cancel_futures=True)

    @property
    def class_names(self) -> tuple[str, ...]:
        """What the detector's labels mean."""
        if self._own is not None:
            return self._own.class_names
        assert self._pool is not None
        return self._pool.submit(_class_names).result()

    def predict(self, batches: Iterable[Images]) -> Iterator[list[Detections]]:
        """The detections of each batch, in order. At most three batches a worker are under way,
        so an endless source needs no endless memory."""
        waiting: deque[Future[tuple[list[Detections], float]]] = deque()
        for batch in batches:
            if self._pool is None:
                assert self._own is not None
                yield self._count(*_timed(self._own, batch))
                continue
            waiting.append(self._pool.submit(_predict, batch))
            while len(waiting) >= 3 * self._workers:
                yield self._count(*waiting.popleft().result())
        while waiting:
            yield self._count(*waiting.popleft().result())

    def _count(self, found: list[Detections], seconds: float) -> list[Detections]:
        self.seconds += seconds
        self.images += len(found)
        return found


class Beside(Generic[_Result]):
    """One function at work in a process of its own while this one goes on. With
    `in_process=True` it simply runs when its result is asked for."""

    def __init__(
        self, function: Callable[..., _Result], /, *arguments: Any, in_process: bool = False
    ) -> None:
        self._call = (function, arguments)
        self._pool = None if in_process else _executor(1, _start_worker)
        self._future = None if self._pool is None else self._pool.submit(function, *arguments)

    def result(self) -> _Result:
        """What the function returned; an exception in it is raised here."""
        if self._pool is None or self._future is None:
            function, arguments = self._call
            return function(*arguments)
        try:
            return self._future.result()
        finally:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def stop(self) -> None:
        """Give up the work, if it still goes on."""
        if self._pool is not None:
            for process in list((self._pool._processes or {}).values()):
                process.terminate()
            self._pool.shutdown(wait=False, cancel_futures=True)


def _executor(
    workers: int, initializer: Callable[..., None], *initargs: Any
) -> ProcessPoolExecutor:
    """Processes made by `spawn`: a forked torch can hang in its thread pool."""
    return ProcessPoolExecutor(
        workers,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=initializer,
        initargs=initargs,
    )


def batched(images: Iterable[NDArray[np.uint8]], size: int) -> Iterator[list[NDArray[np.uint8]]]:
    """The images in lists of `size` (the last may be shorter); a change of shape ends a list."""
    batch: list[NDArray[np.uint8]] = []
    for image in images:
        if batch and (len(batch) == size or batch[0].shape != image.shape):
            yield batch
            batch = []
        batch.append(image)
    if batch:
        yield batch
