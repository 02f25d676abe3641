"""`culling demo --json`, with a night cut down to seconds; `make demo` runs the real one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.testbed.tiny import SETTINGS
from jobs import cli
from jobs.nights import demo

pytestmark = pytest.mark.timeout(1200)

KEYS = {
    "camera", "frames_seen", "survivors", "kept", "scale", "map50_before", "map50_after",
    "map50_random", "promoted", "report", "ledger", "cost_ratio",
}  # fmt: skip


def test_the_demo_prints_one_json_object_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    shortened = {**demo.SETTINGS, **SETTINGS, "fps": 0.0008, "training": {"epochs": 1}}
    monkeypatch.setattr(demo, "SETTINGS", shortened)
    assert cli.run(["demo", "--data-dir", str(tmp_path / "new" / "demo"), "--json"]) == 0
    out, err = capfd.readouterr()
    assert out.count("\n") == 1
    shown = json.loads(out)
    assert set(shown) == KEYS
    assert shown["camera"] == "demo"
    assert (shown["frames_seen"], shown["survivors"], shown["kept"]) == (70, 24, 8)
    assert 0.5 < shown["scale"] <= 1
    assert shown["promoted"] is True
    for key in ("map50_before", "map50_after", "map50_random"):
        assert 0 <= shown[key] <= 1
    assert shown["cost_ratio"] > 0
    assert shown["ledger"]["scoring"]["images"] == 70
    assert all(set(line) == {"images", "seconds"} for line in shown["ledger"].values())
    page = Path(shown["report"])
    assert page.is_absolute()
    assert page.is_relative_to(tmp_path)
    assert page.read_text(encoding="utf-8").rstrip().endswith("</html>")
    assert "scoring: done, 70/70" in err
    assert "Traceback" not in err
