"""Runs nights in processes of this machine, one GPU each if there are several."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from types import FrameType

from culling_pipeline.run.process_start import undisturbed_start
from jobs.errors import EXIT_INTERRUPTED, EXIT_NIGHT
from jobs.executors.base import Outcome, Task
from models.without_compiler import spare_the_compiler

STOP_S = 30.0
"""How long nights get to note that they were interrupted."""
NICE = 10
"""Nights run at a lower priority than `ingest`, which must not fall behind."""
GPUS = "CUDA_VISIBLE_DEVICES"

_context = multiprocessing.get_context("spawn")


@dataclass(slots=True)
class _Running:
    task: Task
    process: multiprocessing.process.BaseProcess
    answer: Connection
    slot: int
    outcome: Outcome | None = None


class LocalExecutor:
    """`slots` nights at a time. With several `gpus`, the night in slot i sees only GPU i."""

    def __init__(self, slots: int = 1, *, gpus: int = 0, json_logs: bool = False) -> None:
        self.slots = slots
        self._gpus, self._json_logs = gpus, json_logs
        self._running: dict[int, _Running] = {}
        self._stopping = False

    def start(self, task: Task) -> None:
        """Begin a night in its own process."""
        slot = min(set(range(self.slots)) - {r.slot for r in self._running.values()})
        answer, answering = _context.Pipe(duplex=False)
        process = _context.Process(
            target=_work,
            args=(task, answering, gpu_of(slot, self._gpus), self._json_logs),
            name=f"night of {task.camera}",
        )
        with undisturbed_start():
            process.start()
            self._running[task.due_id] = _Running(task, process, answer, slot)
        answering.close()

    def finished(self) -> list[Outcome]:
        """The nights that have ended."""
        for running in self._running.values():
            self._listen(running)
        outcomes = [self._ended(r) for r in self._running.values() if not r.process.is_alive()]
        for outcome in outcomes:
            del self._running[outcome.due_id]
        return outcomes

    def stop(self) -> None:
        """Interrupt all nights; each notes it and can be resumed."""
        self._stopping = True
        for running in self._running.values():
            running.process.terminate()
        deadline_s = time.monotonic() + STOP_S
        for running in self._running.values():
            running.process.join(max(0.0, deadline_s - time.monotonic()))
            if running.process.is_alive():
                running.process.kill()
                running.process.join()

    def _listen(self, running: _Running) -> None:
        """Take the answer as soon as it is there: a long one would fill the pipe, and the process
        would wait for us for ever."""
        if running.outcome is None and running.answer.poll():
            try:
                running.outcome = running.answer.recv()
            except EOFError:
                running.outcome = self._without_answer(running)

    def _ended(self, running: _Running) -> Outcome:
        running.process.join()
        self._listen(running)
        running.answer.close()
        return running.outcome or self._without_answer(running)

    def _without_answer(self, running: _Running) -> Outcome:
        running.process.join()
        due_id, code = running.task.due_id, running.process.exitcode
        if self._stopping:  # it had not begun yet, or was too slow to answer
            return Outcome(due_id, error="interrupted", exit_code=EXIT_INTERRUPTED)
        error = f"its process ended without an answer ({_in_words(code)})"
        return Outcome(due_id, error=error, exit_code=EXIT_NIGHT, lost=True)


def gpu_of(slot: int, gpus: int) -> str | None:
    """The GPU for a slot's night, out of those this process may use; None: the night chooses
    itself."""
    if gpus < 2:
        return None
    allowed = os.environ.get(GPUS) or ",".join(map(str, range(gpus)))
    return allowed.split(",")[slot % gpus].strip()


def _in_words(code: int | None) -> str:
    if code is not None and code < 0:
        return f"signal {-code}"
    return f"exit code {code}"


def _work(task: Task, answer: Connection, gpu: str | None, json_logs: bool) -> None:
    signal.signal(signal.SIGTERM, _interrupt)
    os.nice(NICE)
    if gpu is not None:
        os.environ[GPUS] = gpu  # before torch is imported, below
    parent = multiprocessing.parent_process()
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    try:
        spare_the_compiler()
        from jobs.executors.task import log_nights, run_task

        log_nights(as_json=json_logs)
        outcome = run_task(task)
    except KeyboardInterrupt:
        outcome = Outcome(task.due_id, error="interrupted", exit_code=EXIT_INTERRUPTED)
    answer.send(outcome)
    answer.close()


def _end_with(parent: multiprocessing.process.BaseProcess) -> None:
    """End with the service: if it was killed, no orphan is left, and the next service resumes the
    nights."""
    parent.join()
    os._exit(1)


def _interrupt(number: int, _: FrameType | None) -> None:
    raise KeyboardInterrupt
