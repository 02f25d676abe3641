"""Room on disk: what goes first, and when nothing more is written."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from benchmarks.testbed.example_night import example_night
from culling_pipeline.day.daybook import DAYBOOK, DayClock
from culling_pipeline.day.watched_day import DayWriter
from jobs.cameras.day_plan import ingest_plan
from jobs.cameras.watched_days import date_of_night, watched_day, watched_days
from jobs.config.settings import CameraConfig, Config
from jobs.database.store import Store
from jobs.disk import budget as room
from jobs.disk.budget import AFTER_HIT_S, DiskBudget, FreeSpace, thin_day
from jobs.disk.use import GB, DiskUse
from models.boxes.detections import Detections
from streams.base import Frame

TODAY = datetime.now().astimezone().date()
LONG_AGO, YESTERDAY = date(2026, 1, 5), TODAY - timedelta(days=1)


def configuration(folder: Path, **changes: object) -> Config:
    settings = {
        "name": "yard",
        "source": "yard.mp4",
        "classes": ["person"],
        "culling": {"keep": 20, "survivors_ratio": 2},
        **changes,
    }
    camera = CameraConfig.model_validate(settings)
    return Config.model_validate({"data_dir": folder, "disk": {"budget_gb": 0.001}}).model_copy(
        update={"cameras": {"yard": camera}}
    )


def noisy(moment: datetime) -> Frame:
    rng = np.random.default_rng(int(moment.timestamp()))
    return Frame(rng.integers(256, size=(60, 80, 3), dtype=np.uint8), 0.0, moment, "yard")


def found(score: float) -> Detections:
    box = np.array([[1, 2, 9, 11]], np.float32)
    return Detections(box, np.array([score], np.float32), np.zeros(1, np.int64))


def open_day(config: Config, day: date) -> DayWriter:
    camera = config.cameras["yard"]
    folder = config.day_dir("yard", day)
    return DayWriter(folder, ingest_plan(camera), clock=DayClock.on(day))


def watched(config: Config, day: date, count: int = 150) -> None:
    """A day with a frame every ten minutes or so."""
    with open_day(config, day) as stored:
        for k in range(count):
            moment = (stored.clock.midnight + timedelta(seconds=570 * k)).astimezone(UTC)
            stored.take(noisy(moment), found(0.3 + 0.6 * k / count), scored=True, model="v1")


def finish_night(store: Store, day: date) -> str:
    night = store.open_night("yard", day)
    record = example_night().model_copy(update={"camera": "yard", "run_id": night.run_id})
    store.finish_night(night.id, record)
    return night.run_id


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path) as opened:
        yield opened


def pictures(config: Config, day: date) -> int:
    return len(list((config.day_dir("yard", day) / "frames").glob("*.jpg")))


def test_nothing_goes_while_there_is_room(tmp_path: Path, store: Store) -> None:
    config = configuration(tmp_path)
    watched(config, LONG_AGO, 20)
    DiskBudget(config, store, FreeSpace(tmp_path, 0)).enforce({})
    assert pictures(config, LONG_AGO) == 20


def test_what_a_night_has_used_goes_before_what_waits(tmp_path: Path, store: Store) -> None:
    config = configuration(tmp_path, disk_budget_gb=0.001)
    watched(config, LONG_AGO)
    watched(config, YESTERDAY)
    run_id = finish_night(store, LONG_AGO)
    frames = config.frames_dir("yard", run_id)
    frames.mkdir(parents=True)
    (frames / "000001.jpg").write_bytes(bytes(1000))
    before = pictures(config, YESTERDAY)
    DiskBudget(config, store, FreeSpace(tmp_path, 0)).enforce({})
    assert not frames.exists()
    assert watched_days(config, "yard") == [YESTERDAY]
    assert pictures(config, YESTERDAY) == before


def test_an_unfinished_nights_frames_stay(tmp_path: Path, store: Store) -> None:
    config = configuration(tmp_path, disk_budget_gb=1e-9)
    night = store.open_night("yard", LONG_AGO)
    frames = config.frames_dir("yard", night.run_id)
    frames.mkdir(parents=True)
    (frames / "000001.jpg").write_bytes(bytes(1000))
    DiskBudget(config, store, FreeSpace(tmp_path, 0)).enforce({})
    assert (frames / "000001.jpg").exists()


def test_of_a_day_that_waits_the_easiest_go_and_the_control_slice_last(tmp_path: Path) -> None:
    config = configuration(tmp_path)
    watched(config, YESTERDAY)
    with open_day(config, YESTERDAY) as stored:
        control = stored.day.control_ids
        easy = {i: f.loss for i, f in stored.day.frames.items() if i not in control}
        assert control
        thin_day(stored, stored.bytes / 4, control=False)
        left = set(stored.day.frames)
        assert control <= left
        gone = easy.keys() - left
        assert max(easy[i] for i in gone) <= min(easy[i] for i in easy.keys() & left)
        thin_day(stored, 1e9, control=False)
        assert set(stored.day.frames) == control
        thin_day(stored, 1e9, control=True)
        assert not stored.day.frames
    assert pictures(config, YESTERDAY) == 0


def test_a_day_being_written_is_thinned_by_its_writer(tmp_path: Path, store: Store) -> None:
    config = configuration(tmp_path, disk_budget_gb=0.0003)
    watched(config, TODAY)
    with open_day(config, TODAY) as stored:
        before = stored.bytes
        DiskBudget(config, store, FreeSpace(tmp_path, 0)).enforce(
            {}
        )  # it is locked, and so left alone
        assert stored.bytes == before
        DiskBudget(config, store, FreeSpace(tmp_path, 0)).enforce({"yard": stored})
        assert stored.bytes <= 0.0003 * GB < before
        assert pictures(config, TODAY) == len(stored.day.frames)


def test_a_round_measures_the_disk_once(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = configuration(tmp_path, disk_budget_gb=0.0006)
    for back in range(2, 6):
        watched(config, TODAY - timedelta(days=back), 40)
        if back > 2:
            finish_night(store, TODAY - timedelta(days=back))
    measured, real = [], room._stats
    monkeypatch.setattr(room, "_stats", lambda root: measured.append(root) or real(root))
    kinds = [tmp_path / "days" / "yard", tmp_path / "frames" / "yard"]
    DiskBudget(config, store, FreeSpace(tmp_path, 0)).enforce({})
    left = watched_days(config, "yard")
    assert left == [TODAY - timedelta(days=back) for back in (3, 2)]  # no more than had to go
    assert measured[:2] == kinds
    assert measured[2:] == [config.day_dir("yard", TODAY - timedelta(days=b)) for b in (5, 4)]


def test_pictures_that_a_night_uses_free_nothing_and_stay(tmp_path: Path, store: Store) -> None:
    config = configuration(tmp_path, disk_budget_gb=1e-9)
    watched(config, YESTERDAY, 40)
    night = store.open_night("yard", YESTERDAY)
    frames = config.frames_dir("yard", night.run_id)
    frames.mkdir(parents=True)
    for path in sorted((config.day_dir("yard", YESTERDAY) / "frames").iterdir())[:15]:
        (frames / path.name).hardlink_to(path)
    DiskBudget(config, store, FreeSpace(tmp_path, 0)).enforce({})
    assert pictures(config, YESTERDAY) == len(list(frames.iterdir())) == 15


def test_below_the_floor_frames_go_though_the_budget_is_kept(tmp_path: Path, store: Store) -> None:
    config = configuration(tmp_path)
    watched(config, YESTERDAY, 20)
    free_space = FreeSpace(tmp_path, 1000, free=lambda _: 200)
    assert free_space.lacking == 1000  # so that there is a fifth to spare
    DiskBudget(config, store, free_space).enforce({})
    assert 0 < pictures(config, YESTERDAY) < 20


def test_today_does_not_go_as_a_whole_though_it_had_a_night(tmp_path: Path, store: Store) -> None:
    config = configuration(tmp_path, disk_budget_gb=1e-9)
    watched(config, TODAY, 20)
    finish_night(store, TODAY)
    DiskBudget(config, store, FreeSpace(tmp_path, 0)).enforce({})
    assert watched_days(config, "yard") == [TODAY]
    assert pictures(config, TODAY) == 0


def test_days_of_a_camera_that_is_configured_no_more_go_first(tmp_path: Path, store: Store) -> None:
    config = configuration(tmp_path)
    watched(config, YESTERDAY, 20)
    (tmp_path / "days" / "yard").rename(tmp_path / "days" / "gone")
    watched(config, LONG_AGO, 20)
    free_space = FreeSpace(tmp_path, 1000, free=lambda _: 200)
    DiskBudget(config, store, free_space).enforce({})
    assert watched_days(config, "gone") == []
    assert pictures(config, LONG_AGO) == 20


def test_the_floor_closes_and_opens_with_one_line_each(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    free, now = [5 * GB], [0.0]
    free_space = FreeSpace(tmp_path, 1 * GB, free=lambda _: free[0], clock=lambda: now[0])
    said = []
    for now[0], free[0] in ((0, 5), (2, 0.9), (4, 0.8), (6, 1.05), (8, 1.2), (10, 3)):
        free[0] = int(free[0] * GB)
        said.append(free_space.may_write)
    assert said == [True, False, False, False, True, True]
    assert len(caplog.records) == 2
    free_space.hit()
    assert not free_space.may_write
    now[0] += AFTER_HIT_S + 1.5
    assert free_space.may_write


def test_a_night_is_about_the_latest_day_that_is_over_and_had_none(
    tmp_path: Path, store: Store
) -> None:
    config = configuration(tmp_path)
    assert date_of_night(config, "yard", store) == datetime.now(UTC).date()
    for day in (LONG_AGO, YESTERDAY, TODAY):
        folder = config.day_dir("yard", day)
        folder.mkdir(parents=True)
        (folder / DAYBOOK).write_bytes(b"")
    (tmp_path / "days" / "yard" / "notes").mkdir()
    assert watched_days(config, "yard") == [LONG_AGO, YESTERDAY, TODAY]
    assert date_of_night(config, "yard", store) == YESTERDAY
    finish_night(store, YESTERDAY)
    assert date_of_night(config, "yard", store) == LONG_AGO
    finish_night(store, LONG_AGO)
    assert date_of_night(config, "yard", store) == TODAY
    assert watched_day(config, "yard", date(2020, 1, 1)) is None


def test_what_was_measured_can_be_read_without_walking_the_disk(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, use = configuration(tmp_path), DiskUse(tmp_path)
    assert use.of("yard") is None
    watched(config, LONG_AGO, 20)
    DiskBudget(config, store, FreeSpace(tmp_path, 0)).enforce({})
    there = sum(path.stat().st_size for path in config.day_dir("yard", LONG_AGO).rglob("*.*"))
    monkeypatch.setattr(os, "walk", None)
    assert use.of("yard") == there > 0
    assert use.of("gate") is None
    for text in ("{", "[1]", '{"yard": "<b>"}', '{"yard": -1}'):
        (tmp_path / "disk-use.json").write_text(text)
        assert DiskUse(tmp_path).of("yard") is None
    assert list(tmp_path.glob("*.tmp")) == []
