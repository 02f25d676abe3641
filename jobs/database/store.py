"""The store: which nights ran, and what each of their stages left behind.

SQLite in `data_dir`, or PostgreSQL for several machines (`database.py`); what the schedule has
asked for is in `dues.py`.
"""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import sqlalchemy as sa

from culling_pipeline.records import AnyNight, UnusableNight
from jobs.config.settings import Config
from jobs.database.connection import Database, StoreError, plain
from jobs.database.dues import Dues
from jobs.database.figures import Figures
from jobs.database.history import History, add_to_history
from jobs.database.nights import Night, NightsInStore, State, night_of
from jobs.database.notices import Notices
from jobs.database.processes import LEASE, RENEW_S, held, holds, is_at_work, this_process
from jobs.database.tables import nights_table, records_table, stages_table
from jobs.errors import NightError, describe

RESUME_WITHIN = timedelta(hours=24)
"""An unfinished night older than this is given up: what its camera saw is no longer today."""


class NightJournal:
    """What one night's stages left behind: the stages load and save their results here."""

    def __init__(self, store: Store, night: Night) -> None:
        self._store = store
        self.night = night

    def load(self, stage: str) -> dict[str, Any] | None:
        """A stage's result, or None if it has not been finished."""
        return self._store.stage_result(self.night.id, stage)

    def save(self, stage: str, result: dict[str, Any]) -> None:
        """Keep a stage's result; on disk when this returns."""
        self._store.save_stage(self.night.id, stage, result)


class Store(NightsInStore):
    """All that is remembered between two runs of the program; made or brought up to date when it
    is opened. `url` is PostgreSQL's address; None keeps everything in `data_dir`."""

    def __init__(
        self,
        data_dir: Path,
        url: str | None = None,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.data_dir = data_dir
        self.database = Database(data_dir, url, now=now)
        self.dues = Dues(self.database)
        self.notices = Notices(self.database)
        self.history = History(self.database)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection; closing twice is harmless."""
        self.database.close()

    # -- nights --------------------------------------------------------------------------------

    def open_night(
        self, camera: str, night_date: date, *, settings: str = "", fresh: bool = False
    ) -> Night:
        """The camera's unfinished night, taken over by this process, or else a new one.

        Unfinished is what was killed, interrupted or failed under the same `settings` (a
        fingerprint) less than a day ago; `fresh` gives it up instead. Raises `NightError` while
        a living process runs a night of this camera.
        """
        now = self.database.now()
        with self.database.transaction(nights_table) as connection:
            last = _last_row(connection, camera)
            if last is not None and last.state == "running" and is_at_work(last, now):
                _refuse(last)
            if last is not None and last.state != "done":
                young = now - last.started_at < RESUME_WITHIN
                if young and last.settings == settings and not fresh:
                    return self._resume(connection, last)
                self._give_up(connection, last)
            return self._begin(connection, camera, night_date, settings)

    @contextmanager
    def running_night(
        self, camera: str, night_date: date, *, settings: str = "", fresh: bool = False
    ) -> Iterator[NightJournal]:
        """`open_night` as a block; leaving it by an error notes how the night ended.

        Call `finish_night` inside the block.
        """
        night = self.open_night(camera, night_date, settings=settings, fresh=fresh)
        try:
            with self._lease(night.id):
                yield NightJournal(self, night)
        except Exception as error:
            with suppress(StoreError):  # a full disk: the night is found dead, and resumed
                self.fail_night(night.id, describe(error, data_dir=self.data_dir))
            raise
        except BaseException:
            with suppress(StoreError):
                self.interrupt_night(night.id)
            raise

    def finish_night(self, night_id: int, record: AnyNight) -> None:
        """The night is done; its record is kept, its stages' results no longer."""
        packed = zlib.compress(record.model_dump_json().encode())
        if isinstance(record, UnusableNight):
            came_to: dict[str, Any] = {"unusable": record.why}
        else:
            came_to = {"figures": Figures.of(record).model_dump(mode="json")}
        with self.database.transaction(nights_table) as connection:
            self._own(connection, night_id)
            query = sa.delete(records_table).where(records_table.c.night_id == night_id)
            connection.execute(query)
            connection.execute(sa.insert(records_table).values(night_id=night_id, record=packed))
            connection.execute(
                sa.update(stages_table).where(stages_table.c.night_id == night_id).values(result={})
            )
            add_to_history(connection, record)
            self._close_night(connection, night_id, state="done", **came_to)

    def fail_night(self, night_id: int, error: str) -> None:
        """The night failed, for this reason."""
        with self.database.transaction(nights_table) as connection:
            self._close_night(connection, night_id, state="failed", error=plain(error))

    def interrupt_night(self, night_id: int) -> None:
        """Somebody stopped the night; it can be resumed."""
        with self.database.transaction(nights_table) as connection:
            self._close_night(connection, night_id, state="interrupted", error="interrupted")

    # -- stages --------------------------------------------------------------------------------

    def save_stage(self, night_id: int, name: str, result: dict[str, Any]) -> None:
        """Keep what a stage left behind, in place of what it left before. Raises `NightError`
        if another process has taken the night over."""
        with self.database.transaction(nights_table) as connection:
            self._own(connection, night_id)
            connection.execute(
                sa.delete(stages_table).where(
                    stages_table.c.night_id == night_id, stages_table.c.name == name
                )
            )
            connection.execute(
                sa.insert(stages_table).values(
                    night_id=night_id, name=name, result=result, finished_at=self.database.now()
                )
            )

    # -- inside --------------------------------------------------------------------------------

    def _begin(
        self, connection: sa.Connection, camera: str, night_date: date, settings: str
    ) -> Night:
        values = {
            "camera": camera,
            "run_id": _free_run_id(connection, camera, night_date),
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
    def _lease(self, night_id: int) -> Iterator[None]:
        """Tells other machines, now and then, that this process still works on the night."""
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

    def _own(self, connection: sa.Connection, night_id: int) -> None:
        """A process that was taken for dead (a machine asleep) must not write any more."""
        query = sa.select(nights_table).where(nights_table.c.id == night_id)
        row = connection.execute(query).one_or_none()
        if row is not None and not holds(row):
            message = (
                f"camera {row.camera!r}: night {row.run_id} was taken over by process {row.pid} "
                f"on {row.host}, since this one had not been heard of: it goes on there"
            )
            raise NightError(message)

    def _close_night(
        self,
        connection: sa.Connection,
        night_id: int,
        *,
        state: State,
        error: str | None = None,
        **came_to: Any,
    ) -> None:
        row = connection.execute(
            sa.select(nights_table).where(nights_table.c.id == night_id)
        ).one_or_none()
        if row is None or not holds(row):
            return  # it is another process's by now
        connection.execute(
            sa.update(nights_table)
            .where(nights_table.c.id == night_id)
            .values(state=state, error=error, finished_at=self.database.now(), **came_to)
        )


def open_store(config: Config) -> Store:
    """The store that a configuration names."""
    return Store(config.data_dir, config.database)


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


class BusyError(NightError):
    """Another process runs a night of this camera."""


def _free_run_id(connection: sa.Connection, camera: str, night_date: date) -> str:
    day = night_date.isoformat()
    query = sa.select(nights_table.c.run_id).where(
        nights_table.c.camera == camera, nights_table.c.night_date == night_date
    )
    taken = set(connection.execute(query).scalars())
    run_id, number = day, 1
    while run_id in taken:
        number += 1
        run_id = f"{day}.{number}"
    return run_id
