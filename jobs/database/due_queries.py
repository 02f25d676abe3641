"""Nights that the schedule has asked for, read: which wait, which were begun, how they ended."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import sqlalchemy as sa

from jobs.database.connection import Database, aware, naive
from jobs.database.tables import dues_table

DueState = Literal["queued", "running", "done", "failed", "dropped"]
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A night that was asked for. `attempt` counts its tries, the next may begin at `not_before`;
    `night_id` is the night that was run."""

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


class DueQueries:
    """What can be looked up about due nights; every method is one read."""

    _database: Database

    def waiting(self) -> list[Due]:
        """Nights that may begin now, the longest due first; none of a camera whose last night
        still runs."""
        busy = sa.select(dues_table.c.camera).where(dues_table.c.state == "running")
        query = (
            sa.select(dues_table)
            .where(dues_table.c.state == "queued", dues_table.c.camera.not_in(busy))
            .where(dues_table.c.not_before <= self._database.now())
            .order_by(dues_table.c.due_at, dues_table.c.camera)
        )
        with self._database.reading() as connection:
            return [due_of(row) for row in connection.execute(query)]

    def since(self, moment: datetime) -> list[Due]:
        """Those that were begun at `moment` or later and not put back."""
        query = sa.select(dues_table).where(
            dues_table.c.started_at >= naive(moment), dues_table.c.state != "queued"
        )
        with self._database.reading() as connection:
            return [due_of(row) for row in connection.execute(query)]

    def at_hand(self) -> list[Due]:
        """Those that run now or wait, the longest due first."""
        query = (
            sa.select(dues_table)
            .where(dues_table.c.state.in_(("queued", "running")))
            .order_by(dues_table.c.due_at, dues_table.c.camera)
        )
        with self._database.reading() as connection:
            return [due_of(row) for row in connection.execute(query)]

    def last(self, camera: str) -> Due | None:
        """The night of this camera that the schedule asked for last."""
        query = sa.select(dues_table).where(
            dues_table.c.camera == camera, dues_table.c.reason == "schedule"
        )
        query = query.order_by(dues_table.c.due_at.desc()).limit(1)
        with self._database.reading() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else due_of(row)

    def all(self, camera: str | None = None, *, state: DueState | None = None) -> list[Due]:
        """All, those of one camera, or those in one state; the oldest first."""
        query = sa.select(dues_table).order_by(dues_table.c.due_at, dues_table.c.id)
        if camera is not None:
            query = query.where(dues_table.c.camera == camera)
        if state is not None:
            query = query.where(dues_table.c.state == state)
        with self._database.reading() as connection:
            return [due_of(row) for row in connection.execute(query)]

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


def due_of(row: sa.Row[Any]) -> Due:
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
