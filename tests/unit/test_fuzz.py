"""The fuzzing in its short form: some cases of each kind of hostile input, each part in a process
of its own. `python -m benchmarks.fuzz` is the long form."""

from __future__ import annotations

import pytest

from benchmarks.fuzz.__main__ import MOST_MIB
from benchmarks.fuzz.watch import fuzz

COUNTS = {
    "configs": 100,
    "addresses": 30,
    "playlists": 40,
    "coco": 60,
    "pictures": 40,
    "clips": 70,
    "requests": 20,
}
FIRST = {"clips": 100}
"""Seeds that found something once: clips of a codec that FFmpeg does not know."""


@pytest.mark.parametrize("part", COUNTS)
def test_hostile_inputs_end_in_our_errors_and_show_no_secret(part: str) -> None:
    found = fuzz(part, COUNTS[part], first=FIRST.get(part, 0))
    assert found.examples == []
    assert (found.count, found.faults) == (COUNTS[part], 0)
    assert found.peak_mib < MOST_MIB
