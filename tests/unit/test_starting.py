"""Signals that come while a process is being started."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType

import pytest

from culling_pipeline.starting import undisturbed_start


@pytest.fixture
def other_thread() -> Iterator[int]:
    """A thread that takes signals which the main thread has masked."""
    end = threading.Event()
    thread = threading.Thread(target=end.wait)
    thread.start()
    assert thread.ident is not None
    yield thread.ident
    end.set()
    thread.join()


def test_ctrl_c_waits_for_the_start_even_if_another_thread_takes_it(other_thread: int) -> None:
    started = []

    def start() -> None:
        with undisturbed_start():
            signal.pthread_kill(other_thread, signal.SIGINT)
            time.sleep(0.2)  # until it has arrived there; the handler is called here
            started.append("whole")

    with pytest.raises(KeyboardInterrupt):
        start()
    assert started == ["whole"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_sigterm_waits_as_well_and_reaches_its_own_handler() -> None:
    said: list[str] = []

    def handle(number: int, _: FrameType | None) -> None:
        said.append(signal.Signals(number).name)

    before = signal.signal(signal.SIGTERM, handle)
    try:
        with undisturbed_start():
            signal.raise_signal(signal.SIGTERM)
            said.append("started")
        assert said == ["started", "SIGTERM"]
        assert signal.getsignal(signal.SIGTERM) is handle
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_thread_that_no_signal_interrupts_may_start_processes_too() -> None:
    masks: list[set[signal.Signals | int]] = []

    def start() -> None:
        with undisturbed_start():
            masks.append(signal.pthread_sigmask(signal.SIG_BLOCK, []))

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert [signal.SIGINT in mask for mask in masks] == [True]
