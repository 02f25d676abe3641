"""`culling plan --groups` after real nights of small cameras: what is proposed, and in which words
cameras are left out."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from benchmarks.testbed.tiny import DAY, SMALL, write_config
from culling_pipeline.run.progress import NoProgress
from jobs.cli import run
from jobs.config.load import load_config
from jobs.database.store import Store
from jobs.nights.nightly import retrain_camera

pytestmark = pytest.mark.timeout(900)

JUDGING = {"min_gain": -1, "compare_random": False}


def camera(seed: int, **changes: Any) -> dict[str, Any]:
    source = f"synthetic://street?seed={seed}&hours=24&width=320&height=192"
    return {**SMALL, "source": source, "judging": JUDGING, **changes}


CAMERAS = {
    "north": camera(21),
    "south": camera(31),
    "hall": camera(5, classes=["person"]),
    "new": camera(6),
}


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the nights of three cameras."""
    folder = tmp_path_factory.mktemp("groups")
    config = load_config(write_config(folder, **CAMERAS))
    with Store(config.data_dir) as store:
        for name in ("north", "south", "hall"):
            retrain_camera(config, name, store=store, progress=NoProgress(), today=lambda: DAY)
    return folder


@pytest.fixture
def folder(nights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(nights, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def proposal(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert run(["plan", "--groups", "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_two_streets_may_share_and_the_others_are_told_why_not(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = proposal(capsys)
    (group,) = found["groups"]
    assert group["cameras"] == ["north", "south"]
    assert set(found["scores"]) == {"north", "south"}
    for line in group["lines"]:
        assert line["own"] == pytest.approx(found["scores"][line["camera"]][line["camera"]])
        assert line["low"] <= line["gain"] <= line["high"]
        assert line["gain"] == pytest.approx(line["shared"] - line["own"])
    assert group["training_s"] == pytest.approx(group["own_training_s"] / 2)
    assert found["alone"]["new"] == "has no night yet: run `culling retrain new`"
    assert "no other camera can share its student: classes is" in found["alone"]["hall"]
    assert 0 < found["looks"] <= 3 * 2 * 48
    assert not (folder / "data" / "frames" / "new").exists()


def test_in_words(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plan", "--groups"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "groups: {NAME: [north, south]}" in said
    assert "one training instead of 2" in said
    assert "keeps its own student, because" in said


def test_another_net_a_moved_lens_and_lost_frames(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = {**CAMERAS, "south": camera(31, student={"max_side_px": 200})}
    write_config(folder, **changed)
    found = proposal(capsys)
    assert found["groups"] == []
    assert "student.max_side_px is 1280 for 'south'" in found["alone"]["north"] or (
        "student.max_side_px" in found["alone"]["north"]
    )
    write_config(folder, **CAMERAS)
    for labels in (folder / "data" / "frames" / "south").rglob("teacher.npz"):
        labels.unlink()
    assert "labels of night" in proposal(capsys)["alone"]["south"]
    shutil.rmtree(folder / "data" / "frames" / "south")
    assert "no frame is left" in proposal(capsys)["alone"]["south"]
