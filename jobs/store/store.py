"""The store: which nights ran, and what each of their stages left behind.

SQLite in `data_dir`, or PostgreSQL for several machines (`database.py`); what the schedule has
asked for is in `dues.py`.
"""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, Self, cast

import sqlalchemy as sa
from pydantic import TypeAdapter, ValidationError

from culling_pipeline.records import AnyNight, UnusableNight
from jobs.config.settings import Config
from jobs.errors import NightError, describe
from jobs.store.database import Database, StoreError, aware, plain
from jobs.store.dues import Dues
from jobs.store.figures import Figures, Past
from jobs.store.history import History, add_to_history
from jobs.store.notices import Notices
from jobs.store.processes import LEASE, RENEW_S, held, holds, is_at_work, this_process
from jobs.store.tables import nights_table, records_table, stages_table

State = Literal["running", "done", "failed", "interrupted"]
RECORDS: TypeAdapter[AnyNight] = TypeAdapter(AnyNight)

RESUME_WITHIN = timedelta(hours=24)
"""An unfinished night older than this is given up: what its camera saw is no longer today."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Night:
    """One night as the store knows it. Once it is done, it has `figures`, or `unusable` says why
    there are none and what to do."""

    id: int
    camera: str
    run_id: str
    night_date: date
    state: State
    attempt: int
    pid: int
    host: str
    started_at: datetime
    finished_at: datetime | None
    error: str | None
    figures: Figures | None
    unusable: str | None


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


class Store:
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

    def night(self, night_id: int) -> Night:
        """One night by its id."""
        with self.database.reading() as connection:
            query = sa.select(nights_table).where(nights_table.c.id == night_id)
            row = connection.execute(query).one_or_none()
        if row is None:
            message = f"{self.database.shown}: there is no night {night_id}"
            raise StoreError(message)
        return _night(row)

    def nights(
        self, camera: str | None = None, *, state: State | None = None, limit: int | None = None
    ) -> list[Night]:
        """All nights, or one camera's, or those in one state, or so many; the latest first."""
        query = sa.select(nights_table).order_by(nights_table.c.id.desc()).limit(limit)
        if camera is not None:
            query = query.where(nights_table.c.camera == camera)
        if state is not None:
            query = query.where(nights_table.c.state == state)
        with self.database.reading() as connection:
            return [_night(row) for row in connection.execute(query)]

    def latest_night(self, camera: str, *, state: State | None = None) -> Night | None:
        """The camera's latest night (in this state), or None."""
        return next(iter(self.nights(camera, state=state, limit=1)), None)

    def latest_nights(self, cameras: Iterable[str] | None = None) -> dict[str, Night]:
        """Each camera's latest night, in one query."""
        names = sa.select(nights_table.c.camera).distinct().subquery()
        other = nights_table.alias()
        last = sa.select(sa.func.max(other.c.id)).where(other.c.camera == names.c.camera)
        query = sa.select(nights_table).join(names, nights_table.c.id == last.scalar_subquery())
        with self.database.reading() as connection:
            found = {row.camera: _night(row) for row in connection.execute(query)}
        return found if cameras is None else {c: found[c] for c in cameras if c in found}

    def histories(self, *, nights: int) -> dict[str, list[Past]]:
        """What plans need of each camera's last done nights, the latest first, in one query."""
        cameras = sa.select(nights_table.c.camera).distinct().subquery()
        done = nights_table.alias()
        first = (  # of the last so many; the index leads there in so many steps
            sa.select(done.c.id)
            .where(done.c.camera == cameras.c.camera, done.c.state == "done")
            .where(done.c.figures.is_not(None))
            .order_by(done.c.id.desc())
            .offset(nights - 1)
            .limit(1)
            .scalar_subquery()
        )
        figures = [column.label(name) for name, column in PAST.items()]
        query = (
            sa.select(nights_table.c.camera, *figures)
            .join(cameras, cameras.c.camera == nights_table.c.camera)
            .where(nights_table.c.state == "done", nights_table.c.figures.is_not(None))
            .where(nights_table.c.id >= sa.func.coalesce(first, 0))
            .order_by(nights_table.c.camera, nights_table.c.id.desc())
        )
        found: dict[str, list[Past]] = {}
        with self.database.reading() as connection:
            for camera, *values in connection.execute(query):
                found.setdefault(camera, []).append(Past(*values))
        return found

    def record(self, night_id: int) -> AnyNight | None:
        """The whole record of a done night; None of any other."""
        query = sa.select(records_table.c.record).where(records_table.c.night_id == night_id)
        with self.database.reading() as connection:
            packed = connection.execute(query).scalar_one_or_none()
        if packed is None:
            return None
        try:
            return RECORDS.validate_json(zlib.decompress(packed))
        except (ValidationError, zlib.error) as error:
            night = self.night(night_id)
            message = (
                f"camera {night.camera!r}: night {night.run_id} was recorded by another release"
            )
            raise StoreError(message) from error

    # -- stages --------------------------------------------------------------------------------

    def stage_result(self, night_id: int, name: str) -> dict[str, Any] | None:
        """What a stage of this night left behind, or None."""
        with self.database.reading() as connection:
            result = connection.execute(
                sa.select(stages_table.c.result).where(
                    stages_table.c.night_id == night_id, stages_table.c.name == name
                )
            ).scalar_one_or_none()
        return cast("dict[str, Any] | None", result)

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
        return _night(connection.execute(query).one())

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
        return _night(connection.execute(query).one())

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


_FIGURES = nights_table.c.figures
PAST: dict[str, sa.ColumnElement[Any]] = {
    "map50_before": _FIGURES["map50_before"].as_float(),
    "map50_after": _FIGURES["map50_after"].as_float(),
    "promoted": _FIGURES["promoted"].as_boolean(),
    "mean_loss": _FIGURES["mean_loss"].as_float(),
    "device_s": _FIGURES["device_s"].as_float(),
}
"""The fields of `Past`, taken out by the database: four times as fast as whole `Figures`."""


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


def _night(row: sa.Row[Any]) -> Night:
    return Night(
        id=row.id,
        camera=row.camera,
        run_id=row.run_id,
        night_date=row.night_date,
        state=row.state,
        attempt=row.attempt,
        pid=row.pid,
        host=row.host,
        started_at=row.started_at.replace(tzinfo=UTC),
        finished_at=aware(row.finished_at),
        error=row.error,
        figures=None if row.figures is None else Figures.model_validate(row.figures),
        unusable=row.unusable,
    )
