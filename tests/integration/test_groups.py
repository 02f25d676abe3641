"""Groups of small cameras: what `culling plan --groups` proposes after their nights, in which words
cameras are left out, and the night of a group."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from benchmarks.testbed.tiny import COUNTING, DAY, SMALL, debris, with_settings, write_config
from culling_pipeline.night import group_night
from culling_pipeline.records.day import IngestRecord
from culling_pipeline.records.night import NightRecord
from culling_pipeline.records.training import TrainRecord
from culling_pipeline.run.progress import NoProgress
from culling_pipeline.training.loop import TrainingError
from jobs.cli import run
from jobs.config.load import load_config
from jobs.config.settings import Config
from jobs.database.store import Store
from jobs.nights.nightly import retrain_camera
from models.files import load_meta
from models.registry import ModelRegistry

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
    assert not group["is_one"], "versions of one name are not one student"
    assert found["alone"]["new"] == "has no night yet: run `culling retrain new`"
    assert "no other camera can share its student: classes is" in found["alone"]["hall"]
    assert 0 < found["looks"] <= 3 * 2 * 48
    assert not (folder / "data" / "frames" / "new").exists()


def test_in_words(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plan", "--groups"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "groups: {NAME: [north, south]}" in said
    assert "one training instead of 2" in said
    assert "stays alone" in said


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


# -- the night of a group --------------------------------------------------------------------------

TINY = {**SMALL, "training": {"epochs": 1}, "judging": {"min_gain": -1}}
NIGHTS: dict[str, dict[str, Any]] = {
    "street": TINY,
    "plaza": with_settings(COUNTING, training={"epochs": 1}),
}


def write_pair(folder: Path, scene: str) -> Config:
    address = f"synthetic://{scene}?hours=24&height=96"
    north, south = f"{address}&seed=5&width=160", f"{address}&seed=6&width=128"
    night = NIGHTS[scene]
    pair = {"north": {**night, "source": north}, "south": {**night, "source": south}}
    path = write_config(folder, **pair)
    with path.open("a", encoding="utf-8") as file:
        file.write("groups: {entrance: [north, south]}\n")
    return load_config(path)


@pytest.mark.parametrize("scene", NIGHTS)
def test_a_group_has_one_student_one_version_and_a_record_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], scene: str
) -> None:
    config = write_pair(tmp_path, scene)
    monkeypatch.chdir(tmp_path)
    stages: list[str] = []
    whole = group_night.train_together

    def cut_off(*arguments: Any, **named: Any) -> TrainRecord:
        stages.append("training")
        if len(stages) == 1:
            message = "the loss is not finite"
            raise TrainingError(message)
        return whole(*arguments, **named)

    monkeypatch.setattr(group_night, "train_together", cut_off)
    assert run(["retrain", "entrance", "--json"]) == 5
    assert "group 'entrance': the loss is not finite" in capsys.readouterr().err
    with Store(config.data_dir) as store:
        failed = store.latest_nights()
        assert {n.state for n in failed.values()} == {"failed"}
        watched = [store.stage_result(n.id, "ingest") for n in failed.values()]

    assert run(["retrain", "north", "--json"]) == 0, "a camera's night is its group's"
    shown = json.loads(capsys.readouterr().out)["cameras"]
    assert list(shown) == ["north", "south"]
    registry = ModelRegistry(config.models_root)
    records = []
    with Store(config.data_dir) as store:
        for name, before in zip(("north", "south"), watched, strict=True):
            night = store.latest_night(name)
            assert night is not None
            assert (night.state, night.attempt) == ("done", 2), "no day was watched twice"
            record = store.record(night.id)
            assert isinstance(record, NightRecord)
            assert before is not None
            assert record.ingest == IngestRecord.model_validate(before)
            records.append(record)
            assert len(store.history.of(name)) == 2
    north, south = records
    assert north.run_id == south.run_id == registry.incumbent("north") == north.version
    assert registry.incumbent("south") == south.version
    assert north.train == south.train
    assert north.train.images == len(north.cull.kept) + len(south.cull.kept)
    weights = {load_meta(registry.path(n, north.run_id))["sha256"] for n in ("north", "south")}
    assert len(weights) == 1, "one student"
    sizes = [registry.meta(n, north.run_id)["spec"]["width_px"] for n in ("north", "south")]
    assert sizes[0] > sizes[1], "each at its camera's size"
    assert north.judge.reason == south.judge.reason
    assert "over 2 cameras" in north.judge.reason
    assert "together with south" in north.notes[-1]
    page = config.report_dir("entrance", north.run_id) / "index.html"
    assert "north" in page.read_text(encoding="utf-8")
    assert config.report_dir("south", south.run_id).is_dir()
    assert debris(config.data_dir) == []
