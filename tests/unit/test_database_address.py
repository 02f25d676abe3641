"""PostgreSQL's address in the configuration: what cannot be one is said in one line, without it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from jobs.database.connection import Database
from jobs.errors import ConfigError, describe

SECRET = "s3cret-of-the-database"


@pytest.mark.parametrize(
    ("url", "told"),
    [
        (f"culling:{SECRET}@db/culling", "must be postgresql://"),
        (f"mysql://culling:{SECRET}@db/culling", "mysql:// is not known"),
        (f"postgresql+psycopg2://culling:{SECRET}@db/x", r"psycopg2:// is not known"),
        (f"postgresql://culling:{SECRET}@db:65536/x", "there is no port 65536"),
        (f"postgresql://culling:a@db:{SECRET}/x", "must be postgresql://"),
    ],
)
def test_what_is_no_address(tmp_path: Path, url: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told) as caught:
        Database(tmp_path, url, now=datetime.now)
    assert caught.value.__context__ is None
    assert SECRET not in describe(caught.value)
    assert "\n" not in describe(caught.value)
