"""`culling quickstart`: from an address to a report, on a small street."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jobs import cli
from jobs.config.load import load_config

pytestmark = pytest.mark.timeout(600)

SOURCE = "synthetic://street?seed=7&hours=0.02&width=160&height=96"


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "config.yaml"


def test_one_command_ends_with_a_report_and_the_crontabs_line(
    config: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = ["quickstart", SOURCE, "--classes", "person,car", "--budget", "2 s", "--json"]
    assert cli.run(arguments) == 0
    out, err = capfd.readouterr()
    shown = json.loads(out)
    assert (shown["camera"], shown["state"]) == ("street", "done")
    assert Path(shown["report"]).is_file()
    assert f" retrain street --config {config}" in shown["goes_on"]
    camera = load_config(config).cameras["street"]
    assert (camera.class_names, camera.culling.budget) == (("person", "car"), "2 s")
    assert shown["record"]["ingest"]["frames_seen"] == pytest.approx(camera.fps * 72, abs=2)
    assert "so the camera gets fps: 1, keep: 18 and" in err
    assert cli.run(arguments) == 0  # again: the same camera, no second one
    assert "street: is in config.yaml already" in capfd.readouterr().err
    assert list(load_config(config).cameras) == ["street"]


def test_what_is_wrong_ends_it_before_the_night(
    config: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["quickstart", str(tmp_path / "no.mp4"), "--yes"]) == 3
    assert not config.exists()
    teacher = ["quickstart", SOURCE, "--yes", "--teacher"]
    assert cli.run([*teacher, "no.onnx"]) == 2
    assert not config.exists()
    assert "--teacher no.onnx: there is no such file" in capfd.readouterr().err
    config.write_text("data_dir: here\ncameras: {}\n", encoding="utf-8")
    (tmp_path / "no.xml").write_bytes(b"")
    assert cli.run([*teacher, "no.xml", "--classes", "unicorn"]) == 4
    assert "needs its .bin" in capfd.readouterr().out
    assert cli.run([*teacher, "builtin:street-teacher"]) == 4  # the second try has another
    assert load_config(config).cameras["street"].teacher.weights == "builtin:street-teacher"
    out, err = capfd.readouterr()
    assert "unicorn" in out
    assert "mend this, then run the same command again" in err
    assert not (tmp_path / "here" / "reports").exists()
