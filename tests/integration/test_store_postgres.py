"""The store's tests, with PostgreSQL."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.testbed.servers.postgres import PostgresServer
from tests.unit.stores import Where
from tests.unit.test_database_store import *  # noqa: F403 - its tests, run with our `where`
from tests.unit.test_database_upgrade import (
    test_nothing_of_the_first_release_is_lost,  # noqa: F401 - the same
)


@pytest.fixture
def where(tmp_path: Path, postgres: PostgresServer, no_canary: None) -> Where:
    return Where(tmp_path, postgres.new_database(), postgres.new_database)
