"""A database of the first release, brought up to date: nothing is lost.

`tests/integration/test_store_postgres.py` runs the same with PostgreSQL, `test_upgrade_killed.py`
kills it in the middle.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from benchmarks.testbed.example_night import example_night
from benchmarks.testbed.small_night import DAY, START, night_record
from culling_pipeline.records import NightRecord
from jobs.database.connection import MIGRATIONS
from jobs.database.figures import Figures
from jobs.database.store import NightJournal
from tests.unit.stores import Where

STAGES = {"ingest": {"frames": 3}, "label": {"objects": 7, "of": "×"}}
NIGHT = {
    "camera": "yard", "night_date": str(DAY), "settings": "s", "attempt": 1, "pid": 1,
    "process": "another boot:1", "host": "vm", "started_at": START.replace(tzinfo=None),
    "finished_at": START.replace(hour=23, tzinfo=None),
}  # fmt: skip
UNKNOWN = {"camera": "yard", "of": "a release before"}


@pytest.fixture
def where(tmp_path: Path) -> Where:
    return Where(tmp_path)


def records() -> list[NightRecord]:
    return [example_night(), night_record()]


def rows() -> list[dict]:
    """Nights as the first release left them, the last one cut off."""
    made = [record.model_dump(mode="json") for record in records()]
    for record in made:  # what it did not know yet
        for key in ("gate", "feed", "control_blocks"):
            del record["ingest"][key]
    ends = [("done", made[0]), ("done", made[1]), ("done", UNKNOWN), ("failed", None)]
    ends.append(("interrupted", None))
    return [
        NIGHT | {"run_id": f"{DAY}.{k}", "state": state, "error": None if record else "no labels"}
        | {"record": None if record is None else json.dumps(record)}
        for k, (state, record) in enumerate(ends)
    ]  # fmt: skip


def make_first_release(where: Where) -> None:
    """By the first migration itself, and rows as they were written then."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    engine = where.engine()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        values = rows()
        names = ", ".join(values[0])
        places = ", ".join(f":{name}" for name in values[0])
        connection.execute(sa.text(f"INSERT INTO nights ({names}) VALUES ({places})"), values)
        stages = [
            {"night_id": night_id, "name": name, "result": json.dumps(result), "at": START}
            for night_id in range(1, len(values) + 1)
            for name, result in STAGES.items()
        ]
        query = "INSERT INTO stages (night_id, name, result, finished_at)"
        connection.execute(sa.text(f"{query} VALUES (:night_id, :name, :result, :at)"), stages)
    engine.dispose()


def assert_nothing_is_lost(where: Where) -> None:
    with where.open(now=lambda: START) as store:
        nights = store.nights()[::-1]
        assert [night.state for night in nights] == ["done"] * 3 + ["failed", "interrupted"]
        assert {night.finished_at for night in nights} == {START.replace(hour=23)}
        for night, record in zip(nights[:2], records(), strict=False):
            assert store.record(night.id) == record
            assert night.figures is not None
            made, expected = night.figures, Figures.of(record)
            assert made.mean_loss == pytest.approx(expected.mean_loss)
            assert made == expected.model_copy(update={"mean_loss": made.mean_loss})
        assert [night.figures for night in nights[2:]] == [None] * 3
        with store.database.reading() as connection:
            query = sa.text("SELECT night_id, name, finished_at FROM stages ORDER BY id")
            stages = [(row[0], row[1]) for row in connection.execute(query)]
        assert stages == [(n.id, name) for n in nights for name in STAGES]
        again = store.open_night("yard", DAY, settings="s")
        assert (again.id, again.attempt) == (nights[-1].id, 2)
        assert {name: NightJournal(store, again).load(name) for name in STAGES} == STAGES


def test_nothing_of_the_first_release_is_lost(where: Where) -> None:
    make_first_release(where)
    assert_nothing_is_lost(where)
