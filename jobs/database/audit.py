"""Who changed what through the pages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa

from jobs.database.connection import Database, plain
from jobs.database.tables import audit_table
from jobs.errors import redact

LONGEST = 2000


@dataclass(frozen=True, slots=True)
class Change:
    """One line: at this moment somebody did this, to this camera or to all."""

    at: datetime
    who: str
    what: str
    camera: str | None
    detail: str


class Audit:
    """The table of changes; lines are only added."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def note(self, who: str, what: str, *, camera: str | None = None, detail: str = "") -> None:
        """Add a line; on disk when this returns."""
        said = plain(redact(detail))[:LONGEST]
        values = {"who": plain(who)[:LONGEST], "what": what, "camera": camera, "detail": said}
        with self._database.transaction() as connection:
            connection.execute(sa.insert(audit_table).values(at=self._database.now(), **values))

    def last(self, limit: int, *, camera: str | None = None) -> list[Change]:
        """The latest lines (of one camera), the latest first."""
        query = sa.select(audit_table).order_by(audit_table.c.id.desc()).limit(limit)
        if camera is not None:
            query = query.where(audit_table.c.camera == camera)
        with self._database.reading() as connection:
            return [
                Change(row.at.replace(tzinfo=UTC), row.who, row.what, row.camera, row.detail)
                for row in connection.execute(query)
            ]
