"""A night that ended early: what is kept, shown and told of it."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from benchmarks.testbed.example_night import stored_frame
from benchmarks.testbed.nights import config_of
from benchmarks.testbed.small_night import DAY, night_record, unusable_night
from culling_pipeline.records.night import UnusableNight
from culling_pipeline.report.unusable import Glimpse, render_unusable
from jobs.commands.summary import night_table, night_to_dict, nights_table
from jobs.database.nights import Night
from jobs.database.store import Store
from jobs.pages.house import House
from jobs.pages.pages import Pages
from jobs.service.metrics import CullingCollector, registry
from tests.unit.stores import Where
from tests.unit.test_report import read

WHY = (
    "the lens was covered, since 14:00: 60 % is hidden; clean or uncover it: it is trained again "
    "on the first day that looks as usual"
)


@pytest.fixture
def where(tmp_path: Path) -> Where:
    return Where(tmp_path)


@pytest.fixture
def store(where: Where) -> Iterator[Store]:
    with where.open() as store:
        yield store


def done(store: Store, record: UnusableNight) -> Night:
    night = store.open_night(record.camera, DAY)
    store.finish_night(night.id, record)
    return store.night(night.id)


def test_it_is_done_and_says_why_and_is_no_history(store: Store) -> None:
    night = done(store, unusable_night())
    assert (night.state, night.error, night.figures, night.unusable) == ("done", None, None, WHY)
    assert store.record(night.id) == unusable_night()
    assert store.histories(nights=14) == {}
    assert store.history.of("yard") == ()
    assert store.open_night("yard", DAY).run_id == f"{DAY}.2"  # not taken up again


def test_many_of_them_do_not_hide_the_nights_before(store: Store) -> None:
    first = store.open_night("yard", DAY)
    store.finish_night(first.id, night_record())
    for _ in range(3):
        done(store, unusable_night())
    (past,) = store.histories(nights=2)["yard"]
    assert past.score_after == 0.5


def test_it_is_told_in_tables_and_json(store: Store, tmp_path: Path) -> None:
    night, config = done(store, unusable_night()), config_of(tmp_path)
    console = Console(width=300)
    with console.capture() as shown:
        console.print(nights_table(config, {"yard": night}))
        console.print(night_table(config, night, unusable_night()))
    assert shown.get().count("the lens was covered, since 14:00") == 2
    told = night_to_dict(config, night, unusable_night())
    assert (told["error"], told["unusable"]) == (None, WHY)
    assert json.loads(json.dumps(told))["record"]["view"]["since_hour"] == 14


def test_its_page_says_what_happened_and_what_to_do() -> None:
    night = unusable_night().model_copy(update={"source": "rtsp://operator:hunter2@10.0.0.1/"})
    glimpse = Glimpse(np.zeros((96, 160, 3), np.uint8), stored_frame(0, loss=0.0))
    page = render_unusable(night, [glimpse])
    assert page == render_unusable(night, [glimpse])
    found = read(page)
    assert "Not trained: the lens was covered, since 14:00: 60 % is hidden" in found.text
    assert "What to do: clean or uncover it" in found.text
    assert "14:00–16:00" in found.text
    assert all(address.startswith("data:image/jpeg;base64,") for address in found.addresses)
    assert len(found.addresses) == 1
    assert "hunter2" not in page


def test_the_pages_of_the_service_say_so(store: Store, tmp_path: Path) -> None:
    done(store, unusable_night())
    figures = registry(CullingCollector(store, tmp_path, lambda: None))
    pages = Pages(House(config_of(tmp_path, port=0), store, figures))
    pages.start()
    try:
        with urllib.request.urlopen(pages.address) as answer:
            assert f"not trained: {WHY}" in answer.read().decode()
        with urllib.request.urlopen(f"{pages.root}metrics") as answer:
            lines = answer.read().decode().splitlines()
    finally:
        pages.close()
    assert 'culling_lens_moved{camera="yard"} 1.0' in lines
    assert not any(line.startswith("culling_drift{") for line in lines)
