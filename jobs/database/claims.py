"""Who works on a camera's night: one process at a time. If it dies, another takes the night up."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from jobs.database.connection import Database, StoreError
from jobs.database.nights import Night, night_of
from jobs.database.processes import LEASE, RENEW_S, held, holds, is_at_work, this_process
from jobs.database.tables import nights_table
from jobs.errors import NightError

RESUME_WITHIN = timedelta(hours=24)
"""An unfinished night older than this is given up: what its camera saw is no longer today."""


class BusyError(NightError):
    """Another process runs a night of this camera."""


class NightClaims:
    """Begins nights, resumes them, and keeps them claimed."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def open(
        self,
        camera: str,
        night_date: date,
        *,
        settings: str,
        fresh: bool,
        run_id: str | None = None,
    ) -> Night:
        """As `Store.open_night`."""
        now = self.database.now()
        with self.database.transaction(nights_table) as connection:
            last = _last_row(connection, camera)
            if last is not None and last.state == "running" and is_at_work(last, now):
                _refuse(last)
            if last is not None and last.state != "done":
                is_it = run_id is None or last.run_id == run_id
                if is_it and not fresh and _can_go_on(last, settings, now):
                    return self._resume(connection, last)
                self._give_up(connection, last)
            name = run_id or _free_run_id(connection, [camera], night_date)
            return self._begin(connection, camera, night_date, settings, name)

    def common_run_id(
        self, cameras: Sequence[str], night_date: date, *, settings: str, fresh: bool
    ) -> str:
        """The name of these cameras' night: that of the first one's unfinished night under these
        settings, or else one that is new to them all."""
        with self.database.reading() as connection:
            last = _last_row(connection, cameras[0])
            unfinished = None if last is None or last.state == "done" or fresh else last
            if unfinished is not None and _can_go_on(unfinished, settings, self.database.now()):
                return str(unfinished.run_id)
            return _free_run_id(connection, cameras, night_date)

    def _begin(
        self,
        connection: sa.Connection,
        camera: str,
        night_date: date,
        settings: str,
        run_id: str,
    ) -> Night:
        values = {
            "camera": camera,
            "run_id": run_id,
            "night_date": night_date,
            "settings": settings,
            "state": "running",
            "attempt": 1,
            "started_at": self.database.now(),
            "lease_until": self.database.now() + LEASE,
            **this_process(),
        }
        query = sa.insert(nights_table).values(values).returning(nights_table)
        return night_of(connection.execute(query).one())

    def _resume(self, connection: sa.Connection, last: sa.Row[Any]) -> Night:
        query = (
            sa.update(nights_table)
            .where(nights_table.c.id == last.id)
            .values(
                state="running",
                attempt=last.attempt + 1,
                finished_at=None,
                error=None,
                lease_until=self.database.now() + LEASE,
                **this_process(),
            )
            .returning(nights_table)
        )
        return night_of(connection.execute(query).one())

    def _give_up(self, connection: sa.Connection, last: sa.Row[Any]) -> None:
        if last.state == "running":
            connection.execute(
                sa.update(nights_table)
                .where(nights_table.c.id == last.id)
                .values(
                    state="failed",
                    error="its process died, and a new night was begun",
                    finished_at=self.database.now(),
                )
            )

    @contextmanager
    def lease(self, night_id: int) -> Iterator[None]:
        """Meanwhile, other machines see that this process still works on the night."""
        left = threading.Event()

        def renew() -> None:
            while not left.wait(RENEW_S):
                with suppress(StoreError), self.database.transaction() as connection:
                    connection.execute(
                        sa.update(nights_table)
                        .where(nights_table.c.id == night_id, held(nights_table))
                        .values(lease_until=self.database.now() + LEASE)
                    )

        thread = threading.Thread(target=renew, name="lease", daemon=True)
        thread.start()
        try:
            yield
        finally:
            left.set()
            thread.join()


def require_own(connection: sa.Connection, night_id: int) -> str | None:
    """The night's state. Raises `NightError` unless this process still has the night: one that was
    taken for dead (a machine asleep) must not write any more."""
    query = sa.select(nights_table).where(nights_table.c.id == night_id)
    row = connection.execute(query).one_or_none()
    if row is not None and not holds(row):
        message = (
            f"camera {row.camera!r}: night {row.run_id} was taken over by process {row.pid} "
            f"on {row.host}, since this one had not been heard of: it goes on there"
        )
        raise NightError(message)
    return None if row is None else str(row.state)


def _last_row(connection: sa.Connection, camera: str) -> sa.Row[Any] | None:
    query = sa.select(nights_table).where(nights_table.c.camera == camera)
    return connection.execute(query.order_by(nights_table.c.id.desc()).limit(1)).one_or_none()


def _refuse(row: sa.Row[Any]) -> None:
    where = "" if row.host == this_process()["host"] else f" on {row.host}"
    message = (
        f"camera {row.camera!r}: night {row.run_id} is being run by process {row.pid}{where} "
        f"since {row.started_at:%Y-%m-%d %H:%M} UTC: wait for it or end it first"
    )
    raise BusyError(message)


def _can_go_on(last: sa.Row[Any], settings: str, now: datetime) -> bool:
    return bool(now - last.started_at < RESUME_WITHIN and last.settings == settings)


def _free_run_id(connection: sa.Connection, cameras: Sequence[str], night_date: date) -> str:
    """The night's day, with a number if one of these cameras has had a night of that name."""
    day = night_date.isoformat()
    query = sa.select(nights_table.c.run_id).where(
        nights_table.c.camera.in_(cameras), nights_table.c.run_id.startswith(day)
    )
    taken = set(connection.execute(query).scalars())
    run_id, number = day, 1
    while run_id in taken:
        number += 1
        run_id = f"{day}.{number}"
    return run_id
