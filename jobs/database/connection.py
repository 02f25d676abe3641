"""The database behind the store: SQLite in `data_dir`, or PostgreSQL by its address.

Every write is one transaction, on disk when the call returns.
"""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    NoSuchModuleError,
    OperationalError,
    ProgrammingError,
)
from sqlalchemy.exc import TimeoutError as AllInUse

from jobs.errors import ConfigError, NightError, redact
from streams.secret_words import keep_secret

if TYPE_CHECKING:
    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.pool import ConnectionPoolEntry

FILE_NAME = "culling.db"
BUSY_TIMEOUT_S = 30
MIGRATIONS = Path(__file__).parent / "migrations"
DRIVER = "postgresql+psycopg"
OLDEST_POSTGRES = 13
MIGRATION_LOCK = 4_237_001
"""PostgreSQL's advisory lock that programs starting at the same time take turns on."""
REVISION = "0005"
"""The newest of `migrations/versions`."""
READING = "culling_reading"
ON_CONNECT = (
    f"SET lock_timeout = '{BUSY_TIMEOUT_S}s'",
    # A process that is stopped in the middle of a transaction must not hold up the others.
    f"SET idle_in_transaction_session_timeout = '{2 * BUSY_TIMEOUT_S}s'",
)
KEEP_ALIVE = {
    "connect_timeout": BUSY_TIMEOUT_S,
    # Or a write to a server whose machine has vanished waits for a quarter of an hour.
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 1000 * BUSY_TIMEOUT_S,
}
"""Connection options for libpq."""


class StoreError(NightError):
    """The database cannot be opened, read or written."""


class AwayError(StoreError):
    """The database's server cannot be reached now, or is starting or ending."""


def naive(moment: datetime) -> datetime:
    """UTC without its zone, as the database stores it."""
    return moment.astimezone(UTC).replace(tzinfo=None)


def plain(text: str) -> str:
    """The text as every database can store it: without NUL, and without half characters from a
    file's name."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")


def aware(moment: datetime | None) -> datetime | None:
    """A moment from the database, with its time zone."""
    return None if moment is None else moment.replace(tzinfo=UTC)


class Database:
    """One database, created or upgraded when it is opened."""

    def __init__(
        self,
        data_dir: Path,
        url: str | None,
        *,
        now: Callable[[], datetime],
        may_be_away: bool = False,
    ) -> None:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.path = data_dir / FILE_NAME
        self.is_sqlite = url is None
        self.shown = str(self.path) if url is None else redact(url)
        self._now = now
        self.engine = _sqlite(self.path) if url is None else _postgres(url)
        self.is_ready = False
        self._making_ready = threading.Lock()
        try:
            self.make_ready()
        except BaseException as error:
            self.close()
            if not (may_be_away and isinstance(error, AwayError)):
                raise

    def make_ready(self) -> None:
        """Create or upgrade its tables, unless this was done before."""
        with self._making_ready:
            if not self.is_ready:
                self._migrate()
                self.is_ready = True

    def close(self) -> None:
        """Close every connection; closing twice is harmless."""
        self.engine.dispose()

    def now(self) -> datetime:
        """Now, as UTC without its zone."""
        return naive(self._now())

    @contextmanager
    def transaction(self, *tables: sa.Table) -> Iterator[sa.Connection]:
        """One transaction; others that name one of these `tables` wait until it has ended, and
        then see what it wrote. (SQLite has one writer at a time anyway.)"""
        with self._clear_errors(), self.engine.begin() as connection:
            if tables and not self.is_sqlite:
                names = ", ".join(table.name for table in tables)
                connection.exec_driver_sql(f"LOCK TABLE {names} IN SHARE ROW EXCLUSIVE MODE")
            yield connection

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """One transaction that only reads: it waits for no writer."""
        engine = self.engine.execution_options(**{READING: True})
        with self._clear_errors(), engine.begin() as connection:
            yield connection

    @contextmanager
    def _clear_errors(self) -> Iterator[None]:
        try:
            yield
        except AllInUse as error:
            message = f"{self.shown}: every connection of this program is in use"
            raise StoreError(message) from error
        except DBAPIError as error:
            if not self.is_sqlite:
                raise _postgres_error(self.shown, error) from error
            cause = str(error.orig).strip()
            message = f"{self.shown}: {cause}"
            if "full" in cause or "No space left" in cause:
                raise StoreError(message) from OSError(errno.ENOSPC, cause, str(self.path))
            raise StoreError(message) from error

    def _migrate(self) -> None:
        with self.reading() as connection:
            if not self.is_sqlite:
                self._refuse_old_server(connection)
            if _revision(connection) == REVISION:
                return
        with self.transaction() as connection:
            if not self.is_sqlite:
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})")
            self._upgrade(connection)

    def _refuse_old_server(self, connection: sa.Connection) -> None:
        version = connection.dialect.server_version_info or (0,)
        if int(version[0]) < OLDEST_POSTGRES:
            number = ".".join(map(str, version))
            message = f"{self.shown}: PostgreSQL {number} is too old: {OLDEST_POSTGRES} or later"
            raise StoreError(message)

    def _upgrade(self, connection: sa.Connection) -> None:
        from alembic import command
        from alembic.config import Config
        from alembic.util import CommandError

        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            message = (
                f"{self.shown}: its schema is not one this release knows ({error}): "
                "a newer culling wrote it; install that one, or choose another data_dir"
            )
            raise StoreError(message) from error


def _revision(connection: sa.Connection) -> str | None:
    """The database's revision; None if it is empty."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    query = sa.text("SELECT version_num FROM alembic_version")
    found: str | None = connection.execute(query).scalar_one_or_none()
    return found


def _sqlite(path: Path) -> sa.Engine:
    engine = sa.create_engine(
        sa.URL.create("sqlite", database=str(path)), connect_args={"timeout": BUSY_TIMEOUT_S}
    )

    @sa.event.listens_for(engine, "connect")
    def _configure(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # we send BEGIN ourselves, below
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        # Immediate: of two processes that open the same night, the second waits here.
        reading = connection.get_execution_options().get(READING)
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    return engine


def _postgres(url: str) -> sa.Engine:
    try:
        engine = sa.create_engine(_address(url), pool_pre_ping=True, connect_args=KEEP_ALIVE)
    except (ModuleNotFoundError, NoSuchModuleError) as error:
        message = "database: PostgreSQL needs an extra: pip install 'culling-pipeline[postgres]'"
        raise ConfigError(message) from error

    @sa.event.listens_for(engine, "connect")
    def _configure(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        for setting in ON_CONNECT:
            cursor.execute(setting)
        cursor.close()
        connection.commit()

    return engine


def _address(url: str) -> sa.URL:
    message = "database: must be postgresql:// and then USER:PASSWORD@HOST/NAME"
    address = None
    with suppress(ArgumentError, ValueError):  # their texts hold what may be part of the password
        address = sa.make_url(url)
    if address is None:
        raise ConfigError(message)
    if address.drivername not in ("postgresql", DRIVER):
        other = f"{message}: {address.drivername}:// is not known"
        raise ConfigError(other)
    if not 0 < (address.port or 5432) < 65_536:
        other = f"{message}: there is no port {address.port}"
        raise ConfigError(other)
    if address.password:
        keep_secret(str(address.password))
    return address.set(drivername=DRIVER)


def _postgres_error(shown: str, error: DBAPIError) -> NightError | ConfigError:
    """The server's message in one line; its details follow in further lines."""
    state = getattr(error.orig, "sqlstate", None)
    lines = str(error.orig).strip().splitlines() or [type(error.orig).__name__]
    last = lines[0].startswith("Multiple connection attempts")  # one a line then
    cause = redact(" ".join(lines[-1 if last else 0].split()))
    if state is None and isinstance(error, ProgrammingError):
        return ConfigError(f"database: {cause}")  # it was not even tried
    if state == "53100":
        cause = f"the server's disk is full ({cause}): free some space there, then go on"
    elif state == "42501":
        cause += ": the database must belong to this user (ALTER DATABASE … OWNER TO …)"
    kind = AwayError if _is_away(error, state) else StoreError
    return kind(f"{shown}: {cause}")


def _is_away(error: DBAPIError, state: str | None) -> bool:
    """Whether the connection could not be made, was lost (08) or ended by the server (57P)."""
    if state is None:
        return isinstance(error, OperationalError)
    return state.startswith(("08", "57P"))
