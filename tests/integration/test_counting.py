"""A camera that counts, by the commands of any other camera: nights, export, rollback, corrections,
detect, check."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from benchmarks.testbed.tiny import CAMERA, COUNTING, write_config
from culling_pipeline.night.files import TEACHER_FILE
from culling_pipeline.records.night import NightRecord
from jobs import cli
from jobs.cameras.task import task_of
from jobs.config.load import load_config
from jobs.config.settings import Config
from jobs.database.store import Store
from models.registry import ModelRegistry

pytestmark = pytest.mark.timeout(900)


@dataclass(frozen=True)
class Yard:
    """The camera after its first night."""

    path: Path

    @property
    def config(self) -> Config:
        return load_config(self.path)

    def run(self, *arguments: str) -> int:
        return cli.run([*arguments, "--config", str(self.path)])

    def records(self) -> list[NightRecord]:
        """Its nights, the newest first."""
        with Store(self.config.data_dir) as store:
            found = [store.record(night.id) for night in store.nights(CAMERA, state="done")]
        return [record for record in found if isinstance(record, NightRecord)]


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Yard:
    made = Yard(write_config(tmp_path_factory.mktemp("yard"), yard=COUNTING))
    assert made.run("retrain", CAMERA) == 0
    return made


def test_its_night_is_judged_by_its_count(yard: Yard) -> None:
    [record] = yard.records()
    judge = record.judge
    assert (judge.after.score.metric, judge.after.score.higher_is_better) == ("MAE", False)
    assert {point.frame_id for point in judge.counts} == set(record.ingest.control)
    error = np.mean([abs(point.after - point.teacher) for point in judge.counts])
    assert judge.after.score.value == pytest.approx(error)
    assert record.teacher == "builtin:plaza-teacher (csrnet_lite, width 0.25)"
    page = yard.config.report_dir(CAMERA, record.run_id) / "index.html"
    text = page.read_text(encoding="utf-8")
    assert "The count through the day" in text
    assert "mAP" not in text


def test_detect_says_and_draws_the_count(
    yard: Yard, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source, video = f"{COUNTING['source']}&start=18&hours=0.01", tmp_path / "out.mp4"
    arguments = ("detect", CAMERA, source, "--every", "10", "--json", "--output", str(video))
    assert yard.run(*arguments) == 0
    lines = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert len(lines) == 4
    assert {line["class"] for line in lines} == {"person"}
    assert all(line["count"] >= 0 and line["doubt"] >= 0 for line in lines)
    assert video.stat().st_size > 1000


def test_corrected_points_come_back_and_are_trained_on_and_versions_roll_back(
    yard: Yard, tmp_path: Path
) -> None:
    [before] = yard.records()
    out = tmp_path / "out"
    assert yard.run("dataset", "export", CAMERA, "--output", str(out)) == 0
    content = json.loads((out / "annotations.json").read_text(encoding="utf-8"))
    assert len(content["images"]) == len(before.cull.kept)
    assert len(content["annotations"]) > 10
    content["annotations"] = [
        {"id": row["id"], "image_id": row["id"], "category_id": 1, "bbox": [10, 20, 4, 4]}
        for row in content["images"]
    ]
    back = tmp_path / "back.json"
    back.write_text(json.dumps(content), encoding="utf-8")
    assert yard.run("dataset", "import", CAMERA, str(back)) == 0

    assert yard.run("retrain", CAMERA, "--fresh") == 0
    after = yard.records()[0]
    assert after.label.corrected > 0
    config = yard.config
    task, folder = task_of(config.cameras[CAMERA]), config.frames_dir(CAMERA, after.run_id)
    truths = task.load(folder / TEACHER_FILE)
    corrected = {f.wall_time for f in before.ingest.frames if f.id in before.cull.kept}
    again = [f.id for f in after.ingest.frames if f.wall_time in corrected and f.id in truths]
    assert again
    for frame in again:
        assert truths[frame].points.tolist() == [[12.0, 22.0]]

    page = config.report_dir(CAMERA, after.run_id) / "index.html"
    text = page.read_text(encoding="utf-8")
    assert "with labels corrected by hand" in text
    assert "person: teacher " in text
    registry = ModelRegistry(yard.config.models_root)
    assert registry.incumbent(CAMERA) == after.run_id
    assert yard.run("rollback", CAMERA) == 0
    assert registry.incumbent(CAMERA) == before.run_id
    assert yard.run("retrain", CAMERA, "--fresh") == 0
    assert len(yard.records()) == 3


def test_check_says_what_it_counts(yard: Yard, capfd: pytest.CaptureFixture[str]) -> None:
    assert yard.run("check") == 0
    said = " ".join(capfd.readouterr().out.split())
    assert "counts person" in said
    assert "plaza-teacher" in said


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"count": {"what": "cow"}}, "class 'cow' is unknown to the detector"),
        (
            {"count": {"what": "person", "teacher": "builtin:street-teacher"}},
            "is no counting net",
        ),
        ({"count": {"what": "person", "teacher": "builtin:none"}}, "no such built-in model"),
    ],
)
def test_a_teacher_that_cannot_teach_a_count_is_refused_in_one_line(
    changes: dict[str, object],
    complaint: str,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    path = write_config(tmp_path, yard={**COUNTING, **changes})
    assert cli.run(["retrain", CAMERA, "--config", str(path)]) != 0
    said = [line for line in capfd.readouterr().err.splitlines() if line.startswith("culling:")]
    assert len(said) == 1
    assert complaint in said[0]
    assert "Traceback" not in said[0]
