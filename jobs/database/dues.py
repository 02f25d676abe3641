"""Nights that the schedule has asked for: asked, claimed, finished or put back.

A camera has at most one night waiting: the next one replaces it. One service at a time claims a
night; if it dies, another takes the night up.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from jobs.database.connection import Database, naive, plain
from jobs.database.due_queries import Due, DueQueries, due_of
from jobs.database.processes import LEASE, held, holds, is_at_work, this_process
from jobs.database.tables import dues_table, nights_table

NOBODY = {"pid": None, "process": None, "host": None, "lease_until": None}


class Dues(DueQueries):
    """The table of due nights; every method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def ask(self, camera: str, due_at: datetime, *, reason: str = "schedule") -> bool:
        """Ask for a night; False if it was asked for before (by another service, or before a
        restart). It replaces one of this camera that still waits."""
        now = self._database.now()
        with self._database.transaction(dues_table) as connection:
            of_camera = dues_table.c.camera == camera
            known = sa.select(dues_table.c.id).where(
                of_camera, dues_table.c.due_at == naive(due_at)
            )
            if connection.execute(known).first() is not None:
                return False
            connection.execute(
                sa.update(dues_table)
                .where(of_camera, dues_table.c.state == "queued")
                .values(state="dropped", error="overtaken by the next night", finished_at=now)
            )
            connection.execute(
                sa.insert(dues_table).values(
                    camera=camera,
                    due_at=naive(due_at),
                    reason=reason,
                    state="queued",
                    attempt=0,
                    not_before=now,
                )
            )
        return True

    def claim(self, due_id: int) -> bool:
        """Take a waiting night; False if another service was faster, or runs one of its camera."""
        now = self._database.now()
        with self._database.transaction(dues_table) as connection:
            query = sa.select(dues_table).where(dues_table.c.id == due_id)
            row = connection.execute(query).one_or_none()
            if row is None or row.state != "queued":
                return False
            busy = sa.select(dues_table.c.id).where(
                dues_table.c.camera == row.camera, dues_table.c.state == "running"
            )
            if connection.execute(busy).first() is not None:
                return False
            values = {"state": "running", "attempt": row.attempt + 1, "started_at": now}
            self._update(connection, due_id, **values, **this_process(), lease_until=now + LEASE)
        return True

    def renew(self, due_ids: list[int]) -> None:
        """Renew the leases by which other machines see that this service works on these."""
        with self._database.transaction() as connection:
            connection.execute(
                sa.update(dues_table)
                .where(dues_table.c.id.in_(due_ids), dues_table.c.state == "running")
                .where(held(dues_table))
                .values(lease_until=self._database.now() + LEASE)
            )

    def finish(self, due_id: int, *, night_id: int | None) -> None:
        """Its night is done: close it."""
        self._close(due_id, state="done", night_id=night_id, error=None)

    def fail(self, due_id: int, error: str, *, night_id: int | None) -> None:
        """It failed for good: close it, do not try it again."""
        self._close(due_id, state="failed", night_id=night_id, error=plain(error))

    def put_back(
        self, due_id: int, error: str | None, *, after: timedelta, counts: bool = True
    ) -> None:
        """Try it again later. `counts=False`: this try does not count, such as an interruption."""
        now = self._database.now()
        with self._database.transaction(dues_table) as connection:
            row = connection.execute(sa.select(dues_table).where(dues_table.c.id == due_id)).one()
            if row.state == "running" and holds(row):
                attempt = row.attempt - (0 if counts else 1)
                text = None if error is None else plain(error)
                values = {"state": "queued", "attempt": attempt, "error": text, **NOBODY}
                self._update(connection, due_id, not_before=now + after, **values)

    def take_up_lost(self) -> list[Due]:
        """Requeue nights of dead services and return them."""
        now = self._database.now()
        lost = []
        with self._database.transaction(dues_table) as connection:
            query = sa.select(dues_table).where(dues_table.c.state == "running")
            for row in connection.execute(query).all():
                if not is_at_work(row, now):
                    error = f"process {row.pid} on {row.host}, which had it, died"
                    values = {"state": "queued", "error": error, "not_before": now, **NOBODY}
                    self._update(connection, row.id, **values)
                    lost.append(replace(due_of(row), state="queued", error=error))
        return lost

    def made_by_others(self) -> list[Due]:
        """Mark waiting nights as done that have been run some other way since they were due, such
        as by a crontab's `culling retrain`, and return them."""
        done = nights_table.alias()
        last = sa.select(sa.func.max(done.c.id)).where(
            done.c.camera == dues_table.c.camera, done.c.state == "done"
        )
        since = (
            sa.select(dues_table, nights_table.c.id.label("made"))
            .select_from(dues_table)
            .join(nights_table, nights_table.c.id == last.scalar_subquery())
            .where(dues_table.c.state == "queued")
            .where(nights_table.c.started_at >= dues_table.c.due_at)
        )
        with self._database.transaction(dues_table) as connection:
            rows = connection.execute(since).all()
            for row in rows:
                values = {"state": "done", "night_id": row.made, "error": None}
                self._update(connection, row.id, finished_at=self._database.now(), **values)
        return [due_of(row) for row in rows]

    def _close(self, due_id: int, **values: Any) -> None:
        with self._database.transaction(dues_table) as connection:
            row = connection.execute(sa.select(dues_table).where(dues_table.c.id == due_id)).one()
            if row.state == "queued" or (row.state == "running" and holds(row)):
                now = self._database.now()
                self._update(connection, due_id, finished_at=now, lease_until=None, **values)

    def _update(self, connection: sa.Connection, due_id: int, **values: Any) -> None:
        connection.execute(sa.update(dues_table).where(dues_table.c.id == due_id).values(**values))
