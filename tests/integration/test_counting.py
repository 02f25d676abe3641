"""What is a counting camera's own: what it is judged by, what it says, and which teachers it takes.
What it has in common with boxes is tested with them (`either` in `conftest.py`)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from benchmarks.testbed.tiny import CAMERA, COUNTING, DoneNight, write_config
from culling_pipeline.records.night import NightRecord
from jobs import cli
from jobs.config.load import load_config
from jobs.config.settings import Config
from jobs.database.store import Store
from models.registry import ModelRegistry

pytestmark = pytest.mark.timeout(900)

BOXES = {"weights": "builtin:street-teacher"}
"""A box detector as the teacher, which knows person, car and bicycle."""


@dataclass(frozen=True)
class Yard:
    """The camera after its first night."""

    path: Path
    record: NightRecord

    @property
    def config(self) -> Config:
        return load_config(self.path)

    def run(self, *arguments: str) -> int:
        return cli.run([*arguments, "--config", str(self.path)])


@pytest.fixture(scope="module")
def yard(counted: DoneNight) -> Yard:
    return Yard(counted.config.data_dir.parent / "config.yaml", counted.record)


def test_its_night_is_judged_by_its_count(yard: Yard) -> None:
    record, judge = yard.record, yard.record.judge
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


def test_check_says_what_it_counts(yard: Yard, capfd: pytest.CaptureFixture[str]) -> None:
    assert yard.run("check") == 0
    said = " ".join(capfd.readouterr().out.split())
    assert "counts person" in said
    assert "plaza-teacher" in said


@pytest.mark.parametrize("command", ["check", "retrain"])
@pytest.mark.parametrize(
    ("count", "complaint"),
    [
        (COUNTING["count"] | {"what": "cow"}, "class 'cow' is unknown to the detector"),
        ({"what": "cow"}, "class 'cow' is unknown to the detector, which knows: person, car"),
        ({"what": "person", "teacher": "builtin:street-teacher"}, "is no counting net"),
        ({"what": "person", "teacher": "builtin:none"}, "no such built-in model"),
    ],
)
def test_a_teacher_that_cannot_teach_a_count_is_refused_in_one_line(
    count: dict[str, object],
    complaint: str,
    command: str,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    camera = {**COUNTING, "count": count, "teacher": BOXES}
    path = write_config(tmp_path, **{CAMERA: camera})
    as_json = ["--json"] if command == "check" else [CAMERA]
    assert cli.run([command, *as_json, "--config", str(path)]) == 4
    out, err = capfd.readouterr()
    assert "Traceback" not in err
    if command == "check":
        said = [found["detail"] for found in json.loads(out)["findings"] if found["exit_code"]]
    else:
        said = [line for line in err.splitlines() if line.startswith("culling:")]
    assert len(said) == 1
    assert complaint in said[0]
    assert "\n" not in said[0]


def test_a_day_on_which_the_teacher_counts_nobody_keeps_the_old_student(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    camera = {**COUNTING, "fps": 0.0003, "teacher": BOXES | {"min_score": 1.0}}
    camera["count"] = {"what": "person", "width": 0.1}
    path = write_config(tmp_path, **{CAMERA: camera})
    assert cli.run(["retrain", CAMERA, "--config", str(path)]) == 0
    said = " ".join(capfd.readouterr().out.replace("│", " ").split())
    assert said.count("the old model: the teacher found nothing on the control slice") == 1
    config = load_config(path)
    with Store(config.data_dir) as store:
        record = store.last_record(CAMERA)
    assert record is not None
    assert (record.judge.after.objects, record.version) == (0, None)
    assert ModelRegistry(config.models_root).incumbent(CAMERA) == "start"
    page = config.report_dir(CAMERA, record.run_id) / "index.html"
    assert "found no object at all" in page.read_text(encoding="utf-8")
    # Then the next night, whose teacher counts somebody, goes on from there
    write_config(tmp_path, **{CAMERA: {**camera, "count": COUNTING["count"]}})
    assert cli.run(["retrain", CAMERA, "--config", str(path)]) == 0
    with Store(config.data_dir) as store:
        record = store.last_record(CAMERA)
    assert record is not None
    assert record.judge.after.objects > 0
    assert ModelRegistry(config.models_root).parent(CAMERA, record.run_id) == "start"
