"""A night on a folder of pictures with times: one day of three, each picture in its hour."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import cv2
import pytest

from benchmarks.testbed.tiny import CAMERA, SOURCE, tiny_config
from culling_pipeline.records.night import NightRecord
from culling_pipeline.run.progress import NoProgress
from jobs.config.settings import Config
from jobs.database.store import Store
from jobs.nights.nightly import retrain_camera
from streams.open import open_source
from streams.sampler import Sampler

EVERY_S = 1200.0
DAYS = (date(2023, 6, 13), date(2023, 6, 14), date(2023, 6, 15))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A street's day, a picture every 20 minutes, three times over; one of them is cut off."""
    folder = tmp_path_factory.mktemp("pictures")
    with open_source(SOURCE, camera=CAMERA) as street:
        pictures = [frame.image[..., ::-1] for frame in street.frames(Sampler(EVERY_S))]
    for number, day in enumerate(DAYS):
        (folder / day.isoformat()).mkdir()
        for place, picture in enumerate(pictures):
            moment = datetime(day.year, day.month, day.day, tzinfo=UTC)
            moment += timedelta(seconds=EVERY_S * place)
            picture = picture.copy()
            picture[:2, :2] = number  # no two of them are the same file
            cv2.imwrite(str(folder / moment.strftime("%Y-%m-%d/%H_%M_%S.jpg")), picture)
    torn = folder / "2023-06-14/12_00_00.jpg"
    torn.write_bytes(torn.read_bytes()[:500])
    return folder


@pytest.fixture(scope="module")
def config(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Config:
    return tiny_config(
        tmp_path_factory.mktemp("data"),
        source=str(folder),
        fps=1.0,
        time_zone="UTC",
        pictures={"days": "2023-06-14"},
    )


@pytest.fixture(scope="module")
def night(config: Config) -> NightRecord:
    with Store(config.data_dir) as store:
        record = retrain_camera(config, CAMERA, store=store, progress=NoProgress())
    assert isinstance(record, NightRecord)
    return record


def test_it_takes_that_day_and_bears_its_date(night: NightRecord) -> None:
    assert night.date == DAYS[1]
    assert night.ingest.frames_seen == 71
    assert {frame.wall_time.date() for frame in night.ingest.frames} == {DAYS[1]}
    assert night.ingest.left_out == {"cut off": 1}


def test_parts_and_course_go_by_the_clock(night: NightRecord) -> None:
    """Twelve parts, of two hours each."""
    assert night.ingest.frames
    for frame in night.ingest.frames:
        assert frame.part == frame.wall_time.hour // 2
    first, last = night.ingest.course[0], night.ingest.course[-1]
    assert first.wall_time.hour == 0
    assert last.wall_time.hour == 23


def test_the_control_slice_has_blocks_all_over_the_day(night: NightRecord) -> None:
    """Blocks of 300 s are shorter than the 20 minutes between pictures: they are made longer."""
    assert "blocks of 1200 s" in night.ingest.control_is
    control = [frame for frame in night.ingest.frames if frame.id in night.ingest.control]
    hours = {frame.wall_time.hour // 4 for frame in control}
    assert len(control) >= 12
    assert hours == {0, 1, 2, 3, 4, 5}
    assert len(set(night.ingest.control_blocks)) >= 12
    assert not set(night.cull.kept) & set(night.ingest.control)


def test_the_budget_counts_the_pictures_that_there_are(night: NightRecord) -> None:
    assert night.budget is not None
    assert night.budget.own.looks <= 72
    assert night.budget.own.labels <= 72


def test_the_next_day_s_night_follows(config: Config, night: NightRecord) -> None:
    camera = config.cameras[CAMERA].changed(pictures={"days": "last"})
    later = config.model_copy(update={"cameras": {CAMERA: camera}})
    with Store(later.data_dir) as store:
        record = retrain_camera(later, CAMERA, store=store, progress=NoProgress())
        assert [figures.date for figures in store.history.of(CAMERA)][-1] == DAYS[2]
    assert isinstance(record, NightRecord)
    assert (night.date, record.date) == (DAYS[1], DAYS[2])
    assert {frame.wall_time.date() for frame in record.ingest.frames} == {DAYS[2]}
