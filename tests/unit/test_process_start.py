"""Signals that come while a process is being started; each test in a process of its own, which a
signal may end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
CTRL_C = """
import os, signal, threading
from culling_pipeline.run.process_start import undisturbed_start

arrived, arriving = os.pipe()
os.set_blocking(arriving, False)
signal.set_wakeup_fd(arriving)
end = threading.Event()
other = threading.Thread(target=end.wait)
other.start()
try:
    with undisturbed_start():
        signal.pthread_kill(other.ident, signal.SIGINT)
        os.read(arrived, 1)  # until it has arrived there; Python calls the handler here
        print("started")
    print("not interrupted")
except KeyboardInterrupt:
    print("interrupted")
end.set()
print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)
print(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, []))
"""
SIGTERM = """
import signal
from culling_pipeline.run.process_start import undisturbed_start

def handle(number, frame):
    print(signal.Signals(number).name)

signal.signal(signal.SIGTERM, handle)
with undisturbed_start():
    signal.raise_signal(signal.SIGTERM)
    print("started")
print(signal.getsignal(signal.SIGTERM) is handle)
"""
IN_A_THREAD = """
import signal, threading
from culling_pipeline.run.process_start import undisturbed_start

def start():
    with undisturbed_start():
        print(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, []))

thread = threading.Thread(target=start)
thread.start()
thread.join()
"""
IGNORED = """
import signal
from culling_pipeline.run.process_start import undisturbed_start

signal.signal(signal.SIGINT, signal.SIG_IGN)
with undisturbed_start():
    signal.raise_signal(signal.SIGINT)
    print("started")
print(signal.getsignal(signal.SIGINT) is signal.SIG_IGN)
"""


def said_by(script: str) -> list[str]:
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stderr) == (0, "")
    return run.stdout.splitlines()


def test_ctrl_c_waits_for_the_start_even_if_another_thread_takes_it() -> None:
    assert said_by(CTRL_C) == ["started", "interrupted", "True", "False"]


def test_sigterm_waits_as_well_and_reaches_its_own_handler() -> None:
    assert said_by(SIGTERM) == ["started", "SIGTERM", "True"]


def test_a_thread_that_no_signal_interrupts_may_start_processes_too() -> None:
    assert said_by(IN_A_THREAD) == ["True"]


def test_ctrl_c_stays_ignored_in_a_scripts_background() -> None:
    assert said_by(IGNORED) == ["started", "True"]
