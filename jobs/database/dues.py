"""What the schedule has asked for: nights that are due, who works on them, what became of them.

A camera has at most one night waiting: the next one overtakes it. A night is claimed by one
service at a time; if that dies, another takes it up.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import sqlalchemy as sa

from jobs.database.connection import Database, aware, naive, plain
from jobs.database.processes import LEASE, held, holds, is_at_work, this_process
from jobs.database.tables import dues_table, nights_table

DueState = Literal["queued", "running", "done", "failed", "dropped"]
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
NOBODY = {"pid": None, "process": None, "host": None, "lease_until": None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A night that is asked for. `attempt` counts its tries, `not_before` is when the next may
    begin; `night_id` is the night it became."""

    id: int
    camera: str
    due_at: datetime
    reason: str
    state: DueState
    attempt: int
    not_before: datetime
    error: str | None
    night_id: int | None
    started_at: datetime | None
    finished_at: datetime | None


class Dues:
    """The table of nights that are due; every method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def ask(self, camera: str, due_at: datetime, *, reason: str = "schedule") -> bool:
        """Ask for a night; False if it was asked for before (by another service, or before a
        restart). One of this camera that still waits is dropped: this one does its work."""
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

    def waiting(self) -> list[Due]:
        """Nights that may be begun now, the longest due first; none of a camera whose last night
        still runs."""
        busy = sa.select(dues_table.c.camera).where(dues_table.c.state == "running")
        query = (
            sa.select(dues_table)
            .where(dues_table.c.state == "queued", dues_table.c.camera.not_in(busy))
            .where(dues_table.c.not_before <= self._database.now())
            .order_by(dues_table.c.due_at, dues_table.c.camera)
        )
        with self._database.reading() as connection:
            return [_due(row) for row in connection.execute(query)]

    def claim(self, due_id: int) -> bool:
        """Take a waiting night; False if another service was faster, or has one of its camera."""
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
        """Tell other machines that this service still works on these."""
        with self._database.transaction() as connection:
            connection.execute(
                sa.update(dues_table)
                .where(dues_table.c.id.in_(due_ids), dues_table.c.state == "running")
                .where(held(dues_table))
                .values(lease_until=self._database.now() + LEASE)
            )

    def finish(self, due_id: int, *, night_id: int | None) -> None:
        """Its night is done."""
        self._close(due_id, state="done", night_id=night_id, error=None)

    def fail(self, due_id: int, error: str, *, night_id: int | None) -> None:
        """It failed for good: it is not tried again."""
        self._close(due_id, state="failed", night_id=night_id, error=plain(error))

    def put_back(
        self, due_id: int, error: str | None, *, after: timedelta, counts: bool = True
    ) -> None:
        """Try it again later; `counts=False` for a try that was none, such as an interruption."""
        now = self._database.now()
        with self._database.transaction(dues_table) as connection:
            row = connection.execute(sa.select(dues_table).where(dues_table.c.id == due_id)).one()
            if row.state == "running" and holds(row):
                attempt = row.attempt - (0 if counts else 1)
                told = None if error is None else plain(error)
                values = {"state": "queued", "attempt": attempt, "error": told, **NOBODY}
                self._update(connection, due_id, not_before=now + after, **values)

    def take_up_lost(self) -> list[Due]:
        """Put the nights of dead services back; these."""
        now = self._database.now()
        lost = []
        with self._database.transaction(dues_table) as connection:
            query = sa.select(dues_table).where(dues_table.c.state == "running")
            for row in connection.execute(query).all():
                if not is_at_work(row, now):
                    error = f"process {row.pid} on {row.host}, which had it, died"
                    values = {"state": "queued", "error": error, "not_before": now, **NOBODY}
                    self._update(connection, row.id, **values)
                    lost.append(replace(_due(row), state="queued", error=error))
        return lost

    def made_by_others(self) -> list[Due]:
        """Notes waiting nights as done that somebody has run since they were due, such as a
        crontab's `culling retrain`; these."""
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
        return [_due(row) for row in rows]

    def since(self, moment: datetime) -> list[Due]:
        """Those that were begun at `moment` or later and not put back."""
        query = sa.select(dues_table).where(
            dues_table.c.started_at >= naive(moment), dues_table.c.state != "queued"
        )
        with self._database.reading() as connection:
            return [_due(row) for row in connection.execute(query)]

    def last(self, camera: str) -> Due | None:
        """What was asked for last of this camera by the schedule."""
        query = sa.select(dues_table).where(
            dues_table.c.camera == camera, dues_table.c.reason == "schedule"
        )
        query = query.order_by(dues_table.c.due_at.desc()).limit(1)
        with self._database.reading() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else _due(row)

    def all(self, camera: str | None = None, *, state: DueState | None = None) -> list[Due]:
        """All, or one camera's, or those in one state; the oldest first."""
        query = sa.select(dues_table).order_by(dues_table.c.due_at, dues_table.c.id)
        if camera is not None:
            query = query.where(dues_table.c.camera == camera)
        if state is not None:
            query = query.where(dues_table.c.state == state)
        with self._database.reading() as connection:
            return [_due(row) for row in connection.execute(query)]

    def counts(self) -> dict[str, int]:
        """How many there are in each state."""
        query = sa.select(dues_table.c.state, sa.func.count()).group_by(dues_table.c.state)
        with self._database.reading() as connection:
            return {state: count for state, count in connection.execute(query)}

    def left_out(self) -> dict[str, int]:
        """By camera, how many nights in a row were dropped since the last one that ran."""
        cameras = sa.select(dues_table.c.camera).distinct().subquery()
        dropped, ran = dues_table.alias(), dues_table.alias()
        last = (
            sa.select(ran.c.due_at)
            .where(ran.c.camera == cameras.c.camera, ran.c.state.in_(("done", "failed")))
            .order_by(ran.c.due_at.desc())
            .limit(1)
            .correlate(cameras)
            .scalar_subquery()
        )
        count = (
            sa.select(sa.func.count())
            .where(dropped.c.camera == cameras.c.camera, dropped.c.state == "dropped")
            .where(dropped.c.due_at > sa.func.coalesce(last, naive(LONG_AGO)))
            .correlate(cameras)
            .scalar_subquery()
        )
        with self._database.reading() as connection:
            counts = connection.execute(sa.select(cameras.c.camera, count))
            return {camera: count for camera, count in counts if count}

    def _close(self, due_id: int, **values: Any) -> None:
        with self._database.transaction(dues_table) as connection:
            row = connection.execute(sa.select(dues_table).where(dues_table.c.id == due_id)).one()
            if row.state == "queued" or (row.state == "running" and holds(row)):
                now = self._database.now()
                self._update(connection, due_id, finished_at=now, lease_until=None, **values)

    def _update(self, connection: sa.Connection, due_id: int, **values: Any) -> None:
        connection.execute(sa.update(dues_table).where(dues_table.c.id == due_id).values(**values))


def _due(row: sa.Row[Any]) -> Due:
    return Due(
        id=row.id,
        camera=row.camera,
        due_at=row.due_at.replace(tzinfo=UTC),
        reason=row.reason,
        state=row.state,
        attempt=row.attempt,
        not_before=row.not_before.replace(tzinfo=UTC),
        error=row.error,
        night_id=row.night_id,
        started_at=aware(row.started_at),
        finished_at=aware(row.finished_at),
    )
