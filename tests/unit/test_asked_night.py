"""A night asked for by hand waits like one of the schedule, and is asked for once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jobs.config.load import parse_config
from jobs.config.settings import Config
from jobs.database.store import Store
from jobs.errors import UsageError
from jobs.nights.asked import BY_HAND, ask_for_night

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    text = "data_dir: data\ncameras:\n  yard: {source: a.mp4, classes: [car]}\n"
    return parse_config(text, tmp_path / "config.yaml", as_written=True)


@pytest.fixture
def store(config: Config) -> Iterator[Store]:
    with Store(config.data_dir, now=lambda: NOON) as opened:
        yield opened


def test_it_waits_in_the_services_queue_and_is_asked_for_once(config: Config, store: Store) -> None:
    assert ask_for_night(config, "yard", store, now=NOON) == "asked"
    assert ask_for_night(config, "yard", store, now=NOON + timedelta(minutes=1)) == "waits"
    (due,) = store.dues.waiting()
    assert (due.camera, due.reason, due.due_at) == ("yard", BY_HAND, NOON)
    assert store.dues.last("yard") is None, "the schedule goes by its own nights"


def test_one_that_runs_is_not_asked_for_again(config: Config, store: Store) -> None:
    ask_for_night(config, "yard", store, now=NOON)
    store.dues.claim(store.dues.waiting()[0].id)
    assert ask_for_night(config, "yard", store, now=NOON + timedelta(minutes=1)) == "runs"
    assert len(store.dues.all("yard")) == 1


def test_one_that_waits_for_its_next_try_is_asked_for_anew(config: Config, store: Store) -> None:
    ask_for_night(config, "yard", store, now=NOON)
    due = store.dues.waiting()[0]
    store.dues.claim(due.id)
    store.dues.put_back(due.id, "no disk", after=timedelta(hours=1))
    later = NOON + timedelta(minutes=1)
    assert store.dues.waiting() == []
    assert ask_for_night(config, "yard", store, now=later) == "asked"
    assert [waiting.due_at for waiting in store.dues.waiting()] == [later]


def test_a_camera_that_is_not_there(config: Config, store: Store) -> None:
    with pytest.raises(UsageError, match="there is no camera 'door'"):
        ask_for_night(config, "door", store, now=NOON)
