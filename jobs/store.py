"""The store: which nights ran, and what each of their stages left behind (SQLite in `data_dir`).

Every write is one transaction, on disk when the call returns. A `data_dir` belongs to one machine.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, cast

import sqlalchemy as sa
from pydantic import ValidationError
from sqlalchemy.exc import DatabaseError

from culling_pipeline.records import NightRecord
from jobs.errors import NightError, describe

if TYPE_CHECKING:
    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.pool import ConnectionPoolEntry

State = Literal["running", "done", "failed", "interrupted"]

FILE_NAME = "culling.db"
BUSY_TIMEOUT_S = 30
RESUME_WITHIN = timedelta(hours=24)
"""An unfinished night older than this is given up: what its camera saw is no longer today."""

MIGRATIONS = Path(__file__).parent / "migrations"

metadata = sa.MetaData()

nights_table = sa.Table(
    "nights",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("camera", sa.String, nullable=False),
    # The date, then ".2", ".3", …: names this night's folders.
    sa.Column("run_id", sa.String, nullable=False),
    sa.Column("night_date", sa.Date, nullable=False),
    # Fingerprint of the camera's settings: a night is resumed only under the same ones.
    sa.Column("settings", sa.String, nullable=False),
    sa.Column("state", sa.String, nullable=False),
    # From 1; counts the processes that worked on this night.
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    # Tells a process from a later one with the same pid: boot id and start time, "" if unknown.
    sa.Column("process", sa.String, nullable=False),
    sa.Column("host", sa.String, nullable=False),
    # UTC. The first attempt's beginning and the last one's end.
    sa.Column("started_at", sa.DateTime, nullable=False),
    sa.Column("finished_at", sa.DateTime, nullable=True),
    sa.Column("error", sa.String, nullable=True),
    sa.Column("record", sa.JSON(none_as_null=True), nullable=True),
    sa.UniqueConstraint("camera", "run_id", name="uq_nights_camera_run_id"),
    sa.CheckConstraint(
        "state IN ('running', 'done', 'failed', 'interrupted')", name="ck_nights_state"
    ),
    sa.CheckConstraint("attempt >= 1", name="ck_nights_attempt"),
)

stages_table = sa.Table(
    "stages",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("night_id", sa.Integer, nullable=False),
    sa.Column("name", sa.String, nullable=False),
    sa.Column("result", sa.JSON, nullable=False),
    sa.Column("finished_at", sa.DateTime, nullable=False),
    sa.ForeignKeyConstraint(
        ["night_id"], ["nights.id"], name="fk_stages_night_id", ondelete="CASCADE"
    ),
    sa.UniqueConstraint("night_id", "name", name="uq_stages_night_id_name"),
)


class StoreError(NightError):
    """The database cannot be opened, read or written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Night:
    """One night as the store knows it; `record` is there once it is done."""

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
    record: NightRecord | None


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
    """The database in a `data_dir`, made or brought up to date when it is opened."""

    def __init__(
        self, data_dir: Path, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self.path = data_dir / FILE_NAME
        self._now = now
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._engine = _engine(self.path)
        try:
            self._migrate()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection; closing twice is harmless."""
        self._engine.dispose()

    # -- nights --------------------------------------------------------------------------------

    def open_night(
        self, camera: str, night_date: date, *, settings: str = "", fresh: bool = False
    ) -> Night:
        """The camera's unfinished night, taken over by this process, or else a new one.

        Unfinished is what was killed, interrupted or failed under the same `settings` (a
        fingerprint) less than a day ago; `fresh` gives it up instead. Raises `NightError` while
        a living process runs a night of this camera.
        """
        with self._transaction() as connection:
            last = _last_row(connection, camera)
            if last is not None and last.state == "running":
                _refuse_if_alive(last)
            if last is not None and last.state != "done":
                young = _naive(self._now()) - last.started_at < RESUME_WITHIN
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
            yield NightJournal(self, night)
        except Exception as error:
            with suppress(StoreError):  # a full disk: the night is found dead, and resumed
                self.fail_night(night.id, describe(error, data_dir=self.path.parent))
            raise
        except BaseException:
            with suppress(StoreError):
                self.interrupt_night(night.id)
            raise

    def finish_night(self, night_id: int, record: NightRecord) -> None:
        """The night is done; its record is kept."""
        self._close_night(night_id, state="done", record=record.model_dump(mode="json"))

    def fail_night(self, night_id: int, error: str) -> None:
        """The night failed, for this reason."""
        self._close_night(night_id, state="failed", error=error)

    def interrupt_night(self, night_id: int) -> None:
        """Somebody stopped the night; it can be resumed."""
        self._close_night(night_id, state="interrupted", error="interrupted")

    def night(self, night_id: int) -> Night:
        """One night by its id."""
        with self._transaction() as connection:
            query = sa.select(nights_table).where(nights_table.c.id == night_id)
            row = connection.execute(query).one_or_none()
        if row is None:
            message = f"{self.path}: there is no night {night_id}"
            raise StoreError(message)
        return _night(row)

    def nights(self, camera: str | None = None, *, state: State | None = None) -> list[Night]:
        """All nights, or one camera's, or those in one state; the latest first."""
        query = sa.select(nights_table).order_by(nights_table.c.id.desc())
        if camera is not None:
            query = query.where(nights_table.c.camera == camera)
        if state is not None:
            query = query.where(nights_table.c.state == state)
        with self._transaction() as connection:
            return [_night(row) for row in connection.execute(query)]

    def latest_night(self, camera: str, *, state: State | None = None) -> Night | None:
        """The camera's latest night (in this state), or None."""
        return next(iter(self.nights(camera, state=state)), None)

    # -- stages --------------------------------------------------------------------------------

    def stage_result(self, night_id: int, name: str) -> dict[str, Any] | None:
        """What a stage of this night left behind, or None."""
        with self._transaction() as connection:
            result = connection.execute(
                sa.select(stages_table.c.result).where(
                    stages_table.c.night_id == night_id, stages_table.c.name == name
                )
            ).scalar_one_or_none()
        return cast("dict[str, Any] | None", result)

    def save_stage(self, night_id: int, name: str, result: dict[str, Any]) -> None:
        """Keep what a stage left behind, in place of what it left before."""
        with self._transaction() as connection:
            connection.execute(
                sa.delete(stages_table).where(
                    stages_table.c.night_id == night_id, stages_table.c.name == name
                )
            )
            connection.execute(
                sa.insert(stages_table).values(
                    night_id=night_id, name=name, result=result, finished_at=_naive(self._now())
                )
            )

    # -- inside --------------------------------------------------------------------------------

    def _migrate(self) -> None:
        from alembic import command
        from alembic.config import Config
        from alembic.util import CommandError

        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
        with self._transaction() as connection:
            config.attributes["connection"] = connection
            try:
                command.upgrade(config, "head")
            except CommandError as error:
                message = (
                    f"{self.path}: its schema is not one this release knows ({error}): "
                    "a newer culling wrote it; install that one, or choose another data_dir"
                )
                raise StoreError(message) from error

    @contextmanager
    def _transaction(self) -> Iterator[sa.Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except DatabaseError as error:
            cause = str(error.orig)
            message = f"{self.path}: {cause}"
            if "full" in cause:
                raise StoreError(message) from OSError(errno.ENOSPC, cause, str(self.path))
            raise StoreError(message) from error

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
            "started_at": _naive(self._now()),
            **_this_process(),
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
                **_this_process(),
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
                    finished_at=_naive(self._now()),
                )
            )

    def _close_night(
        self,
        night_id: int,
        *,
        state: State,
        error: str | None = None,
        record: dict[str, Any] | None = None,
    ) -> None:
        with self._transaction() as connection:
            connection.execute(
                sa.update(nights_table)
                .where(nights_table.c.id == night_id)
                .values(state=state, error=error, record=record, finished_at=_naive(self._now()))
            )


def _engine(path: Path) -> sa.Engine:
    engine = sa.create_engine(
        sa.URL.create("sqlite", database=str(path)), connect_args={"timeout": BUSY_TIMEOUT_S}
    )

    @sa.event.listens_for(engine, "connect")
    def _configure(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # BEGIN is ours, below
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        # Immediate: two processes that open the same night are put in order at once.
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _last_row(connection: sa.Connection, camera: str) -> sa.Row[Any] | None:
    query = sa.select(nights_table).where(nights_table.c.camera == camera)
    return connection.execute(query.order_by(nights_table.c.id.desc()).limit(1)).one_or_none()


def _refuse_if_alive(row: sa.Row[Any]) -> None:
    if row.host == socket.gethostname() and _is_alive(row.pid, row.process):
        message = (
            f"camera {row.camera!r}: night {row.run_id} is being run by process {row.pid} "
            f"since {row.started_at:%Y-%m-%d %H:%M} UTC: wait for it or end it first"
        )
        raise NightError(message)


def _is_alive(pid: int, process: str) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it lives, under another user
    now = _process_token(pid)
    return not process or not now or now == process


def _this_process() -> dict[str, Any]:
    pid = os.getpid()
    return {"pid": pid, "process": _process_token(pid), "host": socket.gethostname()}


def _process_token(pid: int) -> str:
    """Boot id and start time of a process (Linux), else an empty string."""
    try:
        boot_id = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return f"{boot_id}:{status.rpartition(')')[2].split()[19]}"


def _free_run_id(connection: sa.Connection, camera: str, night_date: date) -> str:
    query = sa.select(nights_table.c.run_id).where(nights_table.c.camera == camera)
    taken = set(connection.execute(query).scalars())
    run_id, number = night_date.isoformat(), 1
    while run_id in taken:
        number += 1
        run_id = f"{night_date.isoformat()}.{number}"
    return run_id


def _night(row: sa.Row[Any]) -> Night:
    try:
        record = None if row.record is None else NightRecord.model_validate(row.record)
    except ValidationError as error:
        message = f"camera {row.camera!r}: night {row.run_id} was recorded by another release"
        raise StoreError(message) from error
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
        finished_at=None if row.finished_at is None else row.finished_at.replace(tzinfo=UTC),
        error=row.error,
        record=record,
    )


def _naive(moment: datetime) -> datetime:
    """UTC without its zone, as the database keeps it."""
    return moment.astimezone(UTC).replace(tzinfo=None)
