"""`culling bootstrap`, for real: drawn, labelled, trained, measured, put to work; and resumed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.testbed.tiny import SETTINGS, write_config
from culling_pipeline.training.loop import TrainingError
from jobs.cameras.incumbent import ensure_incumbent
from jobs.cli import run
from jobs.config.load import load_config
from jobs.nights import bootstrap, bootstrap_rollout, bootstrap_shares
from models.boxes.student import load_detector
from models.registry import ModelRegistry
from models.versions import ORIGIN_META

TINY = {"width": 0.125, "max_side_px": 160}
ASKED = ("bootstrap", "--all", "--from-scratch", "--frames", "12", "--epochs", "1")


def configured(folder: Path) -> Path:
    """Two cameras of different shapes and classes; the second has a trained student in use."""
    yard = {**SETTINGS, "student": TINY}
    park = {**yard, "source": "synthetic://street?seed=6&hours=24&width=128&height=96"}
    park["classes"] = {"person": "person", "vehicle": ["car", "bicycle"]}
    path = write_config(folder, yard=yard, park=park)
    config = load_config(path)
    registry = ModelRegistry(config.models_root)
    ensure_incumbent(registry, config.cameras["park"], size=(96, 128), device="cpu")
    return path


def test_a_first_student_is_made_cut_off_and_gone_on_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = configured(tmp_path)
    config = load_config(path)
    with monkeypatch.context() as broken:

        def cut_off(*_: Any, **__: Any) -> None:
            message = "cut off"
            raise TrainingError(message)

        broken.setattr(bootstrap, "train_first_student", cut_off)
        assert run([*ASKED, "--json", "--config", str(path)]) == 5
    assert json.loads(capsys.readouterr().out)["error"] == "bootstrap: cut off"
    labels = sorted(config.data_dir.glob("bootstrap/*/*/teacher.npz"))
    assert len(labels) == 2

    counting = Counting(bootstrap_shares.answers_of)
    for step in (bootstrap_shares, bootstrap_rollout):
        monkeypatch.setattr(step, "answers_of", counting)
    assert run([*ASKED, "--json", "--config", str(path)]) == 0
    said = json.loads(capsys.readouterr().out)
    # The teacher was not asked again: only the students looked at the control frames.
    assert counting.frames == 2 + 2 * 2
    assert said["cost"]["frames"] == 12
    fastest, slowest = said["cost"]["total_s"]
    assert 0 < fastest <= slowest
    assert set(said["objects"]) == {"person", "car", "bicycle"}
    assert sum(said["objects"].values()) > 0
    check_yard(said["cameras"]["yard"], config.models_root)
    park = said["cameras"]["park"]
    assert not park["in_use"]
    assert park["map50_before"] is not None
    registry = ModelRegistry(config.models_root)
    assert registry.incumbent("park") == "start"
    assert park["version"] in registry.versions("park")
    assert list(config.data_dir.glob("bootstrap/*/")) == []
    # The file is what a configuration can name.
    camera = f"{{source: a.mp4, classes: [car], student: {{weights: {said['weights']}}}}}"
    (tmp_path / "other.yaml").write_text(f"cameras: {{door: {camera}}}")
    door = load_config(tmp_path / "other.yaml").cameras["door"]
    folder = ensure_incumbent(registry, door, size=(96, 160), device="cpu")
    assert load_detector(folder).class_names == ("car",)
    assert registry.untrained("door", folder.name) is None


def check_yard(yard: dict[str, Any], root: Path) -> None:
    """It had none, so the first student is in use, whatever it measured."""
    registry = ModelRegistry(root)
    assert yard["in_use"]
    assert yard["map50_before"] is None
    assert registry.incumbent("yard") == yard["version"]
    assert registry.untrained("yard", yard["version"]) is None
    assert registry.meta("yard", yard["version"])[ORIGIN_META] == "bootstrap"
    student = load_detector(registry.path("yard", yard["version"]))
    assert student.class_names == ("person", "car", "bicycle")
    assert (student.spec.height_px, student.spec.width_px) == (96, 160)


class Counting:
    """`answers_of`, with a count of the frames it was given."""

    def __init__(self, answers_of: Any) -> None:
        self.answers_of, self.frames = answers_of, 0

    def __call__(self, pool: Any, frames: Any, *rest: Any) -> Any:
        self.frames += len(frames)
        return self.answers_of(pool, frames, *rest)


def test_the_cost_alone_leaves_nothing_behind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_config(tmp_path, yard={**SETTINGS, "student": TINY})
    assert run([*ASKED, "--cost-only", "--config", str(path)]) == 0
    said = capsys.readouterr().err
    assert "a first student for 1 camera takes about" in said
    assert "the teacher labels 15 frames (12 to train on, 3 to measure on)" in said
    assert not (tmp_path / "data" / "bootstrap").exists()
    assert not (tmp_path / "data" / "models").exists()
