"""The fuzzing in its short form: some cases of each kind of hostile input, each part in a process
of its own. `python -m benchmarks.fuzz` is the long form."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from benchmarks.fuzz.__main__ import MOST_MIB
from benchmarks.fuzz.watch import Found, _says_more, fuzz

COUNTS = {
    "configs": 100,
    "addresses": 20,
    "playlists": 40,
    "coco": 40,
    "pictures": 40,
    "clips": 70,
    "models": 5,
    "requests": 20,
    "changes": 60,
}
FIRST = {"clips": 100, "models": 287}
"""Seeds that found something once: clips of a codec that FFmpeg does not know, a version's meta
that is nested without end."""


@pytest.mark.slow  # a process for each part
@pytest.mark.parametrize("part", COUNTS)
def test_hostile_inputs_end_in_our_errors_and_show_no_secret(part: str) -> None:
    found = fuzz(part, COUNTS[part], first=FIRST.get(part, 0))
    assert found.examples == []
    assert (found.count, found.faults) == (COUNTS[part], 0)
    assert found.peak_mib < MOST_MIB


def test_a_process_that_does_nothing_hangs_and_one_that_ends_does_not() -> None:
    readable, writable = os.pipe()
    try:
        command = [sys.executable, "-c", "import time; time.sleep(600)"]
        with subprocess.Popen(command, pass_fds=[writable]) as child:
            os.close(writable)
            assert not _says_more(readable, child.pid, 0.2)
            child.kill()
            assert _says_more(readable, child.pid, 60.0)
    finally:
        os.close(readable)


def test_seeds_that_follow_on_are_counted_together_and_others_are_not() -> None:
    first = Found(first=0, count=10, leaks=1, peak_mib=9, kinds={"leak": 1}, examples=["3: leak"])
    second = Found(first=10, count=5, leaks=2, peak_mib=4, kinds={"leak": 2}, examples=["11: leak"])
    both = second.after(first)
    assert (both.first, both.count, both.leaks, both.peak_mib) == (0, 15, 3, 9)
    assert (both.kinds, both.examples) == ({"leak": 3}, ["3: leak", "11: leak"])
    assert first.after(second) == first
