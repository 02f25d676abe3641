"""A database of the first release, brought up to date: nothing is lost.

`tests/integration/test_store_postgres.py` runs the same with PostgreSQL, `test_upgrade_killed.py`
kills it in the middle.
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from benchmarks.testbed.example_night import example_night
from benchmarks.testbed.small_night import DAY, START, night_record, unusable_night
from culling_pipeline.records.judging import JudgeRecord
from culling_pipeline.records.night import NightRecord
from jobs.database.connection import MIGRATIONS
from jobs.database.figures import Figures
from jobs.database.store import NightJournal
from tests.unit.stores import Where


def as_before_0_2(stored: Any) -> Any:
    """Plain values as they were written when an accuracy was of boxes."""
    if isinstance(stored, list):
        return [as_before_0_2(value) for value in stored]
    if not isinstance(stored, dict):
        return stored
    if "score" not in stored:
        return {key: as_before_0_2(value) for key, value in stored.items()}
    rest = {key: value for key, value in stored.items() if key not in ("score", "further")}
    return {"map50": stored["score"]["value"], "map": stored["further"][0]["value"], **rest}


VERDICT = night_record().judge
STAGES = {
    "ingest": {"frames": 3},
    "label": {"objects": 7, "of": "×"},
    "judge": as_before_0_2(VERDICT.model_dump(mode="json")),
}
NIGHT = {
    "camera": "yard", "night_date": str(DAY), "settings": "s", "attempt": 1, "pid": 1,
    "process": "another boot:1", "host": "vm", "started_at": START.replace(tzinfo=None),
    "finished_at": START.replace(hour=23, tzinfo=None),
}  # fmt: skip
CUT_OFF = ("interrupted", None, None)
UNKNOWN = {"camera": "yard", "of": "a release before"}


@pytest.fixture
def where(tmp_path: Path) -> Where:
    return Where(tmp_path)


def records() -> list[NightRecord]:
    return [example_night(), night_record()]


def rows() -> list[dict]:
    """Nights as the first release left them, the last one cut off."""
    made = [as_before_0_2(record.model_dump(mode="json")) for record in records()]
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
        assert_stages_are_there(NightJournal(store, again))


def assert_stages_are_there(journal: NightJournal) -> None:
    assert {name: journal.load(name) for name in STAGES if name != "judge"} == {
        name: result for name, result in STAGES.items() if name != "judge"
    }
    verdict = journal.load("judge")
    assert verdict is not None
    assert "map50" not in json.dumps(verdict)
    assert JudgeRecord.model_validate(verdict) == VERDICT


def make_before_scores(where: Where) -> None:
    """By the migrations up to the last one before scores: a done night, one that was not trained, a
    failed one, and one that was cut off after its verdict."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    engine = where.engine()
    figures = {
        name.replace("score_", "map50_"): value
        for name, value in Figures.of(night_record()).model_dump(mode="json").items()
        if name != "metric"
    }
    ends = [("done", figures, night_record()), ("done", None, unusable_night())]
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0003")
        tables = sa.MetaData()
        tables.reflect(connection)
        for k, (state, shown, record) in enumerate([*ends, ("failed", None, None), CUT_OFF]):
            night = NIGHT | {"night_date": DAY, "run_id": f"{DAY}.{k}", "state": state}
            night |= {"figures": sa.null() if shown is None else shown}
            connection.execute(sa.insert(tables.tables["nights"]).values(night))
            if record is not None:
                stored = json.dumps(as_before_0_2(record.model_dump(mode="json")))
                packed = {"night_id": k + 1, "record": zlib.compress(stored.encode())}
                connection.execute(sa.insert(tables.tables["records"]).values(packed))
        rows = [
            {"night_id": 4, "name": name, "result": result, "finished_at": NIGHT["started_at"]}
            for name, result in STAGES.items()
        ]
        connection.execute(sa.insert(tables.tables["stages"]), rows)
    engine.dispose()


def test_nights_from_before_scores_have_scores(where: Where) -> None:
    make_before_scores(where)
    with where.open(now=lambda: START) as store:
        done, unusable, failed, cut_off = store.nights()[::-1]
        assert done.figures == Figures.of(night_record())
        assert [past.score_after for past in store.histories(nights=2)["yard"]] == [0.5]
        assert store.record(done.id) == night_record()
        assert store.record(unusable.id) == unusable_night()
        assert [night.figures for night in (unusable, failed, cut_off)] == [None] * 3
        assert [night.state for night in (failed, cut_off)] == ["failed", "interrupted"]
        with store.database.reading() as connection:
            packed = connection.execute(sa.text("SELECT record FROM records")).scalars().all()
        assert not any(b"map50" in zlib.decompress(record) for record in packed)
        assert_stages_are_there(NightJournal(store, store.open_night("yard", DAY, settings="s")))


def test_nothing_of_the_first_release_is_lost(where: Where) -> None:
    make_first_release(where)
    assert_nothing_is_lost(where)
