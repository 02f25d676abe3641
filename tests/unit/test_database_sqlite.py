"""What the store does with SQLite alone: its settings, a damaged file, a full disk, no database."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from benchmarks.testbed.small_night import DAY
from jobs.database.connection import StoreError
from jobs.database.store import Store
from jobs.errors import disk_full_cause


def test_settings_of_the_database(tmp_path: Path) -> None:
    with Store(tmp_path / "new") as store, store.database.engine.connect() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert pragmas == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "busy_timeout": 30_000,
    }
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700


def test_a_damaged_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "culling.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(StoreError, match=r"culling\.db: file is not a database"):
        Store(tmp_path)


def test_a_full_disk_is_recognised(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        night = store.open_night("yard", DAY)

        @sa.event.listens_for(store.database.engine, "begin")
        def _limit(connection: sa.Connection) -> None:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")

        with pytest.raises(StoreError, match="full") as caught:
            store.save_stage(night.id, "ingest", {"x": "y" * 100_000})
        assert disk_full_cause(caught.value) is not None
