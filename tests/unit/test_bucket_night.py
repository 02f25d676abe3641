"""A night in the store: sent as it goes, taken up elsewhere, and cleared when it is done."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from benchmarks.testbed.small_night import night_record, unusable_night
from culling_pipeline.records.night import AnyNight
from jobs.bucket.bucket import Bucket, StorageError, open_bucket
from jobs.bucket.night import SharedNight
from jobs.bucket.sharing import open_sharing
from jobs.cameras.watched_days import watched_days
from jobs.config.settings import Config
from jobs.config.storage import StorageSettings
from jobs.database.store import NightJournal, Store
from tests.unit.watched import write_day

CAMERA, DAY = "yard", date(2026, 11, 20)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "db")


def machine(tmp_path: Path, name: str) -> Config:
    storage = StorageSettings(url=f"file://{tmp_path}/bucket")
    return Config.model_validate({"data_dir": tmp_path / name, "storage": storage})


def begin(config: Config, store: Store, day: date = DAY) -> SharedNight:
    night = store.open_night(CAMERA, day)
    shared = SharedNight(config, bucket_of(config), NightJournal(store, night))
    shared.begin()
    return shared


def bucket_of(config: Config) -> Bucket:
    return open_bucket(config.storage, 0.0)


def frames(config: Config, run_id: str = DAY.isoformat()) -> Path:
    return config.frames_dir(CAMERA, run_id)


def leave(config: Config, run_id: str = DAY.isoformat(), **work: str) -> None:
    """Two frames, and files of work."""
    for name in ("0.jpg", "1.jpg"):
        _write(frames(config, run_id) / name, f"{run_id} {name}")
    for name, text in work.items():
        _write(config.work_dir(CAMERA, run_id) / name, text)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def work(config: Config) -> dict[str, str]:
    return {p.name: p.read_text() for p in config.work_dir(CAMERA, DAY.isoformat()).iterdir()}


def finish(shared: SharedNight, config: Config, store: Store, record: AnyNight) -> None:
    _write(config.report_dir(CAMERA, record.run_id) / "index.html", f"page of {record.run_id}")
    shared.publish(record)
    night = store.latest_night(CAMERA)
    assert night is not None
    store.finish_night(night.id, record)
    shared.over(record)


def test_what_a_stage_left_is_there_before_its_record(tmp_path: Path, store: Store) -> None:
    a = machine(tmp_path, "a")
    shared = begin(a, store)
    leave(a, student="s")
    (tmp_path / "bucket").write_text("no folder")
    with pytest.raises(StorageError, match="cannot be reached"):
        shared.journal.save("ingest", {"day": 1})
    assert shared.journal.load("ingest") is None
    (tmp_path / "bucket").unlink()
    shared.journal.save("ingest", {"day": 1})
    assert shared.journal.load("ingest") == {"day": 1}


def test_a_night_goes_from_machine_to_machine(tmp_path: Path, store: Store) -> None:
    a, b = machine(tmp_path, "a"), machine(tmp_path, "b")
    shared = begin(a, store)
    leave(a, student="s")
    shared.journal.save("ingest", {})
    leave(a, half="of an unfinished stage")

    store.interrupt_night(1)
    shared = begin(b, store)
    assert work(b) == {"student": "s"}
    assert {p.name for p in frames(b).iterdir()} == {"0.jpg", "1.jpg"}
    leave(b, teacher="t")
    shared.journal.save("label", {})

    store.interrupt_night(1)
    begin(a, store)
    assert work(a) == {"student": "s", "teacher": "t"}


def test_a_process_that_wakes_up_late_does_no_harm(tmp_path: Path, store: Store) -> None:
    a, b, c = (machine(tmp_path, name) for name in "abc")
    late = begin(a, store)
    leave(a, student="s")
    late.send("ingest")
    store.interrupt_night(1)
    shared = begin(b, store)
    leave(b, teacher="t")
    shared.send("label")
    late.send("ingest")
    store.interrupt_night(1)
    begin(c, store)
    assert work(c) == {"student": "s", "teacher": "t"}


def test_when_it_is_done_frames_and_report_stay(tmp_path: Path, store: Store) -> None:
    a, b = machine(tmp_path, "a"), machine(tmp_path, "b")
    shared, run_id = begin(a, store), DAY.isoformat()
    leave(a, student="s")
    shared.send("ingest")
    finish(shared, a, store, night_record(CAMERA, run_id))
    manifest = json.loads(bucket_of(a).read([f"nights/{CAMERA}/{run_id}/done.json"]).popitem()[1])
    left = {key.rpartition(f"{run_id}/")[2] for key in bucket_of(a).keys("nights")}
    assert left == {"done.json", *(e["key"] for e in manifest["files"].values())}
    open_sharing(b).bring_frames(CAMERA, run_id)
    assert (frames(b) / "1.jpg").read_text() == f"{run_id} 1.jpg"
    open_sharing(b).bring_report(CAMERA, run_id)
    page = b.report_dir(CAMERA, run_id) / "index.html"
    assert page.read_text() == f"page of {run_id}"


def test_earlier_frames_stay_until_a_night_has_trained(tmp_path: Path, store: Store) -> None:
    a = machine(tmp_path, "a")
    runs = [DAY + timedelta(days=n) for n in range(4)]
    kept = []
    for day, trained in zip(runs, (True, False, False, True), strict=True):
        run_id = day.isoformat()
        shared = begin(a, store, day)
        leave(a, run_id)
        make = night_record if trained else unusable_night
        finish(shared, a, store, make(CAMERA, run_id))
        kept.append({key.split("/")[2] for key in bucket_of(a).keys("nights")})
    names = [day.isoformat() for day in runs]
    assert kept == [{names[0]}, {names[0], names[1]}, {names[0], names[2]}, {names[3]}]


@pytest.mark.parametrize(("over", "left"), [(True, []), (False, [DAY])])
def test_a_day_goes_with_its_night_if_it_was_over(
    tmp_path: Path, over: bool, left: list[date]
) -> None:
    a, b = machine(tmp_path, "a"), machine(tmp_path, "b")
    folder = a.day_dir(CAMERA, DAY)
    write_day(folder, DAY, people=1, hours=2)
    days = open_sharing(a).days
    assert days is not None
    days.send(CAMERA, DAY)
    now = datetime(2026, 11, 21 if over else 20, 14, tzinfo=UTC)
    with Store(tmp_path / "db", now=lambda: now) as store:
        shared = begin(b, store)
        assert watched_days(b, CAMERA) == [DAY]
        leave(b)
        finish(shared, b, store, night_record(CAMERA, DAY.isoformat()))
    assert watched_days(b, CAMERA) == left
    assert sorted(days.dates(CAMERA)) == left
    assert watched_days(a, CAMERA) == [DAY]


def test_how_the_camera_looked_is_known_on_the_next_machine(tmp_path: Path, store: Store) -> None:
    a, b = machine(tmp_path, "a"), machine(tmp_path, "b")
    shared = begin(a, store)
    _write(a.views_dir(CAMERA) / "2026-11-20.npz", "view")
    leave(a)
    shared.journal.save("view", {})
    _write(b.views_dir(CAMERA) / "2020-01-01.npz", "long gone")
    store.interrupt_night(1)
    begin(b, store)
    assert {p.name: p.read_text() for p in b.views_dir(CAMERA).iterdir()} == {
        "2026-11-20.npz": "view"
    }
