"""Where the tests' stores are: the same tests hold for SQLite and, in `tests/integration`, for
PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from jobs.database.connection import DRIVER
from jobs.database.store import Store


@dataclass(frozen=True)
class Where:
    """A place for a store, empty at first; `another` makes one more."""

    data_dir: Path
    url: str | None = field(default=None, repr=False)
    make_url: Callable[[], str] | None = None

    def open(self, **options: Any) -> Store:
        return Store(self.data_dir, self.url, **options)

    def another(self, name: str) -> Where:
        url = None if self.make_url is None else self.make_url()
        (self.data_dir / name).mkdir()
        return Where(self.data_dir / name, url, self.make_url)

    def engine(self) -> sa.Engine:
        """Straight to the database, past all that `jobs.database` does."""
        if self.url is None:
            return sa.create_engine(f"sqlite:///{self.data_dir}/culling.db")
        return sa.create_engine(self.url.replace("postgresql", DRIVER, 1))


def edit(store: Store, table: sa.Table, **values: object) -> None:
    """Write into all rows, as nobody else would."""
    with store.database.engine.begin() as connection:
        connection.execute(sa.update(table).values(**values))
