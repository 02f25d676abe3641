"""The fault `ascii_output`: with a terminal that knows no UTF-8, a night that was done all the same
ended as failed, and tables as a traceback."""

from __future__ import annotations

import json
from pathlib import Path

from tests.unit.test_terminal import C_LOCALE, culling

CONFIG = """
workers: 1
device: cpu
cameras: {yard: {source: "synthetic://street?seed=7&hours=0.01", classes: [person, car]}}
defaults:
  fps: 2
  culling: {keep: 4, control: {frames: 4}}
  training: {epochs: 1}
  judging: {compare_random: false}
  resolution: {enabled: false}
"""


def test_a_finished_night_stays_finished(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(CONFIG, encoding="utf-8")
    night = culling("retrain", "yard", folder=tmp_path, **C_LOCALE)
    assert (night.returncode, b"Unicode" in night.stderr) == (0, False), night.stderr
    assert b"done" in night.stdout
    for arguments in (["models", "yard"], ["report", "yard"], ["check"]):
        shown = culling(*arguments, folder=tmp_path, **C_LOCALE)
        assert (shown.returncode, b"Traceback" in shown.stderr) == (0, False), shown.stderr
        assert shown.stdout.strip()
        assert shown.stdout.isascii()
    told = culling("report", "yard", "--json", folder=tmp_path, **C_LOCALE)
    assert json.loads(told.stdout)["cameras"]["yard"]["state"] == "done"
