"""The examples run as they stand, each in a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
SAID = {
    "hardest_frames": r"96 frames scored; the hardest:\n(\d\d:\d\d:\d\d UTC  L_conf .*\n){10}$",
    "night_on_a_video": r"120 frames seen, 8 kept\nmAP50 .* → .* on the control slice\npromoted: ",
    "schedule_by_index": r"(epoch .*\n){12}trained on 82% of what standard training sees\n$",
}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_it_runs(example: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(example)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert re.match(SAID[example.stem], done.stdout), done.stdout


def test_each_example_has_its_line() -> None:
    text = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")
    named = re.findall(r"^- `python examples/(\w+)\.py", text, re.M)
    assert sorted(named) == [example.stem for example in EXAMPLES]
