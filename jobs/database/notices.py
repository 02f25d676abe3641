"""Which notices were sent lately, so that nobody gets the same one again and again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from jobs.database.connection import Database
from jobs.database.tables import notices_table


class Notices:
    """The table of notices."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def is_news(self, key: str, *, quiet: timedelta) -> bool:
        """Whether no notice about `key` was sent within `quiet`; if so, it counts as sent now."""
        now = self._database.now()
        with self._database.transaction(notices_table) as connection:
            query = sa.select(notices_table.c.told_at).where(notices_table.c.key == key)
            told_at = connection.execute(query).scalar_one_or_none()
            if told_at is None:
                connection.execute(sa.insert(notices_table).values(key=key, told_at=now))
            elif now - told_at < quiet:
                return False
            else:
                query_of = sa.update(notices_table).where(notices_table.c.key == key)
                connection.execute(query_of.values(told_at=now))
        return True

    def forget(self, key: str) -> bool:
        """The matter is over: the next time is news again. Whether a notice had been sent."""
        with self._database.transaction() as connection:
            query = sa.delete(notices_table).where(notices_table.c.key == key)
            return connection.execute(query).rowcount > 0

    def told(self, most: int) -> list[tuple[str, datetime]]:
        """What people were told and is not over yet, and when; the latest first."""
        query = sa.select(notices_table.c.key, notices_table.c.told_at)
        query = query.order_by(notices_table.c.told_at.desc()).limit(most)
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        return [(key, told_at.replace(tzinfo=UTC)) for key, told_at in rows]
