"""The tests of the service's nights, with PostgreSQL."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.testbed.servers.postgres import PostgresServer
from tests.unit.stores import Where
from tests.unit.test_service_nights import *  # noqa: F403 - its tests, run with our `where`


@pytest.fixture
def where(tmp_path: Path, postgres: PostgresServer) -> Where:
    return Where(tmp_path, postgres.new_database(), postgres.new_database)
