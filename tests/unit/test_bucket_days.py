"""Watched days and corrected labels in a store: sent by who has them, brought by who needs them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

import pytest

from benchmarks.testbed.small_night import night_record
from culling_pipeline.day.daybook import DAYBOOK
from culling_pipeline.labels.checks import add_checks, load_checks
from culling_pipeline.labels.corrections import add_corrections, load_corrections
from jobs.bucket import courier as courier_module
from jobs.bucket import sharing as sharing_module
from jobs.bucket.bucket import StorageError, open_bucket
from jobs.bucket.courier import Courier, give_away
from jobs.bucket.days import BROUGHT, KEEP_DAYS, StoredDays, today
from jobs.bucket.night import agree_on_corrections
from jobs.bucket.sharing import Sharing, open_sharing, try_storage
from jobs.cameras.watched_days import date_of_night, watched_days
from jobs.config.settings import Config
from jobs.config.storage import StorageSettings
from jobs.database.store import Store
from jobs.disk.budget import DiskBudget, FreeSpace
from tests.unit.test_checks import NOON, check
from tests.unit.test_corrections import GREY, corrected
from tests.unit.watched import write_day

CAMERA, DAY = "yard", date(2026, 11, 20)


def machine(tmp_path: Path, name: str) -> Config:
    storage = StorageSettings(url=f"file://{tmp_path}/bucket")
    return Config.model_validate({"data_dir": tmp_path / name, "storage": storage})


def days_of(config: Config) -> StoredDays:
    return StoredDays(config, open_bucket(config.storage))


def watch(config: Config, *, day: date = DAY, hours: float = 24, frames: int = 3) -> Path:
    folder = config.day_dir(CAMERA, day)
    write_day(folder, day, people=1, hours=hours)
    (folder / "frames").mkdir(exist_ok=True)
    for number in range(frames):
        (folder / "frames" / f"{number:06d}.jpg").write_bytes(f"picture {number}".encode())
    return folder


def content(folder: Path) -> dict[str, bytes]:
    return {
        p.relative_to(folder).as_posix(): p.read_bytes()
        for p in folder.rglob("*")
        if p.is_file() and not p.name.startswith(".")
    }


@pytest.fixture(autouse=True)
def _no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing_module, "COMMAND_PATIENCE_S", 0.0)


@pytest.fixture
def a(tmp_path: Path) -> Config:
    return machine(tmp_path, "a")


@pytest.fixture
def b(tmp_path: Path) -> Config:
    return machine(tmp_path, "b")


# -- days ------------------------------------------------------------------------------------------


def test_a_night_elsewhere_is_about_the_day_that_was_sent(a: Config, b: Config) -> None:
    here, there = watch(a), b.day_dir(CAMERA, DAY)
    assert days_of(a).send(CAMERA, DAY)
    elsewhere = open_sharing(b).days_elsewhere(CAMERA)
    with Store(b.data_dir) as store:
        assert date_of_night(b, CAMERA, store, elsewhere=elsewhere) == DAY
    days_of(b).bring(CAMERA, DAY)
    assert content(there) == content(here)
    assert watched_days(b, CAMERA) == [DAY]


def test_a_day_is_sent_when_there_is_news_and_comes_down_anew(a: Config, b: Config) -> None:
    watch(a, hours=1)
    assert days_of(a).send(CAMERA, DAY)
    assert not days_of(a).send(CAMERA, DAY)
    days_of(b).bring(CAMERA, DAY)
    here = watch(a, hours=2, frames=5)
    (here / "frames" / "000000.jpg").unlink()
    assert days_of(a).send(CAMERA, DAY)
    days_of(b).bring(CAMERA, DAY)
    assert content(b.day_dir(CAMERA, DAY)) == content(here)


def test_a_machines_own_day_is_never_replaced(a: Config, b: Config) -> None:
    watch(a, hours=2)
    days_of(a).send(CAMERA, DAY)
    before = content(watch(b, hours=1))
    days_of(b).bring(CAMERA, DAY)
    assert content(b.day_dir(CAMERA, DAY)) == before


def test_of_two_watchers_the_one_that_saw_more(a: Config, b: Config, tmp_path: Path) -> None:
    here = watch(a, hours=3)
    watch(b, hours=2)
    for config in (a, b):
        assert days_of(config).send(CAMERA, DAY)
    c = machine(tmp_path, "c")
    days_of(c).bring(CAMERA, DAY)
    assert content(c.day_dir(CAMERA, DAY)) == content(here)


def test_a_brought_day_is_not_sent_on_and_goes_when_it_had_its_night(a: Config, b: Config) -> None:
    watch(a)
    days_of(a).send(CAMERA, DAY)
    days_of(b).bring(CAMERA, DAY)
    assert not days_of(b).send(CAMERA, DAY)
    days_of(b).let_go(CAMERA, DAY)
    assert watched_days(b, CAMERA) == []
    assert watched_days(a, CAMERA) == [DAY]
    assert days_of(b).dates(CAMERA) == set()


def test_a_day_that_was_cut_off_on_its_way_is_brought_again(a: Config, b: Config) -> None:
    here, there = watch(a), b.day_dir(CAMERA, DAY)
    days_of(a).send(CAMERA, DAY)
    days_of(b).bring(CAMERA, DAY)
    (there / BROUGHT).write_bytes(b"")  # as it is until everything is there
    (there / "frames" / "000001.jpg").unlink()
    days_of(b).bring(CAMERA, DAY)
    assert content(there) == content(here)


def test_a_day_half_sent_is_no_day(a: Config, b: Config, tmp_path: Path) -> None:
    watch(a)
    days_of(a).send(CAMERA, DAY)
    (manifest,) = (tmp_path / "bucket").rglob("manifest.json")
    manifest.unlink()
    assert days_of(b).dates(CAMERA) == set()
    days_of(b).bring(CAMERA, DAY)
    assert watched_days(b, CAMERA) == []


def test_days_that_nobody_gave_a_night_are_not_kept_for_ever(a: Config) -> None:
    watch(a)
    days_of(a).send(CAMERA, DAY)
    days_of(a).clear_old(CAMERA, today=DAY + KEEP_DAYS)
    assert days_of(a).dates(CAMERA) == {DAY}
    days_of(a).clear_old(CAMERA, today=DAY + KEEP_DAYS + timedelta(days=1))
    assert days_of(a).dates(CAMERA) == set()


# -- the courier -----------------------------------------------------------------------------------


@contextmanager
def at_work(config: Config, store: Store) -> Iterator[Courier]:
    courier = Courier(config, [CAMERA], store)
    courier.start()
    try:
        yield courier
    finally:
        courier.close()


def test_the_courier_sends_days_that_wait_and_at_the_end_today(
    a: Config, b: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courier_module, "EVERY_S", 0.01)
    yesterday, done = today() - timedelta(days=1), today() - timedelta(days=2)
    for day in (yesterday, today(), done):
        watch(a, day=day, hours=1)
    with Store(a.data_dir) as store:
        night = store.open_night(CAMERA, done)
        store.finish_night(night.id, night_record(CAMERA, night.run_id))
        with at_work(a, store):
            _until(lambda: days_of(b).dates(CAMERA) == {yesterday})
        assert days_of(b).dates(CAMERA) == {yesterday, today()}


def test_the_day_that_goes_on_is_sent_now_and_then(
    a: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courier_module, "EVERY_S", 0.01)
    monkeypatch.setattr(courier_module, "TODAY_EVERY", 2)
    watch(a, day=today(), hours=1)
    with Store(a.data_dir) as store, at_work(a, store):
        _until(lambda: days_of(a).dates(CAMERA) == {today()})


def test_a_day_is_sent_before_its_night_is_given_away(a: Config, b: Config) -> None:
    give_away(a, CAMERA)
    assert days_of(b).dates(CAMERA) == set()
    watch(a, day=today(), hours=1)
    give_away(a, CAMERA)
    assert days_of(b).dates(CAMERA) == {today()}


def test_an_outage_is_told_once_and_made_up_for(
    a: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr(courier_module, "EVERY_S", 0.01)
    watch(a)
    with Store(a.data_dir) as store:
        courier = Courier(a, [CAMERA], store)
        (tmp_path / "bucket").write_text("no folder can be made here")
        for _ in range(3):
            courier._carry(with_today=False)
        assert caplog.text.count("not sent or brought now: storage:") == 1
        (tmp_path / "bucket").unlink()
        courier._carry(with_today=False)
    assert "the store can be reached again" in caplog.text
    assert days_of(a).dates(CAMERA) == {DAY}


def _until(is_so: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 120
    while not is_so():
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


# -- corrections -----------------------------------------------------------------------------------


def images(config: Config) -> dict[str, date]:
    frames = load_corrections(config.corrections_dir(CAMERA)).frames
    return {frame.image: frame.corrected_at for frame in frames}


def agree(config: Config) -> None:
    agree_on_corrections(config, open_bucket(config.storage), CAMERA)


def test_corrections_of_two_machines_come_together(a: Config, b: Config) -> None:
    old, new = corrected(1), corrected(1, corrected_at=corrected(1).corrected_at + timedelta(1))
    agree(a)
    add_corrections(a.corrections_dir(CAMERA), {corrected(0): GREY, old: GREY})
    add_corrections(b.corrections_dir(CAMERA), {new: GREY, corrected(2): GREY})
    agree(a)
    agree(b)
    agree(a)
    wanted = {f.image: f.corrected_at for f in (corrected(0), new, corrected(2))}
    assert images(a) == images(b) == wanted
    assert (a.corrections_dir(CAMERA) / corrected(2).image).read_bytes() == GREY


def test_corrections_that_one_put_over_the_others_are_added_again(a: Config, b: Config) -> None:
    add_corrections(a.corrections_dir(CAMERA), {corrected(0): GREY})
    agree(a)
    store = open_bucket(a.storage)
    before = store.read_one("corrections/yard/manifest.json")
    add_corrections(b.corrections_dir(CAMERA), {corrected(1): GREY})
    agree(b)
    assert before is not None
    store.write({"corrections/yard/manifest.json": before})  # as if `a` had come last
    agree(a)
    agree(b)
    agree(a)
    assert set(images(a)) == set(images(b)) == {corrected(0).image, corrected(1).image}


def test_checks_of_two_machines_come_together(a: Config, b: Config) -> None:
    one, other = a.corrections_dir(CAMERA), b.corrections_dir(CAMERA)
    for folder in (one, other):
        add_corrections(folder, {})
    add_checks(one, [check(1, 2, 2), check(2, 0, 2)])
    add_checks(other, [check(2, 1, 2, checked_at=NOON + timedelta(1))])
    for config in (a, b, a):
        agree(config)
    assert load_checks(one) == load_checks(other)
    assert [(c.frame_id, c.right) for c in load_checks(one)] == [(1, 2), (2, 1)]


# -- without and with ------------------------------------------------------------------------------


def test_without_storage_nothing_is_shared(tmp_path: Path) -> None:
    config = Config(data_dir=tmp_path / "a")
    watch(config)
    sharing = open_sharing(config)
    assert type(sharing) is Sharing
    assert sharing.days_elsewhere(CAMERA) == set()
    give_away(config, CAMERA)
    with Store(config.data_dir) as store, at_work(config, store) as courier:
        assert courier._thread is None
    assert json.loads((config.day_dir(CAMERA, DAY) / DAYBOOK).read_text().splitlines()[0])


def test_a_store_is_tried_and_left_as_it_was(a: Config, tmp_path: Path) -> None:
    assert "can be written, read and deleted from" in try_storage(a)
    assert [p for p in (tmp_path / "bucket").rglob("*") if p.is_file()] == []
    (tmp_path / "bucket").rmdir()
    (tmp_path / "bucket").write_text("no folder")
    with pytest.raises(StorageError, match=r"^storage: .* cannot be reached"):
        try_storage(a)


def test_room_takes_a_brought_day_as_any_other(a: Config, b: Config) -> None:
    watch(a)
    days_of(a).send(CAMERA, DAY)
    days_of(b).bring(CAMERA, DAY)
    with Store(b.data_dir) as store:
        tight = b.model_copy(update={"disk": b.disk.model_copy(update={"budget_gb": 1e-9})})
        DiskBudget(tight, store, FreeSpace(b.data_dir, 0.0)).enforce({})
    assert watched_days(b, CAMERA) == []
