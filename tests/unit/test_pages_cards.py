"""What a camera's card says of its frames today, its recorder, and its room on disk."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry

from benchmarks.testbed.nights import config_of
from benchmarks.testbed.small_night import night_record
from culling_pipeline.day.daybook import DAYBOOK
from jobs.config.settings import Config
from jobs.database.store import Store
from jobs.disk.use import write_use
from jobs.pages.frames_today import frames_of_today
from jobs.pages.house import House
from jobs.pages.pages import Pages
from tests.unit.page_browser import PageBrowser
from tests.unit.test_jobs_feed import NOON, Disk, feed_on, watch
from tests.unit.test_pages_reading import done

COVERAGE = "Of the last 24 h: 98.2 % of the time recorded, 1 gap, the longest 12 min"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path) as store:
        yield store


def card(config: Config, store: Store) -> str:
    """The page, which has one card."""
    pages = Pages(House(config, store, CollectorRegistry()))
    pages.start()
    try:
        return PageBrowser(pages.address).get("").text
    finally:
        pages.close()


def test_frames_of_today_against_those_that_were_to_come(tmp_path: Path, store: Store) -> None:
    feed = feed_on(Disk(), tmp_path, fps=2)
    live = cast("Any", SimpleNamespace(feeds={"yard": feed}))
    house = House(feed.config, store, CollectorRegistry(), watch=lambda: live)
    yard, later = feed.camera, NOON + timedelta(seconds=10)
    assert frames_of_today(house, yard, later) == "no frame today"
    watch(feed, NOON, 5)
    assert frames_of_today(house, yard, later) == "5 of 20 frames today (25 %)"
    before = tmp_path / "days" / "yard" / "2026-11-20"
    before.mkdir()
    (before / DAYBOOK).touch()
    assert frames_of_today(house, yard, later) == "5 of 86,420 frames today (0.0 %)"
    assert frames_of_today(house, yard, later + timedelta(days=1)) == "no frame today"
    feed._current.fail(OSError("the disk is gone"))
    feed._current.pause()
    assert frames_of_today(house, yard, later) == "no frame is stored now"
    feed.close(later)
    elsewhere = House(feed.config, store, CollectorRegistry())
    assert frames_of_today(elsewhere, yard, later) is None


@pytest.mark.parametrize(("source", "said"), [("recordings:/nvr", True), ("yard.mp4", False)])
def test_what_the_recorder_has(tmp_path: Path, store: Store, source: str, said: bool) -> None:
    config = config_of(tmp_path, port=0)
    camera = config.cameras["yard"].changed(source=source)
    config = config.changed(cameras={"yard": camera})
    done(config, store, night_record("yard").changed(notes=("Else.", f"{COVERAGE}.")))
    assert (COVERAGE in card(config, store)) is said


def test_room_on_disk(tmp_path: Path, store: Store) -> None:
    config = config_of(tmp_path, port=0)
    assert "on disk" not in card(config, store)
    write_use(tmp_path, {"yard": 1_234_000_000})
    assert "1.2 GB on disk" in card(config, store)
    camera = config.cameras["yard"].changed(disk_budget_gb=5)
    config = config.changed(cameras={"yard": camera})
    write_use(tmp_path, {"yard": 34_000_000})
    assert "0.03 of 5.0 GB on disk" in card(config, store)
