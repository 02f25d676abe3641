"""The processes of a night: models at work in all of them, a training run in one.

Each process uses one torch thread: two threads that share two cores with anything else were
measured 10 to 30 times slower than one (docs/log/).
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
from typing import Any, Self, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from culling_pipeline.run.process_start import undisturbed_start
from models.base import Model, OpenModel, backend_of, device_of
from models.without_compiler import spare_the_compiler

Images = Sequence[NDArray[np.uint8]]
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_opened: dict[OpenModel, Model] = {}
"""The detectors of this worker process; it keeps the few it has been asked for."""


def _start_worker() -> None:
    """No compiler for the detectors to come, one torch thread, and an end with the parent: a night
    killed by force leaves no orphan."""
    spare_the_compiler()
    torch.set_num_threads(1)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    os._exit(1)


def _opened_here(build: OpenModel) -> Model:
    if build not in _opened:
        _opened[build] = build()
    return _opened[build]


def _predict(build: OpenModel, images: Images) -> tuple[list[Any], float]:
    return _timed(_opened_here(build), images)


def _class_names(build: OpenModel) -> tuple[str, ...]:
    return _opened_here(build).class_names


def _backend(build: OpenModel) -> str:
    return backend_of(_opened_here(build))


def _device(build: OpenModel) -> str:
    return device_of(_opened_here(build))


def _timed(detector: Model, images: Images) -> tuple[list[Any], float]:
    began = time.perf_counter()
    found = detector.predict(images)
    return found, time.perf_counter() - began


class Workers:
    """`count` processes that predict and train for one night (1: all in this one).

    They start when first needed and end with the `with` block. A detector is named by the
    function that opens it: hashable, and fit to be sent to another process.
    """

    def __init__(self, count: int = 1) -> None:
        self.count = count
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            if exc_type is not None:
                for process in list((self._pool._processes or {}).values()):
                    process.terminate()  # whatever they are at is of no use any more
            self._pool.shutdown(wait=True, cancel_futures=True)

    def model(self, build: OpenModel) -> PooledModel:
        """The detector at work in all processes."""
        return PooledModel(self, build)

    def beside(self, function: Callable[..., _Result], /, *arguments: Any) -> Future[_Result]:
        """Run a function in one of the processes while this one goes on; with one process it
        runs here and now."""
        if self.count > 1:
            return self.submit(function, *arguments)
        future: Future[_Result] = Future()
        future.set_result(function(*arguments))
        return future

    @property
    def executor(self) -> ProcessPoolExecutor:
        """The processes, made by `spawn`: a forked torch can hang in its thread pool."""
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                self.count,
                mp_context=multiprocessing.get_context("spawn"),
                initializer=_start_worker,
            )
        return self._pool

    def submit(self, function: Callable[..., _Result], /, *arguments: Any) -> Future[_Result]:
        """Run a function in one of the processes, which may start for it; Ctrl-C does not reach
        them, for it is this process that ends the night, and then them."""
        with undisturbed_start():
            return self.executor.submit(function, *arguments)


class PooledModel:
    """One detector in all workers. `seconds` sums what the detector itself took in them, and
    `images` counts what it saw, for the ledger."""

    def __init__(self, workers: Workers, build: OpenModel) -> None:
        self.seconds = 0.0
        self.images = 0
        self._workers = workers
        self._build = build
        self._own = build() if workers.count <= 1 else None

    @property
    def class_names(self) -> tuple[str, ...]:
        """What the detector's labels mean."""
        if self._own is not None:
            return self._own.class_names
        return self._workers.submit(_class_names, self._build).result()

    @property
    def backend(self) -> str:
        """By which means it is run (`models.boxes.backend`)."""
        if self._own is not None:
            return backend_of(self._own)
        return self._workers.submit(_backend, self._build).result()

    @property
    def device(self) -> str:
        """Where it runs."""
        if self._own is not None:
            return device_of(self._own)
        return self._workers.submit(_device, self._build).result()

    def predict(
        self, batches: Iterable[Images], *, ahead: int | None = None
    ) -> Iterator[list[Any]]:
        """The detections of each batch, in order; an empty batch gives an empty list. At most three
        batches a worker, and `ahead` in all, are under way, so an endless source needs no endless
        memory."""
        limit = min(3 * self._workers.count, ahead or 3 * self._workers.count)
        waiting: deque[Future[tuple[list[Any], float]]] = deque()
        for batch in batches:
            if self._own is not None:
                yield self._count(*_timed(self._own, batch))
                continue
            waiting.append(self._workers.submit(_predict, self._build, batch))
            while len(waiting) >= limit:
                yield self._count(*waiting.popleft().result())
        while waiting:
            yield self._count(*waiting.popleft().result())

    def _count(self, found: list[Any], seconds: float) -> list[Any]:
        self.seconds += seconds
        self.images += len(found)
        return found


def batched(
    items: Iterable[_Item], size: int, *, image_of: Callable[[_Item], NDArray[np.uint8]]
) -> Iterator[list[_Item]]:
    """The items in lists of `size` (the last may be shorter); a change of shape ends a list."""
    batch: list[_Item] = []
    for item in items:
        other_shape = batch and image_of(batch[0]).shape != image_of(item).shape
        if len(batch) == size or other_shape:
            yield batch
            batch = []
        batch.append(item)
    if batch:
        yield batch


def batched_images(
    images: Iterable[NDArray[np.uint8]], size: int
) -> Iterator[list[NDArray[np.uint8]]]:
    """`batched`, of plain images."""
    return batched(images, size, image_of=lambda image: image)
