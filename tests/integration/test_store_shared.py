"""Four processes on one empty database: each night is run once, and nothing that one wrote is
lost to another."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from benchmarks.testbed.small_night import night_record
from jobs.database.tables import stages_table
from tests.integration.shared_nights import DUE, OWN, PROCESSES, STAGES
from tests.unit.stores import Where

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(params=["sqlite", "postgres"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Where:
    if request.param == "sqlite":
        return Where(tmp_path)
    return Where(tmp_path, request.getfixturevalue("postgres").new_database())


def run_together(where: Where) -> list[dict]:
    """What each process did; they open the store, which is not there yet, at the same moment."""
    env = os.environ | ({} if where.url is None else {"WHERE": where.url})
    command = [sys.executable, "-m", "tests.integration.shared_nights", str(where.data_dir)]
    processes = [
        subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True)
        for _ in range(PROCESSES)
    ]
    told = [process.communicate(timeout=240)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * PROCESSES
    return [json.loads(text) for text in told]


def test_four_processes_share_nights_and_lose_nothing(where: Where) -> None:
    did = run_together(where)
    assert sorted(camera for p in did for camera in p["asked"]) == sorted(DUE)
    assert sorted(camera for p in did for camera in p["ran"]) == sorted(DUE)
    assert all(p["ran"] for p in did)
    with where.open() as store:
        nights, dues = {night.id: night for night in store.nights()}, store.dues.all()
        assert {due.camera: due.night_id for due in dues} == {
            camera: night_id for p in did for camera, night_id in p["ran"].items()
        }
        assert {(due.state, due.attempt) for due in dues} == {("done", 1)}
        own = sorted(night_id for p in did for night_id in p["own"])
        ran = sorted(night_id for p in did for night_id in p["ran"].values())
        assert sorted(nights) == sorted([*own, *ran])
        assert len(own) == PROCESSES * len(OWN)
        assert {(night.state, night.attempt) for night in nights.values()} == {("done", 1)}
        worker = {n: p["pid"] for p in did for n in [*p["own"], *p["ran"].values()]}
        for night in nights.values():
            assert night.pid == worker[night.id]
            assert store.record(night.id) == night_record(night.camera, night.run_id)
        with store.database.reading() as connection:
            query = sa.select(sa.func.count()).select_from(stages_table)
            assert connection.execute(query).scalar_one() == len(STAGES) * len(nights)
