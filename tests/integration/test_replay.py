"""Two nights of a camera: the second trains on frames of the first, also when it is killed."""

from __future__ import annotations

import json
import logging
import shutil
from datetime import date, timedelta
from pathlib import Path

import pytest

from benchmarks.testbed.tiny import CAMERA, DAY, SMALL, SOURCE, tiny_config
from culling_pipeline.night.stages import train
from culling_pipeline.records.night import NightRecord
from culling_pipeline.report.sentences import earlier_words
from culling_pipeline.run.progress import NoProgress
from culling_pipeline.training.job import TrainJob
from jobs.config.settings import Config
from jobs.database.store import Store
from jobs.nights.nightly import retrain_camera
from models.registry import ModelRegistry

pytestmark = pytest.mark.timeout(600)

NEXT = DAY + timedelta(days=1)
SETTINGS = {**SMALL, "judging": {**SMALL["judging"], "compare_random": True}}


def config_of(data: Path, day: int, **training: object) -> Config:
    """The camera as it is on day 0 or 1 of the synthetic street."""
    changes = {**SETTINGS, "training": {**SMALL["training"], "replay": 0.5, **training}}
    return tiny_config(data, **{**changes, "source": f"{SOURCE}&day={day}"})


def night(config: Config, day: date) -> NightRecord:
    with Store(config.data_dir) as store:
        record = retrain_camera(
            config, CAMERA, store=store, progress=NoProgress(), today=lambda: day
        )
    assert isinstance(record, NightRecord)
    return record


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, NightRecord]:
    data = tmp_path_factory.mktemp("first") / "data"
    return data, night(config_of(data, 0), DAY)


def kept_for_later(data: Path) -> list[dict[str, object]]:
    stored = json.loads((data / "replay" / CAMERA / "frames.json").read_text(encoding="utf-8"))
    frames: list[dict[str, object]] = stored["frames"]
    return frames


def control_for_later(data: Path) -> list[dict[str, object]]:
    path = data / "replay" / CAMERA / "control" / "frames.json"
    frames: list[dict[str, object]] = json.loads(path.read_text(encoding="utf-8"))["frames"]
    return frames


def trained_on(job: TrainJob) -> list[str]:
    return sorted(frame.image for frame in job.replayed)


def test_a_first_night_has_none_and_keeps_its_kept_set(first: tuple[Path, NightRecord]) -> None:
    data, record = first
    assert record.train.replayed == 0
    assert record.train.images == len(record.cull.kept) == 6
    frames = {f.id: f for f in record.ingest.frames}
    wanted = {f"{record.run_id}-{frames[i].path}" for i in record.cull.kept}
    assert {f["image"] for f in kept_for_later(data)} == wanted
    control = {f"{record.run_id}-{frames[i].path}" for i in record.ingest.control}
    measured = {str(f["image"]) for f in control_for_later(data)}
    assert measured
    assert measured <= control, "frames for measuring are of the control slice only"
    assert record.judge.earlier is None
    for name in wanted:
        there = data / "replay" / CAMERA / name
        own = data / "frames" / CAMERA / record.run_id / name.removeprefix(f"{record.run_id}-")
        assert there.read_bytes() == own.read_bytes()
        assert there.stat().st_nlink == 1, "a disk budget frees what it deletes"


def test_the_second_trains_on_frames_of_the_first_also_after_a_kill(
    first: tuple[Path, NightRecord], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    shutil.copytree(first[0], data)
    jobs: list[TrainJob] = []

    # Given a second night that is cut off in its training
    def cut_off(job: TrainJob, *_: object) -> None:
        jobs.append(job)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(train, "run_training", cut_off)
        with pytest.raises(KeyboardInterrupt):
            night(config_of(data, 1), NEXT)

    # When it is taken up again
    def at_work(job: TrainJob, *rest: object) -> object:
        jobs.append(job)
        return original(job, *rest)

    original = train.run_training
    monkeypatch.setattr(train, "run_training", at_work)
    record = night(config_of(data, 1), NEXT)

    # Then both students are trained on the frames that the first try had chosen
    assert record.budget is not None
    assert record.budget.own.replayed == record.train.replayed == 6
    assert record.train.images == len(record.cull.kept) + 6
    assert record.random_train is not None
    assert record.random_train.replayed == 6
    cut, *again = jobs
    assert [job.arm for job in again] == ["random", "culled"]
    assert trained_on(cut) == trained_on(again[0]) == trained_on(again[1])
    assert set(trained_on(cut)) == {str(f["image"]) for f in kept_for_later(first[0])}
    assert sum(e.images for e in record.train.epochs) == record.train.costs[0].images

    # And the report, the version and the store say so
    page = (data / "reports" / CAMERA / record.run_id / "index.html").read_text(encoding="utf-8")
    assert "6 frames of earlier nights are among these images" in page
    meta = ModelRegistry(data / "models").meta(CAMERA, record.run_id)
    assert meta["frames"]["replayed"] == 6
    assert {f["date"] for f in kept_for_later(data)} == {DAY.isoformat(), NEXT.isoformat()}

    # And both students were measured on the first night's control frames, which no training had
    earlier = record.judge.earlier
    assert earlier is not None
    before = control_for_later(first[0])
    assert earlier.days == 1
    assert earlier.before.frames == earlier.after.frames == len(before)
    assert not {str(f["image"]) for f in before} & set(trained_on(again[1]))
    measured = sum(c.images for c in record.judge.costs)
    assert measured == 3 * len(record.ingest.control) + 2 * len(before), "all of it is paid"
    assert {f["date"] for f in control_for_later(data)} == {DAY.isoformat(), NEXT.isoformat()}
    said = earlier_words(record.judge)
    assert bool(said) == (earlier.after.objects > 0)
    assert said in page


def test_labels_are_those_of_then(first: tuple[Path, NightRecord], tmp_path: Path) -> None:
    from culling_pipeline.night.files import TEACHER_FILE
    from culling_pipeline.tasks.boxes.answer_files import load_detections
    from jobs.cameras.task import task_of

    data, record = first
    config = config_of(data, 0)
    labels = load_detections(config.frames_dir(CAMERA, record.run_id) / TEACHER_FILE)
    task = task_of(config.cameras[CAMERA])
    frames = {f"{record.run_id}-{f.path}": f.id for f in record.ingest.frames}
    for stored in kept_for_later(data):
        truth = stored["truth"]
        assert isinstance(truth, dict)
        found, then = task.answer_from(truth), labels[frames[str(stored["image"])]]
        assert found.boxes_xyxy.tolist() == then.boxes_xyxy.tolist()
        assert found.labels.tolist() == then.labels.tolist()


@pytest.mark.slow
def test_without_replay_nothing_is_used_or_kept(
    first: tuple[Path, NightRecord], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = tmp_path / "data"
    shutil.copytree(first[0], data)
    with caplog.at_level(logging.WARNING):
        record = night(config_of(data, 1, replay=0), NEXT)
    assert record.train.replayed == 0
    assert record.train.images == len(record.cull.kept)
    assert kept_for_later(data) == []
    assert record.judge.earlier is not None, "measuring does not depend on replay"
    assert "earlier nights" not in (
        data / "reports" / CAMERA / record.run_id / "index.html"
    ).read_text(encoding="utf-8")
